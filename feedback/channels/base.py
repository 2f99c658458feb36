"""What every channel gives and promises.

A channel is a class: `poll` reads a source from its cursor, `parse` makes a post of what was kept
raw, `check` says whether the source can work. What goes wrong is one of two words:
`TryLater` (the service, the network: the next poll is the retry) and `SourceStopped` (a person
must act: a refused credential, a missing setting).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol, runtime_checkable


class ChannelError(Exception):
    """A source could not be read; the message is shown to staff."""


class TryLater(ChannelError):
    """The service cannot answer now; `wait` is what it asked for, if it did."""

    def __init__(self, message: str, wait: timedelta | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class SourceStopped(ChannelError):
    """The source cannot work until a person changes something; polling stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What a mail says beside its text, for whoever decides where it belongs.

    `fingerprint` is of its content: one id with two fingerprints is two mails. `ancestors` are the
    ids that it answers, nearest first. `ours` overrules what the author's address says; `is_copy`
    if this service sent it, so that it is news only to a database that was restored.
    `automatic` says why a program wrote it, if one did.
    """

    fingerprint: str
    ancestors: tuple[str, ...] = ()
    ours: bool = False
    is_copy: bool = False
    automatic: str = ""
    is_failure: bool = False  # a bounce that says that a mail did not arrive


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post as a channel read it; `text` is clean plain text, instants are aware UTC."""

    channel: str
    external_id: str
    thread_id: str
    parent_id: str | None
    author: str | None
    text: str
    created_at: datetime
    author_name: str = ""
    title: str = ""
    url: str = ""
    context: str = ""
    is_deleted: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)
    letter: Letter | None = None  # of mails alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """What could not be parsed, kept raw so that nothing said is lost."""

    external_id: str
    raw: Any
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one poll read, with the cursor that covers exactly this.

    `more` asks for the next poll at once; `wait` overrides the source's interval, `no_sooner`
    can only make it longer. `meter` has what the service told of its limits and costs, in words
    for staff ("reads left": 120); `account` the name as which we are known there, if it was told.
    `failure`: a part of the source could not be read, though what is here could.
    """

    posts: tuple[Post, ...]
    cursor: Mapping[str, Any]
    unreadable: tuple[Unreadable, ...] = ()
    wait: timedelta | None = None
    no_sooner: timedelta | None = None
    more: bool = False
    account: str = ""
    failure: TryLater | None = None
    meter: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a source can work, in one line for a person."""

    ok: bool
    message: str


class Channel(Protocol):
    """One channel; `config` is the source's table in the playbook, `team` our own handles there."""

    can_reply: ClassVar[bool]

    def __init__(self, config: Mapping[str, Any], *, team: frozenset[str]) -> None: ...

    def poll(self, cursor: Mapping[str, Any]) -> Batch:
        """Read what is new since `cursor` (empty at the first poll).

        Raises TryLater or SourceStopped; the cursor then stays where it was.
        """
        ...

    def parse(self, raw: Any) -> Post:
        """Make a post of what an Unreadable kept. Raises ValueError if it still cannot."""
        ...

    def check(self) -> Health:
        """Ask the service whether the source can work."""
        ...

    def refresh(self, external_ids: Sequence[str]) -> list[Post]:
        """What became of posts: each as it is now, edited or `is_deleted`; unknown ones left out.

        Raises TryLater or SourceStopped.
        """
        ...


@runtime_checkable
class Metered(Protocol):
    """A channel whose service bills what is looked at again.

    Its cursor has `looks`: how many posts of the source ever were.
    """

    def may_look(self, cursor: Mapping[str, Any]) -> bool:
        """Whether posts may be looked at again now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is to be posted in answer to a post; `key` is ours and unique.

    `parent` is the answered post's `raw`; `decided_at` is before any attempt to send;
    `is_automatic` if no person pressed send.
    """

    key: str
    parent_id: str
    text: str
    thread_id: str = ""
    title: str = ""
    parent: Mapping[str, Any] = field(default_factory=dict)
    decided_at: datetime | None = None
    is_automatic: bool = False


@dataclass(frozen=True, slots=True)
class Sent:
    """It is there, under this id."""

    external_id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now, and it was not posted: the service asked for a pause, or did not answer at all."""

    reason: str
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class ByHand:
    """The service lets only a person post this; where is what `reply_page` says."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: a person must act."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """It may or may not have arrived: ask `find` before anything is sent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Absent:
    """It is certainly not there: it may be sent again."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The service cannot tell whether it is there: a person must look."""

    reason: str


class Likes(Protocol):
    """A channel on which a post can be liked, upvoted or the like; once more changes nothing."""

    like_word: ClassVar[str]  # what the service calls it

    def like(self, post_id: str, raw: Mapping[str, Any]) -> Sent | Later | Refused | Unsure:
        """Like a post; `raw` is what was kept of it."""
        ...


class Replies(Protocol):
    """A channel that can post: `can_reply` is true."""

    def reply(self, reply: Reply) -> Sent | Later | ByHand | Refused | Unsure:
        """Post once; never repeat a write by itself."""
        ...

    def find(self, reply: Reply) -> Sent | Absent | Unknown:
        """Whether the reply is there. Raises TryLater."""
        ...
