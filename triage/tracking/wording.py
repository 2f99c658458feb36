"""What stands on GitHub: title, body, the comment that counts, labels. Nothing private in it.

The words are the reporters', in fenced blocks: there nothing is drawn, nobody is mentioned and no
comment of HTML can pose as our mark.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from feedback.channels.github.posts import marker
from feedback.vocabulary import Category, Channel
from triage.classifier import Text
from triage.duplicates.traits import traits_of
from triage.tracking.environment import environment
from triage.tracking.redaction import redact

PRIVATE_CHANNELS = frozenset([Channel.EMAIL])
TITLE_LIMIT = 120
QUOTE_LIMIT = 1_500  # characters of one report
QUOTED = 5  # reports in the body
LINKED = 30  # in the comment that counts
MARKS = 4  # error strings that a title names
LABEL_LIMIT = 50  # GitHub's own

_SENTENCE = re.compile(r"(?<=[.!?])\s")
_GREETING = re.compile(
    r"^(?:hi|hello|hey|dear|good (?:morning|evening|day))\b[^.!?\n]{0,30}[,.!\n]\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One report as it may be told to others. `may_quote`: its words may stand in public."""

    channel: str
    title: str
    text: str
    url: str
    at: datetime
    names: tuple[str, ...] = ()  # of who wrote it
    may_quote: bool = False

    @property
    def is_quotable(self) -> bool:
        """Whether its words may stand in public: they do already, or a person said so."""
        return self.may_quote or not self.is_private

    @property
    def is_private(self) -> bool:
        """Whether nobody but us can see where it was said."""
        return self.channel in PRIVATE_CHANNELS or not _web(self.url)

    @property
    def where(self) -> str:
        """The channel, as people call it."""
        return Channel(self.channel).label if self.channel in Channel.values else self.channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is to be tracked, as far as the words about it depend on that."""

    key: str
    category: str
    severity: str
    count: int
    is_public: bool = True


def title(told: Sequence[Told], subject: Subject) -> str:
    """A line that says what it is about, in the first reporter's words where they may be used."""
    if spoken := next((one for one in told if one.is_quotable or not subject.is_public), None):
        line = _first_line(spoken.title or spoken.text)
        return one_line(_clean(line, spoken), TITLE_LIMIT) or _nameless(told, subject)
    return _nameless(told, subject)


def body(told: Sequence[Told], subject: Subject) -> str:
    """The whole body: the reports' words and links, what was found in them, and our mark."""
    what = "Feature request" if subject.category == Category.FEATURE else "Bug"
    grave = f", {subject.severity}" if subject.severity else ""
    channels = ", ".join(dict.fromkeys(one.where for one in told))
    parts = [f"{what}{grave}, reported {_times(subject.count)} ({channels})."]
    parts.append("### What was reported")
    parts += [_quote(one, subject) for one in told[:QUOTED]]
    if found := environment([one.text for one in told if one.is_quotable]):
        parts.append("### Environment")
        parts.append("\n".join(f"- {kind}: {', '.join(names)}" for kind, names in found.items()))
    parts.append("*Filed from what the community said; the comment below keeps count of reports.*")
    parts.append(issue_mark(subject.key))
    return "\n\n".join(parts)


def counter(told: Sequence[Told], subject: Subject, people: int) -> str:
    """The one comment that says how many reports there are; `told` is newest first."""
    by_channel = Counter(one.where for one in told)
    rows = [f"**{subject.count} reports** by {people} people, so far."]
    rows.append(", ".join(f"{where}: {count}" for where, count in by_channel.most_common()))
    if told:
        first, last = min(one.at for one in told), max(one.at for one in told)
        rows.append(f"First {first:%Y-%m-%d %H:%M}, last {last:%Y-%m-%d %H:%M} UTC.")
    links = [f"- {one.where}: {_link(one)}" for one in told if not one.is_private][:LINKED]
    if links:
        rows.append("\n".join(links))
    if found := environment([one.text for one in told if one.is_quotable]):
        rows.append("; ".join(f"{kind}: {', '.join(names)}" for kind, names in found.items()))
    rows.append(count_mark(subject.key))
    return "\n\n".join(row for row in rows if row)


def labels(told: Sequence[Told], subject: Subject, request_label: str) -> list[str]:
    """`bug`, its severity and a label for each channel; of a request the playbook's own."""
    if subject.category == Category.FEATURE:
        own = [request_label] if request_label else []
    else:
        own = ["bug", *([subject.severity] if subject.severity else [])]
    sources = sorted({f"source:{one.channel}" for one in told})
    return [label[:LABEL_LIMIT] for label in [*own, *sources]]


def issue_mark(key: str) -> str:
    """What finds a filed issue again."""
    return marker(f"issue:{key}")


def count_mark(key: str) -> str:
    """What finds the comment that counts."""
    return marker(f"count:{key}")


def merge_mark(key: str, into: str) -> str:
    """What finds the comment that says where an issue went."""
    return marker(f"merge:{key}:{into}")


def one_line(text: str, limit: int) -> str:
    """A text in one line, cut between words."""
    line = " ".join(text.split())
    if len(line) <= limit:
        return line
    return line[: limit - 1].rsplit(" ", 1)[0].rstrip(" ,;:") + "…"


def _first_line(text: str) -> str:
    """The first sentence that says something."""
    text = _GREETING.sub("", text.strip())
    sentences = [part for part in _SENTENCE.split(text.replace("\n", " ")) if part.strip()]
    telling = [part for part in sentences if len(part.split()) > 3]
    return (telling or sentences or [""])[0]


def _nameless(told: Sequence[Told], subject: Subject) -> str:
    """A title that quotes nobody: what kind of thing, where from, and the marks it names."""
    what = "Feature request" if subject.category == Category.FEATURE else "Bug"
    marks: list[str] = []
    for one in told:
        found = traits_of(Text(text=redact(one.text, one.names).text, title=""))
        marks += sorted(found.errors) + sorted(found.versions)
    said = ", ".join(list(dict.fromkeys(marks))[:MARKS])
    where = ", ".join(dict.fromkeys(one.where for one in told)) or "a report"
    line = f"{what} reported by {where}" + (f": {said}" if said else "")
    return one_line(line, TITLE_LIMIT)


def _quote(one: Told, subject: Subject) -> str:
    head = f"**{one.where}**, {one.at:%Y-%m-%d %H:%M} UTC"
    if not one.is_private:
        head += f": {_link(one)}"
    if subject.is_public and not one.is_quotable:
        return f"{head} (a private message; not quoted)"
    words = one.text if one.text.startswith(one.title) else f"{one.title}\n\n{one.text}"
    cut = " […]" if len(words) > QUOTE_LIMIT else ""
    words = _clean(words, one)[:QUOTE_LIMIT].strip() + cut
    fence = "~" * max(3, 1 + max((len(run) for run in re.findall(r"~+", words)), default=0))
    return f"{head}\n\n{fence}text\n{words}\n{fence}"


def _clean(text: str, one: Told) -> str:
    """Without what is private, and unable to pose as a mark of ours."""
    names = one.names if one.is_private else ()
    return redact(text, names).text.replace("<!--", "<! --")


def _link(one: Told) -> str:
    """An address as a link that carries no secret of its query."""
    return f"<{redact(one.url).text}>"


def _web(url: str) -> bool:
    return urlsplit(url).scheme in ("http", "https") if url else False


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
