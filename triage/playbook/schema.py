"""The playbook as a typed, frozen value, and what must hold between its parts."""

import re
from collections.abc import Iterable
from datetime import time, timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, available_timezones

import holidays
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from feedback.vocabulary import Category, Channel, Severity, Topic
from triage.calendars import ALWAYS, Calendar
from triage.playbook.durations import duration, target
from triage.playbook.sources import SourceRule

Duration = Annotated[timedelta, BeforeValidator(duration)]
Target = Annotated[timedelta | None, BeforeValidator(target)]
Share = Annotated[float, Field(gt=0, lt=1)]

Place = tuple[str | int, ...]

VARIABLES = frozenset({"name", "eta", "tracking", "version", "workaround", "discussions"})
_VARIABLE = re.compile(r"\{(\w*)\}")
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")


class Rule(BaseModel):
    """A table of the playbook: no unknown names, no changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, allow_inf_nan=False)


class SeverityRule(Rule):
    """What a severity means and what it promises."""

    title: str
    definition: str
    examples: list[str] = []
    evidence: list[str] = []  # words of a text that raise a bug to this severity
    acknowledge: Target = None
    fix: Target = None
    calendar: str = "always"
    on_call: str = ""


class Route(Rule):
    """One row of "who responds": a category, for bugs with its severities."""

    category: Category
    severities: list[Severity] = []
    responders: list[str] = []  # the first who is available answers; none: anyone
    together: list[str] = []  # answer beside the responder
    by_topic: bool = False  # the topic names the team within this row
    respond: Target = None
    note: str = ""


class TopicRule(Rule):
    """The team that answers a topic."""

    title: str
    responders: list[str] = []


class Subject(Rule):
    """What people write about, in words and examples; it leads to a topic."""

    topic: Topic
    description: str
    words: list[str]
    examples: list[str] = []


class Role(Rule):
    """A person or a team that answers."""

    title: str
    members: list[str] = []
    aliases: list[str] = []
    is_available: bool = True
    contact: str = ""
    backup: str = ""
    hours: str = ""


class CalendarRule(Rule):
    """Working hours: days with spans, less the holidays of a country."""

    timezone: str
    hours: dict[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], list[list[str]]]
    holidays: str = ""  # a country, or country-subdivision: "US", "US-CA"

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, zone: str) -> str:
        if zone not in available_timezones():
            raise ValueError(f'"{zone}" is not a time zone. Write one like "Europe/Berlin"')
        return zone

    @field_validator("hours")
    @classmethod
    def _hours_are_spans(cls, hours: dict[str, list[list[str]]]) -> dict[str, list[list[str]]]:
        for span in (span for spans in hours.values() for span in spans):
            if len(span) != 2 or not all(_HOUR.fullmatch(hour) for hour in span):
                raise ValueError('hours are spans like ["08:00", "18:00"]')
            if span[0] >= span[1]:
                raise ValueError(f'"{span[0]}" is not before "{span[1]}"')
        return hours

    @field_validator("holidays")
    @classmethod
    def _country_is_known(cls, country: str) -> str:
        _holidays(country)
        return country


class Template(Rule):
    """A reply that a person starts from."""

    title: str
    text: str
    categories: list[Category] = []
    is_automatic: bool = False

    @field_validator("text")
    @classmethod
    def _variables_are_known(cls, text: str) -> str:
        for name in _VARIABLE.findall(text):
            if name not in VARIABLES:
                known = ", ".join(f"{{{name}}}" for name in sorted(VARIABLES))
                raise ValueError(f"{{{name}}} is not a variable. Known: {known}")
        return text


class Tracking(Rule):
    """Where bugs and wishes are tracked, and which are filed by themselves.

    `security`: where what looks like a security matter goes, into `private_repository` or a draft
    advisory of `repository`, or nowhere until a person says so. `sure` is the score from which a
    report joins a tracked issue by itself, `unsure` the one from which a person is asked.
    """

    repository: str = ""
    private_repository: str = ""
    file_severities: list[Severity] = []
    discussions_url: str = ""
    status_url: str = ""
    request_label: str = ""  # feature requests are filed with it; empty: they are not filed
    request_category: str = "Ideas"  # of the repository's discussions, else the first
    security: Literal["repository", "advisory", "ask"] = "repository"
    sure: Share = 0.05
    unsure: Share = 0.008

    @field_validator("repository", "private_repository")
    @classmethod
    def _repository_is_a_name(cls, name: str) -> str:
        if name and not _REPOSITORY.fullmatch(name):
            raise ValueError(f'"{name}" is not a repository. Write "owner/name"')
        return name

    @model_validator(mode="after")
    def _private_is_apart(self) -> "Tracking":
        if self.repository and self.private_repository.casefold() == self.repository.casefold():
            raise ValueError("private_repository is the public one. Name another, or none")
        if self.unsure > self.sure:
            raise ValueError("unsure is above sure. Make it smaller")
        return self


class ClockRule(Rule):
    """When a clock warns: the share of its time that has passed."""

    warn_at: Share


class Manners(Rule):
    """How much we post on a channel: a pause between replies, so many a day, and so many people
    who are sent nearly the same text within a day.
    """

    pace: Duration = timedelta(0)
    daily: int = Field(default=1_000, gt=0)
    alike: int = Field(default=1_000, gt=0)


class ClusterRule(Rule):
    """When several people's reports of the same thing raise each other by one severity."""

    reports: int = Field(gt=1, le=100)  # people, the newest reporter among them
    within: Duration
    alike: Share  # the score from which two reports are of the same thing


