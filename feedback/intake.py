"""The one door in: the only code that makes items and messages of what channels read.

A post by our own team becomes our reply in the conversation that it answers. A post whose
nearest ancestor item is by the same author (a mail: by anybody) joins that conversation. What a
source's query does not match is kept for context alone, and so is a mail that a program wrote.
Everything else begins an item. What follows from a message (a reading, a clock met) is the
pipeline's work, which finds it by `Message.triaged_at`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from feedback import letters, query
from feedback.channels.base import Batch, Post, Unreadable
from feedback.hints import hint
from feedback.language import detect
from feedback.looks import next_look
from feedback.models import HistoryEntry, Item, Kind, Message, Person, RejectedPost, Source
from feedback.text import storable

TEXT_LIMIT = 100_000  # characters of one message that are kept as text; `raw` has the rest
ANCESTOR_LIMIT = 50  # levels walked up in search of the author's own item
RACES = 5

Key = tuple[str, str]  # channel, external id


class LostClaim(Exception):
    """Another poll of the same source has begun; what this one read is not written."""


@dataclass(frozen=True, slots=True)
class Taken:
    """How many posts a batch held and what became of them."""

    read: int = 0
    new: int = 0
    updated: int = 0
    rejected: int = 0

    def __add__(self, other: "Taken") -> "Taken":
        return Taken(
            self.read + other.read,
            self.new + other.new,
            self.updated + other.updated,
            self.rejected + other.rejected,
        )


@dataclass(slots=True)
class Place:
    """Where a post stands: which item it belongs to, who wrote it, what it answers."""

    parent: Key | None
    author: str
    item: Item | None


@dataclass(slots=True)
class Plan:
    """What a batch adds, before anything is written."""

    items: list[Item] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    touched: set[int] = field(default_factory=set)


def take_in(
    source: Source, batch: Batch, *, next_poll_at: datetime, lease: datetime | None
) -> Taken:
    """Store a batch and move the source's cursor in the same transaction.

    `lease` is the `next_poll_at` under which the source was claimed. Raises LostClaim, with
    nothing written, if the source was claimed anew meanwhile.
    """

    source.account = clean(batch.account)[:320] or source.account

    def store(now: datetime) -> Taken:
        ours = Source.objects.filter(pk=source.pk, next_poll_at=lease)
        moved = ours.update(
            cursor=batch.cursor,
            account=source.account,
            meter=storable(dict(batch.meter)),
            next_poll_at=next_poll_at,
            last_polled_at=now,
            last_error="",
            failures=0,
            is_polling=batch.more,
        )
        if not moved:
            raise LostClaim(source.name)
        return _store(source, batch.posts, batch.unreadable, now)

    return _without_races(store)


def add_posts(
    source: Source, posts: Sequence[Post], unreadable: Sequence[Unreadable] = ()
) -> Taken:
    """Store posts that no poll read: an import, a webhook, a replayed rejection."""
    return _without_races(lambda now: _store(source, posts, unreadable, now))


def begin_item(message_id: int) -> bool:
    """A person says that a mail taken for automatic is somebody's. Returns whether it was."""
    now = timezone.now()
    with transaction.atomic():
        rows = Message.objects.filter(pk=message_id, item=None, automatic__isnull=False)
        message = rows.select_for_update().select_related("author").first()
        if message is None or message.source is None:
            return False
        title = clean(str(message.raw.get("subject") or ""))[:500]
        item = Item.objects.create(
            source=message.source,
            channel=message.channel,
            author=message.author,
            title=title,
            first_words=" ".join((message.text or title)[:1000].split())[:200],
            created_at=message.created_at,
            taken_in_at=now,
            triage_due_at=now,
        )
        rows.update(item=item, automatic=None)
        HistoryEntry.objects.create(item=item, at=now, event="not_automatic")
        hint("triage")
    return True


def team_of(source: Source) -> frozenset[str]:
    """Our own handles on the source's channel, casefolded; the account that we write as is one."""
    handles = [*source.config.get("team", ()), *([source.account] if source.account else [])]
    return frozenset(str(handle).casefold().lstrip("@") for handle in handles)


def _without_races(store: Any) -> Taken:
    """Run `store` in a transaction, again if another source brings the same post meanwhile."""
    for attempt in range(RACES):
        try:
            with transaction.atomic():
                taken: Taken = store(timezone.now())
                if taken.new or taken.updated:
                    hint("triage")
                return taken
        except IntegrityError:
            if attempt == RACES - 1:
                raise
    raise AssertionError("unreachable")


