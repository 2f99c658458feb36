"""How a reply leaves: by its item's channel, at the pace that the playbook asks for."""

from datetime import datetime

from django.utils import timezone

from feedback.channels import make_channel
from feedback.channels.base import Absent, Later, Reply, Sent, SourceStopped, Unknown
from feedback.intake import team_of
from feedback.models import Message
from triage import automatic, playbook
from triage.manners import DAY, Hold, Posted, Wait, judge
from triage.models import Delivery, OutboxEntry
from triage.outbox import Outcome, begin
from triage.replies import record_answer


class ReplyDoor:
    """One reply; its text is the message of its conversation."""

    def __init__(self, entry: OutboxEntry) -> None:
        """Raises SourceStopped if there is nothing left to send, or no way to."""
        item, message = entry.item, entry.message
        if item is None or message is None:
            raise SourceStopped("The reply or its item is gone.")
        self._entry = entry
        self._channel = make_channel(entry.channel, item.source.config, team_of(item.source))
        parent = Message.objects.filter(
            channel=message.channel, external_id=message.parent_id, ours=False
        ).first()
        self._reply = Reply(
            key=entry.key,
            parent_id=message.parent_id,
            text=message.text,
            thread_id=message.thread_id,
            title=item.title,
            parent=parent.raw if parent else {},
            decided_at=entry.created_at,
            is_automatic=bool(entry.payload.get("automatic")),
        )

    def before(self) -> Later | Hold | None:
        """Why a reply that was never tried must wait: pace, daily budget, too much of the same."""
        entry = self._entry
        if self._reply.is_automatic and entry.state != Delivery.UNSURE:
            parent = self._reply.parent
            to = str(parent.get("reply_to") or parent.get("from") or "")
            if held := automatic.judge(entry, to):
                return held
        rule = playbook.current().manners.get(entry.channel)  # type: ignore[call-overload]
        if rule is None or entry.state == Delivery.UNSURE:
            return None
        now = timezone.now()
        sent = OutboxEntry.objects.filter(
            kind="reply", channel=entry.channel, state=Delivery.SENT, sent_at__gt=now - DAY
        )
        rows = sent.values_list("sent_at", "message__text")
        recent = [Posted(at, text or "") for at, text in rows if at]
        match judge(self._reply.text, recent, rule, now):
            case Hold() as hold if not entry.payload.get("released"):
                return hold
            case Wait(span, reason):
                return Later(reason, span)
        return None

    @property
    def begins_itself(self) -> bool:
        """Whether the channel says when it hands the reply over, until when nothing was sent."""
        return hasattr(self._channel, "send")

    def send(self) -> Outcome:
        """Post once."""
        if hasattr(self._channel, "reply_id"):  # what comes back may be quicker than our record
            known = self._channel.reply_id(self._reply)
            Message.objects.filter(delivery=self._entry).update(external_id=known)
        outcome: Outcome
        if self.begins_itself:
            outcome = self._channel.send(self._reply, lambda: begin(self._entry))  # type: ignore[attr-defined]
        else:
            outcome = self._channel.reply(self._reply)  # type: ignore[attr-defined]
        return outcome

    def find(self) -> Sent | Absent | Unknown:
        """Whether it stands on the channel."""
        found: Sent | Absent | Unknown = self._channel.find(self._reply)  # type: ignore[attr-defined]
        return found

    def arrived(self, sent: Sent, now: datetime) -> None:
        """It has its name in the conversation, and the clocks that waited for it are met."""
        Message.objects.filter(delivery=self._entry).update(
            external_id=sent.external_id, url=sent.url, created_at=now
        )
        record_answer(self._entry, now)