class ReportRule(Rule):
    """What the sentiment report measures itself against."""

    positive_goal: Share
    small_sample: int = Field(gt=0)
    quotes: int = Field(gt=0, le=20)


class Step(Rule):
    """One step of the phone tree."""

    after: Target = None
    page: list[str]
    severities: list[Severity] = []


class Escalation(Rule):
    """Who is told of what, and the phone tree."""

    war_room: str = ""
    notify: dict[Severity, list[str]] = {}
    steps: list[Step] = []


class Shift(Rule):
    """One shift of a rota, in the rota's time zone."""

    begins: str
    ends: str
    primary: str
    triage: str


class Rota(Rule):
    """Who is on call by the hour."""

    title: str
    timezone: str
    days: int
    shifts: list[Shift]


class Hotfix(Rule):
    """How a fix goes out, by severity."""

    authorised_by: list[str]
    testing: str
    rollout: str
    bypass_after: Target = None
    bypass_by: str = ""


class Rollback(Rule):
    """When to roll back, who may decide, and what is said then."""

    mandatory: list[str]
    consider: list[str]
    never: list[str]
    authority: list[str]
    consensus: list[str]
    notify_within: Duration
    texts: dict[str, str]


class Success(Rule):
    """What the launch is measured against."""

    targets: list[str]
    p0_at_most: int
    p1_fewer_than: int