def _store(
    source: Source, posts: Sequence[Post], unreadable: Sequence[Unreadable], now: datetime
) -> Taken:
    posts = letters.placed(posts)
    unique = {_key(post): post for post in posts}
    known = {
        (m.channel, m.external_id or ""): m
        for m in Message.objects.filter(_among(unique)).select_related("author", "item__author")
    }
    fresh = [post for key, post in unique.items() if key not in known and not post.is_deleted]
    updated = _update(known, unique, now)
    _add(source, fresh, known, now)
    letters.note_bounces(fresh, now)
    rejected = _set_aside(source, unreadable, now)
    _resolve(source, unique, now)
    return Taken(len(posts), len(fresh), updated, rejected)


def _add(source: Source, posts: list[Post], known: Mapping[Key, Message], now: datetime) -> None:
    if not posts:
        return
    people = _people(posts)
    places = _ancestors(posts, known)
    team = team_of(source)
    plan = Plan()
    for post in _parents_first(posts):
        _place(post, source, people, places, team, plan, now)
    Item.objects.bulk_create(plan.items, batch_size=200)
    Message.objects.bulk_create(plan.messages, batch_size=200)
    _adopt(posts, places, plan)
    Item.objects.filter(pk__in=plan.touched).update(triage_due_at=now)


def _place(
    post: Post,
    source: Source,
    people: Mapping[Key, Person],
    places: dict[Key, Place],
    team: frozenset[str],
    plan: Plan,
    now: datetime,
) -> None:
    """Decide where one post belongs and put it there."""
    author = _handle(post.author)
    ours = letters.is_ours(post, author, team)
    parent = (post.channel, post.parent_id) if post.parent_id else None
    # Whoever answers a mail is in its conversation.
    item = _conversation(parent, author, ours or post.letter is not None, places)
    if post.letter and post.letter.automatic:
        item = None
    elif item is None and not ours and is_about_us(post, source.config):
        item = _new_item(post, source, people.get((post.channel, author)), now)
        plan.items.append(item)
    elif item is not None and item.pk:
        plan.touched.add(item.pk)
    places[_key(post)] = Place(parent, author, item)
    message = _new_message(post, source, people.get((post.channel, author)), item, ours)
    if source.channel == post.channel:  # else the sample plays it
        message.look_again_at = next_look(post.channel, post.created_at, now)
    plan.messages.append(message)


def _conversation(
    key: Key | None, author: str, any_author: bool, places: Mapping[Key, Place]
) -> Item | None:
    """The item that a post joins: the author's own nearest above, or the nearest of anybody."""
    for _ in range(ANCESTOR_LIMIT):
        place = places.get(key) if key else None
        if place is None:
            return None
        if place.item and (any_author or (author and _handle_of(place.item) == author)):
            return place.item
        key = place.parent
    return None


def is_about_us(post: Post, config: Mapping[str, Any]) -> bool:
    """Whether a post matches its source's query, if it has one."""
    return said_about_us(f"{post.title}\n{post.text}", post.author or "", post.url, config)


def said_about_us(text: str, author: str, url: str, config: Mapping[str, Any]) -> bool:
    """Whether what was said matches the query of a source's `config`, if it has one."""
    written = config.get("match")
    if not written:
        return True
    return query.parse(written)(query.Subject(text, author, url, lambda: detect(text)))


def _adopt(posts: Sequence[Post], places: Mapping[Key, Place], plan: Plan) -> None:
    """Give our own earlier posts to the items that they turn out to answer."""
    orphans = Message.objects.filter(
        _among({_key(p): p for p in posts}, "parent_id"), item=None, ours=True
    )
    for message in orphans:
        place = places.get((message.channel, message.parent_id))
        if place and place.item:
            Message.objects.filter(pk=message.pk).update(item=place.item, kind=Kind.REPLY)
            plan.touched.add(place.item.pk)


def _update(known: Mapping[Key, Message], posts: Mapping[Key, Post], now: datetime) -> int:
    """Follow edits and deletions of posts that we hold; staff notes and counts stay."""
    changed = 0
    for key, message in known.items():
        post = posts[key]
        text = "" if post.is_deleted else clean(post.text)
        if message.is_deleted == post.is_deleted and message.text == text:
            continue
        message.text, message.is_deleted, message.edited_at = text, post.is_deleted, now
        if post.is_deleted:
            message.raw = {}
        elif not message.ours:
            message.triaged_at = None  # new words are read anew
        if message.item and not message.ours:  # first, for the search index takes its title along
            _update_item(message.item, message, now)
        message.save(update_fields=["text", "is_deleted", "edited_at", "raw", "triaged_at"])
        changed += 1
    return changed


def _update_item(item: Item, message: Message, now: datetime) -> None:
    """Have an edited text read; of a deleted one nothing is kept, what was made of it stays."""
    first = item.messages.filter(kind=Kind.POST, ours=False).order_by("created_at", "id").first()
    if message == first:
        item.title = "" if message.is_deleted else item.title
        item.first_words = " ".join((message.text or item.title)[:1000].split())[:200]
    if not message.is_deleted:
        item.triage_due_at = now
    item.save(update_fields=["title", "first_words", "triage_due_at"])
    if message.is_deleted:
        HistoryEntry.objects.create(item=item, at=now, event="deleted_at_source")


