"""Filters of the pages. What came in from outside is escaped by `format_html` alone."""

import re

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from feedback.channels import with_text
from feedback.models import HistoryEntry, Message
from triage.mails import Shown, shown
from triage.models import ClockKind
from triage.tracking.models import TrackedEvent
from triage.troubles import present

register = template.Library()

URL = re.compile(r"""https?://[^\s<>"'`]*[^\s<>"'`.,;:!?)\]}]""")
FENCE = re.compile(r"^ {0,3}```[^\n`]*\n(.*?)^ {0,3}```[ \t]*\n?", re.DOTALL | re.MULTILINE)
LINK = '<a href="{0}" target="_blank" rel="noopener nofollow ugc">{0}</a>'
EVENTS = {
    "triaged": "Read and routed",
    "answered": "Our reply is in the thread",
    "deleted_at_source": "The author deleted it",
    "author_wrote": "The author wrote again",
    "bounced": "Our reply did not arrive",
    "not_automatic": "A person wrote it, so it is an item",
    "taken": "Took it",
    "assigned": "Assigned",
    "note_added": "Left a note",
    "closed": "Closed",
    "not_about_us": "Not about us",
    "reopened": "Opened again",
    "marked_spam": "Marked as spam",
    "corrected": "Corrected the reading",
    "confirmed": "Confirmed the reading",
    "reply_sent": "Wrote a reply",
    "posted_by_hand": "Posted the reply by hand",
    "reply_sent_again": "Had the reply sent again",
    "reply_arrived": "Found the reply in its place",
    "reply_cancelled": "Took the reply back",
    "liked": "Liked it",
    "shared": "Shared it with the team",
    "tracked": "Tracked",
    "untracked": "Not tracked any more",
    "tracked_fixed": "Its issue was closed as fixed",
    "tracked_not_planned": "Its issue was closed and not fixed",
    "tracked_reopened": "Its issue was reopened",
    "tracked_gone": "Its issue is gone from GitHub",
    "no_security_matter": "Said that it is no security matter",
    "may_be_quoted": "Allowed to quote it in public",
    "drafted": "An answer was drafted",
    "clock_warning": "Clock is running out",
    "clock_breached": "Clock ran out",
}


@register.inclusion_tag("triage/troubles.html")
def troubles() -> dict[str, list[str]]:
    """What staff must know now."""
    return {"troubles": present()}


@register.filter
def said(text: str) -> SafeString:
    """What somebody wrote, escaped; its web addresses as links, its code as code."""
    parts = FENCE.split(text)  # prose and code in turn
    drawn = [
        format_html("<pre>{}</pre>", part.strip("\n")) if number % 2 else _linked(part)
        for number, part in enumerate(parts)
    ]
    return format_html_join("", "{}", ((part,) for part in drawn))


def _linked(text: str) -> SafeString:
    """Prose with links that lend no credit and do not reach back."""
    parts, end = [], 0
    for match in URL.finditer(text):
        parts += [text[end : match.start()], format_html(LINK, match[0])]
        end = match.end()
    return format_html_join("", "{}", ((part,) for part in [*parts, text[end:]]))


@register.filter
def web(url: str | None) -> str:
    """An address if it leads to the web, else nothing: `javascript:` is no link."""
    return url if url and url.startswith(("https://", "http://")) else ""


@register.filter
def prefilled(page: str, text: str) -> str:
    """A reply page with the reply in its form, where the service offers that."""
    return with_text(page, text)


@register.filter
def who(message: Message) -> str:
    """Who wrote a message: our user, or the person outside."""
    if message.posted_by:
        return message.posted_by.get_full_name() or message.posted_by.get_username()
    if message.author:
        return message.author.name or message.author.handle
    return "Our team" if message.ours else "Unknown"


@register.filter
def mail(message: Message) -> Shown | None:
    """What a mail brings beside its words."""
    return shown(message.raw) if isinstance(message.raw, dict) and message.raw else None


@register.filter
def words(value: str) -> str:
    """A key as a reader sees it."""
    return value.replace("_", " ")


@register.filter
def event(entry: HistoryEntry) -> str:
    """What a line of the history says happened."""
    return EVENTS.get(entry.event, words(entry.event).capitalize())


@register.filter
def detail(entry: HistoryEntry) -> str:
    """The particulars of a line of the history, in a few words."""
    facts = entry.detail if isinstance(entry.detail, dict) else {}
    match entry.event:
        case "clock_warning" | "clock_breached":
            kind = str(facts.get("clock", ""))
            return dict(ClockKind.choices).get(kind, kind)
        case "assigned":
            return f"{facts.get('was') or 'anyone'} → {facts.get('now') or 'anyone'}"
        case "corrected":
            pairs = {name: pair for name, pair in facts.items() if isinstance(pair, list)}
            return ", ".join(f"{n}: {a or '—'} → {b or '—'}" for n, (a, b) in pairs.items())
        case "closed":
            return words(str(facts.get("as", "")))
        case "triaged":
            read = (facts.get("category"), facts.get("severity"), facts.get("responder"))
            return ", ".join(str(part) for part in read if part)
        case "reply_sent":
            return str(facts.get("template", ""))
    return ""


@register.filter
def percent(share: float | None) -> str:
    """A share as a whole percentage."""
    return "" if share is None else f"{share:.0%}"


TRACKED_EVENTS = {
    "begun": "First reported",
    "filed": "Filed",
    "joined": "A report joined",
    "left": "A report left",
    "closed": "Closed",
    "reopened": "Opened again",
    "renamed": "Renamed",
    "severity": "Severity changed",
    "mark_gone": "Our mark was edited away",
    "answered": "Answered for the public",
    "merged": "Merged into another",
    "took_in": "Took another in",
    "gone": "Gone",
}


@register.filter
def tracked_event(entry: TrackedEvent) -> str:
    """What a line of a tracked issue's history says happened."""
    return TRACKED_EVENTS.get(entry.event, words(entry.event).capitalize())


@register.filter
def tracked_detail(entry: TrackedEvent) -> str:
    """The particulars of such a line, in a few words."""
    facts = entry.detail if isinstance(entry.detail, dict) else {}
    match entry.event:
        case "severity" | "renamed":
            return f"{facts.get('was') or '—'} → {facts.get('now') or '—'}"
        case "joined" | "left":
            return f"item {facts.get('item')}"
        case "closed":
            return words(str(facts.get("reason") or ""))
        case "merged" | "took_in":
            return str(facts.get("name") or "")
        case "answered":
            return str(facts.get("login") or "")
    return ""
