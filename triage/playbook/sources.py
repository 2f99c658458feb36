"""The sources of a playbook: one table a place that is polled, with the fields of its channel."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from feedback import query
from triage.playbook.durations import duration

Duration = Annotated[timedelta, BeforeValidator(duration)]
LOOPBACK = ("127.0.0.1", "::1", "localhost")
Word = Annotated[str, Field(min_length=1, max_length=200)]


def _match(text: str) -> str:
    if text:
        query.parse(text)
    return text


class _Source(BaseModel):
    """What every source has; secrets are named (`*_env`), never written.

    `match`: which of what is read is about us, as `feedback.query` has it; empty for all of it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    every: Duration = timedelta(minutes=5)
    enabled: bool = True
    team: list[Word] = []
    backfill: Duration = timedelta(days=1)
    match: Annotated[str, AfterValidator(_match)] = ""

    def ours(self) -> list[str]:
        """Handles that are ours by what the source itself says."""
        return []

    def config(self) -> dict[str, Any]:
        """What the channel reads: the source's own fields, spans in seconds."""
        left_out = {"name", "channel", "enabled", "every", "backfill"}
        written = self.model_dump(mode="json", exclude=left_out)
        return written | {"backfill": f"{int(self.backfill.total_seconds())}s"}


class HackerNewsSource(_Source):
    channel: Literal["hackernews"]
    queries: list[Word] = []
    stories: list[Annotated[int, Field(gt=0)] | Word] = []  # as numbers or addresses


class TwitterSource(_Source):
    channel: Literal["twitter"]
    handle: str = ""
    queries: list[Word] = []
    long_posts: bool = False  # our account may write more than 280 characters
    monthly_reads: Annotated[int, Field(gt=0)] = 10_000  # posts that X may bill

    def ours(self) -> list[str]:
        return [self.handle] if self.handle else []


class RedditSource(_Source):
    channel: Literal["reddit"]
    subreddits: list[Word] = []
    words: list[Word] = []
    submissions: list[Word] = []
    inbox: bool = False


class EmailSource(_Source):
    """A mailbox, or several of one login.

    `address` is what our replies come from, the user if that is one; `sent` the folder of sent
    mail, found by itself; `lists` the List-Ids of groups of our own, whose mail is people's.
    With any `oauth_*` the login is XOAUTH2.
    """

    channel: Literal["email"]
    host: Word
    port: Annotated[int, Field(gt=0, lt=65_536)] = 993
    tls: bool = True
    user: Word
    password_env: Word = ""
    mailbox: Word | Annotated[list[Word], Field(min_length=1, max_length=20)] = "INBOX"
    address: str = ""
    from_name: str = ""
    read_sent: bool = True
    sent: str = ""
    copy_to_us: bool = True
    mark_address: bool = False
    lists: list[Word] = []
    oauth_token_url: str = ""
    oauth_client_id: str = ""
    oauth_client_secret_env: str = ""
    oauth_refresh_token_env: str = ""
    oauth_scope: str = ""
    oauth_token_env: str = ""

    @model_validator(mode="after")
    def _can_log_in(self) -> "EmailSource":
        if not self.tls and self.host not in LOOPBACK:
            raise ValueError("tls = false is for a server on this machine alone")
        if not (self.password_env or self.oauth_token_env or self.oauth_token_url):
            raise ValueError('name the password\'s setting: password_env = "SUPPORT_PASSWORD"')
        if self.oauth_token_url and not self.oauth_token_url.startswith(
            ("https://", "http://127.")
        ):
            raise ValueError("oauth_token_url begins with https://")
        if "@" not in (self.address or self.user):
            raise ValueError('the user is no address: write address = "support@…" too')
        return self

    def ours(self) -> list[str]:
        return [self.address or self.user]


class GitHubSource(_Source):
    channel: Literal["github"]
    repositories: list[Word] = []
    issues: bool = True
    discussions: bool = True


SourceRule = Annotated[
    HackerNewsSource | TwitterSource | RedditSource | EmailSource | GitHubSource,
    Field(discriminator="channel"),
]