class Playbook(Rule):
    """The rules of one launch; `version_id` is the row that it was read from."""

    ALWAYS_NAME: ClassVar[str] = "always"

    name: str
    community_lead: str
    severities: dict[Severity, SeverityRule]
    routes: list[Route]
    topics: dict[Topic, TopicRule]
    subjects: dict[str, Subject] = {}
    roles: dict[str, Role]
    calendars: dict[str, CalendarRule] = {}
    templates: dict[str, Template] = {}
    team: dict[str, list[str]] = {}
    sources: list[SourceRule] = []
    manners: dict[Channel, Manners] = {}
    tracking: Tracking = Tracking()
    clocks: ClockRule
    clusters: ClusterRule | None = None
    report: ReportRule
    escalation: Escalation = Escalation()
    rota: list[Rota] = []
    hotfix: dict[Severity, Hotfix] = {}
    rollback: Rollback | None = None
    success: Success | None = None
    version_id: int | None = Field(default=None, exclude=True)

    def role(self, name: str) -> str | None:
        """The role's own name for a name or alias of it."""
        if name in self.roles:
            return name
        return next((own for own, role in self.roles.items() if name in role.aliases), None)

    def teams_of(self, names: Iterable[str]) -> list[str]:
        """The roles of these names, with every team that one of them is a member of."""
        members = {own: set(map(self.role, role.members)) for own, role in self.roles.items()}
        found, more = set[str](), {self.role(name) or name for name in names}
        while more:
            found |= more
            more = {own for own, them in members.items() if them & found} - found
        return sorted(found)

    def calendar(self, name: str) -> Calendar:
        """The calendar of that name, as working time is counted by it."""
        rule = self.calendars.get(name)
        return _calendar(rule.model_dump_json()) if rule else ALWAYS

    @model_validator(mode="after")
    def _hangs_together(self) -> "Playbook":
        self._roles_exist()
        self._calendars_exist()
        self._routes_cover()
        names = [source.name for source in self.sources]
        for number, name in enumerate(names):
            if name in names[:number]:
                raise _wrong(("sources", number, "name"), f'"{name}" is taken. Give it another')
        return self

    def _roles_exist(self) -> None:
        used: list[tuple[Place, str]] = [(("community_lead",), self.community_lead)]
        for number, route in enumerate(self.routes):
            used += [(("routes", number), name) for name in route.responders + route.together]
        for topic, rule in self.topics.items():
            used += [(("topics", topic), name) for name in rule.responders]
        for number, step in enumerate(self.escalation.steps):
            used += [(("escalation", "steps", number), name) for name in step.page]
        for severity, hotfix in self.hotfix.items():
            used += [(("hotfix", severity), name) for name in hotfix.authorised_by]
        for place, name in used:
            if self.role(name) is None:
                raise _wrong(place, f'"{name}" is not a role. Add [roles.{name}]')

    def _calendars_exist(self) -> None:
        for severity, rule in self.severities.items():
            if rule.calendar != self.ALWAYS_NAME and rule.calendar not in self.calendars:
                place = ("severities", severity, "calendar")
                raise _wrong(place, f'"{rule.calendar}" is not a calendar. Add it to calendars')

    def _routes_cover(self) -> None:
        for severity in Severity:
            if severity not in self.severities:
                raise _wrong(("severities",), f"{severity} is missing. Add it")
        for category in Category:
            rows = [route for route in self.routes if route.category == category]
            if not rows:
                raise _wrong(("routes",), f'no route is for category "{category}". Add one')
            covered = {s for row in rows for s in row.severities or list(Severity)}
            if category == Category.BUG and covered != set(Severity):
                raise _wrong(("routes",), "bugs of some severity have no route. Add the rest")


def _wrong(place: Place, what: str) -> PydanticCustomError:
    """A mistake at a place that validation cannot know by itself."""
    return PydanticCustomError("place", "{what}", {"place": place, "what": what})


@cache
def _calendar(written: str) -> Calendar:
    rule = CalendarRule.model_validate_json(written)
    hours = {
        _DAYS.index(day): [(_time(span[0]), _time(span[1])) for span in spans]
        for day, spans in rule.hours.items()
    }
    return Calendar(ZoneInfo(rule.timezone), hours, _holidays(rule.holidays))


def _time(hour: str) -> time:
    return time(0) if hour == "24:00" else time.fromisoformat(hour)


def _holidays(name: str) -> frozenset[Any]:
    """The days off of a country. Raises ValueError if it is not known."""
    if not name:
        return frozenset()
    country, _, part = name.partition("-")
    try:
        # Frozen: the library's own object grows as it is asked.
        years = range(2024, 2036)
        return frozenset(holidays.country_holidays(country, subdiv=part or None, years=years))
    except NotImplementedError:
        raise ValueError(
            f'"{name}" has no known holidays. Write one like "US" or "US-CA"'
        ) from None