def _set_aside(source: Source, unreadable: Sequence[Unreadable], now: datetime) -> int:
    rows = [
        RejectedPost(
            source=source,
            channel=source.channel,
            external_id=clean(entry.external_id)[:300],
            raw=storable(entry.raw),
            error=clean(entry.error)[:2000],
            at=now,
        )
        for entry in unreadable
    ]
    RejectedPost.objects.bulk_create(rows, ignore_conflicts=True)
    return len(rows)


def _resolve(source: Source, posts: Mapping[Key, Post], now: datetime) -> None:
    """A post that was set aside and has now been read is no longer rejected."""
    ids = [external_id for _, external_id in posts]
    RejectedPost.objects.filter(
        source=source, external_id__in=ids, resolved_at__isnull=True
    ).update(resolved_at=now)


def _people(posts: Iterable[Post]) -> dict[Key, Person]:
    wanted = {
        (post.channel, _handle(post.author)): clean(post.author_name)[:200]
        for post in posts
        if post.author
    }
    Person.objects.bulk_create(
        [Person(channel=c, handle=h, name=name) for (c, h), name in wanted.items()],
        ignore_conflicts=True,
    )
    found = Person.objects.filter(_among(wanted, "handle"))
    return {(person.channel, person.handle): person for person in found}


def _ancestors(posts: Iterable[Post], known: Mapping[Key, Message]) -> dict[Key, Place]:
    """What the database holds above these posts, one query a level."""
    places = {key: _place_of(message) for key, message in known.items()}
    above = [place.parent for place in places.values()]
    above += [(post.channel, post.parent_id) for post in posts if post.parent_id]
    wanted = {key for key in above if key and key not in places}
    for _ in range(ANCESTOR_LIMIT):
        if not wanted:
            break
        level = Message.objects.filter(_among(wanted)).select_related("author", "item__author")
        found = {(m.channel, m.external_id or ""): _place_of(m) for m in level}
        places |= found
        wanted = {place.parent for place in found.values() if place.parent} - places.keys()
    return places


def _place_of(message: Message) -> Place:
    parent = (message.channel, message.parent_id) if message.parent_id else None
    return Place(parent, message.author.handle if message.author else "", message.item)


def _parents_first(posts: Sequence[Post]) -> list[Post]:
    """Posts by age, each after the one that it answers."""
    by_key = {_key(post): post for post in posts}
    done: set[Key] = set()
    ordered: list[Post] = []
    for post in sorted(posts, key=lambda p: p.created_at):
        chain: list[Post] = []
        step: Post | None = post
        while step and _key(step) not in done:
            chain.append(step)
            done.add(_key(step))
            step = by_key.get((step.channel, step.parent_id or ""))
        ordered += reversed(chain)
    return ordered


def _new_item(post: Post, source: Source, author: Person | None, now: datetime) -> Item:
    text = clean(post.text)
    # A comment's title is its story's; that stands in its context.
    title = "" if post.parent_id else clean(post.title)[:500]
    return Item(
        source=source,
        channel=post.channel,
        author=author,
        title=title,
        url=clean(post.url)[:2000],
        context=clean(post.context)[:5000],
        first_words=" ".join((text or title)[:1000].split())[:200],
        created_at=post.created_at,
        taken_in_at=now,
        triage_due_at=now,
    )


def _new_message(
    post: Post, source: Source, author: Person | None, item: Item | None, ours: bool
) -> Message:
    return Message(
        item=item,
        source=source,
        channel=post.channel,
        external_id=post.external_id,
        parent_id=post.parent_id or "",
        thread_id=post.thread_id,
        author=author,
        kind=Kind.REPLY if ours and item else Kind.POST,
        ours=ours,
        automatic=(post.letter.automatic if post.letter else "") or None,
        text=clean(post.text),
        url=clean(post.url)[:2000],
        created_at=post.created_at,
        raw=storable(dict(post.raw)),
    )


def clean(text: str) -> str:
    """Text that any database stores: bounded, without NUL and half surrogates."""
    return text[:TEXT_LIMIT].replace("\0", "").encode("utf-8", "replace").decode()


def _key(post: Post) -> Key:
    return post.channel, post.external_id


def _handle(author: str | None) -> str:
    return clean(author or "")[:320]


def _handle_of(item: Item) -> str:
    return item.author.handle if item.author else ""


def _among(keys: Iterable[Key], column: str = "external_id") -> Q:
    """Rows of these keys: channel and id, grouped so that the unique index is used."""
    groups: dict[str, list[str]] = {}
    for channel, external_id in keys:
        groups.setdefault(channel, []).append(external_id)
    condition = Q(pk__in=[])
    for channel, ids in groups.items():
        condition |= Q(("channel", channel), (f"{column}__in", ids))
    return condition
