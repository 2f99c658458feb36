"""What is done with kind words beside answering them: liked where they stand, shared with us.

Both are one click and leave by the outbox. A like may be sent twice without harm; what Slack got
nobody can find out, so there a person is asked.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from feedback import slack
from feedback.channels import like_word, make_channel
from feedback.channels.base import Absent, Sent, SourceStopped, Unknown
from feedback.hints import hint
from feedback.intake import team_of
from feedback.models import HistoryEntry, Item
from triage.models import Delivery, OutboxEntry
from triage.moves import Conflict
from triage.outbox import Outcome
from triage.replies import reply_target

LIKE, SHARE = "like", "share"
DONE_OR_COMING = (Delivery.PENDING, Delivery.SENT)
QUOTED = 1500  # characters of an item that are shared


@dataclass(frozen=True, slots=True)
class Kudos:
    """How one of both stands: what a button would do, or why there is none."""

    kind: str
    word: str
    state: str = ""
    error: str = ""
    missing: str = ""  # what must be set first

    @property
    def may_do(self) -> bool:
        """Whether pressing the button does something."""
        return not self.missing and self.state not in DONE_OR_COMING


def kudos(item: Item) -> list[Kudos]:
    """What can be done with an item's kind words."""
    latest = {
        entry.kind: entry
        for entry in item.outbox.filter(kind__in=[LIKE, SHARE]).order_by("pk").defer("payload")
    }
    word = like_word(item.channel, item.source.channel)
    missing = "" if slack.is_set() else f"Slack is not connected: set {slack.SETTING}."
    shown = [_shown(LIKE, word, latest.get(LIKE))] if word else []
    return [*shown, _shown(SHARE, "Share internally", latest.get(SHARE), missing)]


def _shown(kind: str, word: str, entry: OutboxEntry | None, missing: str = "") -> Kudos:
    if entry is None:
        return Kudos(kind, word, missing=missing)
    return Kudos(kind, word, entry.state, entry.error, missing)


def like(item: Item, by: User) -> None:
    """Like an item's newest post where it stands. Raises Conflict if that was done."""
    target = reply_target(item)
    if target is None or not like_word(item.channel, item.source.channel):
        raise Conflict("No program may like this post. Open it and do it by hand.")
    _decide(item, LIKE, {"post": target.external_id, "message": target.pk}, by)


def share(item: Item, by: User) -> None:
    """Tell the team of an item in Slack. Raises Conflict if that was done, or cannot be."""
    if not slack.is_set():
        raise Conflict(f"Slack is not connected. Set {slack.SETTING}.")
    if item.restricted_at:
        raise Conflict("This item is restricted; it is not shared.")
    _decide(item, SHARE, {"text": share_text(item, by)}, by)


def share_text(item: Item, by: User) -> str:
    """What the team reads: who said what, where, and who shares it."""
    post = reply_target(item)
    said = (post.text if post else "") or item.title or item.first_words
    author = (item.author.name or item.author.handle) if item.author else "somebody"
    quoted = "\n".join(f"> {line}" for line in slack.escaped(said[:QUOTED]).splitlines())
    head = f"*{slack.escaped(author)}* on {item.get_channel_display()}:"
    link = slack.escaped((post.url if post else "") or item.url)
    return "\n".join(filter(None, [head, quoted, link, f"Shared by {slack.escaped(str(by))}"]))


def _decide(item: Item, kind: str, payload: dict[str, object], by: User) -> None:
    now = timezone.now()
    with transaction.atomic():
        item = Item.objects.select_for_update().get(pk=item.pk)
        earlier = item.outbox.filter(kind=kind)
        if earlier.filter(state__in=DONE_OR_COMING).exists():
            raise Conflict("That was done already. Reload to see when.")
        earlier.update(next_attempt_at=None)  # the new one takes its place
        OutboxEntry.objects.create(
            key=f"{kind}:{item.pk}:{earlier.count()}",
            kind=kind,
            item=item,
            channel=item.source.channel if kind == LIKE else "slack",
            payload=payload,
            next_attempt_at=now,
            created_at=now,
        )
        HistoryEntry.objects.create(item=item, at=now, by=by, event=f"{kind}d")
        hint("deliver")


class _Door:
    """What both have in common: no pace, and no consequence but being there."""

    def __init__(self, entry: OutboxEntry) -> None:
        if entry.item is None:
            raise SourceStopped("The item is gone.")
        self._entry, self._item = entry, entry.item

    def before(self) -> None:
        """Nothing holds it back."""

    def arrived(self, sent: Sent, now: datetime) -> None:
        """The entry says all there is."""


class LikeDoor(_Door):
    """A like; once more changes nothing, so after a crash it is simply sent again."""

    def send(self) -> Outcome:
        """Like the post."""
        source = self._item.source
        channel = make_channel(self._entry.channel, source.config, team_of(source))
        message = self._item.messages.filter(pk=self._entry.payload["message"]).first()
        raw = message.raw if message else {}
        outcome: Outcome = channel.like(self._entry.payload["post"], raw)  # type: ignore[attr-defined]
        return outcome

    def find(self) -> Absent:
        """Not worth asking."""
        return Absent()


class ShareDoor(_Door):
    """A text for Slack's webhook."""

    def send(self) -> Outcome:
        """Send the text."""
        return slack.send(str(self._entry.payload["text"]))

    def find(self) -> Unknown:
        """Slack's webhook tells nothing of what it was sent."""
        return Unknown("Slack does not say whether it arrived. Look there, or share it again.")
