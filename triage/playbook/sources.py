"""The sources of a playbook: one table a place that is polled, with the fields of its channel."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from feedback import query
from triage.playbook.durations import duration

Duration = Annotated[timedelta, BeforeValidator(duration)]
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
    channel: Literal["email"]
    host: Word
    port: Annotated[int, Field(gt=0, lt=65_536)] = 993
    tls: bool = True
    user: Word
    password_env: Word
    mailbox: Word = "INBOX"


class GitHubSource(_Source):
    channel: Literal["github"]
    repositories: list[Word] = []
    issues: bool = True
    discussions: bool = True


SourceRule = Annotated[
    HackerNewsSource | TwitterSource | RedditSource | EmailSource | GitHubSource,
    Field(discriminator="channel"),
]
