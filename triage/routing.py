"""Who answers, and by when: the launch plan's tables 3.2 and 3.3 as a rule over values."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from feedback.vocabulary import Topic
from triage.playbook.schema import Playbook, Route


@dataclass(frozen=True, slots=True)
class Decision:
    """Who answers (empty: anyone), who beside them, and how soon (None: no clock)."""

    responder: str
    together: tuple[str, ...]
    respond: timedelta | None


def route(
    category: str,
    severity: str | None,
    topic: str,
    playbook: Playbook,
    is_available: Callable[[str], bool] | None = None,
) -> Decision:
    """The row of the category (for bugs: of the severity) names the first who is available.

    Where the row says so, the topic's team within it goes first. Whoever cannot be found falls
    to the community lead; a row without responders is anyone's. Source: launch plan 3.2, 3.3.
    """
    row = _row(category, severity, playbook)
    if row is None:
        return Decision(playbook.community_lead, (), None)
    names = _candidates(row, topic, playbook)
    available = is_available or (lambda name: playbook.roles[name].is_available)
    responder = next((name for name in names if available(name)), names[0] if names else "")
    if row.responders and not responder:
        responder = playbook.community_lead
    together = (playbook.role(name) or playbook.community_lead for name in row.together)
    return Decision(responder, tuple(together), row.respond)


def _row(category: str, severity: str | None, playbook: Playbook) -> Route | None:
    rows = [row for row in playbook.routes if row.category == category]
    exact = [row for row in rows if severity and severity in row.severities]
    # A bug without a severity goes the way of the least severe.
    return next(iter(exact or [row for row in rows if not row.severities] or rows[-1:]), None)


def _candidates(row: Route, topic: str, playbook: Playbook) -> list[str]:
    names = [playbook.role(name) or playbook.community_lead for name in row.responders]
    rule = playbook.topics.get(Topic(topic)) if row.by_topic and topic in Topic.values else None
    if rule is None:
        return names
    team = [name for name in map(playbook.role, rule.responders) if name]
    within = [name for name in team if name in names]
    return within + [name for name in names if name not in within] if within else names
