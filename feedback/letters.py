"""Where a mail belongs: whether it is one that we hold, and which of those it answers.

A service names its posts; a mail names itself, and any other. So one id with another content is
another mail, and what it answers is the nearest of its references that is held here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from feedback.channels.base import Letter, Post
from feedback.models import HistoryEntry, Item, Message
from feedback.vocabulary import State

BOUNCE = "bounce"


def placed(posts: Sequence[Post]) -> Sequence[Post]:
    """The posts, each mail under its own id and with its parent."""
    mails = [post for post in posts if post.letter]
    if not mails:
        return posts
    held = _held(mails)
    batch: dict[str, str] = {}  # fingerprints of this batch, by id
    for post in mails:
        if post.letter and post.external_id not in held:
            batch.setdefault(post.external_id, post.letter.fingerprint)
    known = {id_: fingerprint for id_, (_, fingerprint) in held.items()} | batch
    return [
        _placed(post, post.letter, known) if post.letter else post
        for post in posts
        if not (post.letter and post.letter.is_copy and post.external_id in held)
    ]


def _held(mails: Sequence[Post]) -> Mapping[str, tuple[str, str | None]]:
    """The messages that these mails name: their channel, and their content's fingerprint.

    None is any content: that of an imported message. What we sent ourselves is like no mail.
    """
    ids = {post.external_id for post in mails}
    ids |= {id_ for post in mails if post.letter for id_ in post.letter.ancestors}
    rows = Message.objects.filter(channel=mails[0].channel, external_id__in=ids)
    found = rows.values_list("external_id", "channel", "ours", "raw__fingerprint")
    return {
        str(id_): (channel, fingerprint or ("" if ours else None))
        for id_, channel, ours, fingerprint in found
    }


def _placed(post: Post, letter: Letter, known: Mapping[str, str | None]) -> Post:
    id_ = post.external_id
    if known.get(id_) not in (None, letter.fingerprint):
        id_ = f"{id_[:280]}#{letter.fingerprint}"
    above = [one for one in letter.ancestors if one in known and one != post.external_id]
    if not above and letter.ours:  # it may answer what another mailbox brings later
        above = [one for one in letter.ancestors if one != post.external_id]
    return replace(post, external_id=id_, parent_id=above[0] if above else None)


def is_ours(post: Post, author: str, team: frozenset[str]) -> bool:
    """Whether our own team wrote it.

    A mail to us from an address of ours that answers nothing here is a forwarded one, or a forged
    one: somebody must look at it.
    """
    by_name = bool(author) and author.casefold() in team
    if post.letter is None:
        return by_name
    return post.letter.ours or (by_name and post.parent_id is not None)


def note_bounces(posts: Sequence[Post], now: datetime) -> None:
    """A reply of ours that did not arrive: its item waits for us again."""
    for post in posts:
        if not post.letter or post.letter.automatic != BOUNCE or not post.letter.is_failure:
            continue
        replies = Message.objects.filter(
            channel=post.channel, external_id=post.parent_id, ours=True, item__isnull=False
        )
        for item_id in replies.values_list("item_id", flat=True):
            Item.objects.filter(pk=item_id, state=State.WAITING).update(state=State.OPEN)
            HistoryEntry.objects.create(item_id=item_id, at=now, event="bounced")
