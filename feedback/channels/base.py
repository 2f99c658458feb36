"""What every channel gives and promises.

A channel is a class: `poll` reads a source from its cursor, `parse` makes a post of what was kept
raw, `check` says whether the source can work. What goes wrong is one of two words:
`TryLater` (the service, the network: the next poll is the retry) and `SourceStopped` (a person
must act: a refused credential, a missing setting).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """What could not be parsed, kept raw so that nothing said is lost."""

    external_id: str
    raw: Any
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one poll read, with the cursor that covers exactly this.

    `more` asks for the next poll at once; `wait` overrides the source's interval.
    """

    posts: tuple[Post, ...]
    cursor: Mapping[str, Any]
    unreadable: tuple[Unreadable, ...] = ()
    wait: timedelta | None = None
    more: bool = False


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is to be posted in answer to a post; `key` is ours and unique."""

    key: str
    parent_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Sent:
    """It is there, under this id."""

    external_id: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: the service asked for a pause, or could not be reached at all."""

    reason: str
    wait: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: a person must act."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unsure:
    """It may or may not have arrived: ask `find` before anything is sent again."""

    reason: str


class Replies(Protocol):
    """A channel that can post: `can_reply` is true."""

    def reply(self, reply: Reply) -> Sent | Later | Refused | Unsure:
        """Post once; never repeat a write by itself."""
        ...

    def find(self, reply: Reply) -> Sent | None:
        """The reply if the service has it, None if it certainly has not. Raises TryLater."""
        ...
