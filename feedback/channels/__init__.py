"""One module a channel; this registry is the one line that a new channel adds."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from django.utils.module_loading import import_string

from feedback.channels.base import Channel as ChannelProtocol
from feedback.channels.base import SourceStopped
from feedback.vocabulary import Channel

X_INTENT = "https://x.com/intent/post?in_reply_to="
LINK_TEXT = 1000  # characters of a text in a link
CHANNELS = {
    "email": "feedback.channels.mail.Email",
    "github": "feedback.channels.github.GitHub",
    "hackernews": "feedback.channels.hackernews.HackerNews",
    "reddit": "feedback.channels.reddit.Reddit",
    "sample": "feedback.channels.sample.Sample",
    "twitter": "feedback.channels.twitter.Twitter",
}


def make_channel(name: str, config: Mapping[str, Any], team: frozenset[str]) -> ChannelProtocol:
    """The channel called `name` for one source. Raises SourceStopped if there is none."""
    if name not in CHANNELS:
        raise SourceStopped(f'Channel "{name}" cannot be polled by this version.')
    channel: ChannelProtocol = import_string(CHANNELS[name])(config, team=team)
    return channel


def can_reply(channel: str, source_channel: str) -> bool:
    """Whether a reply to a post shown as `channel`, read by `source_channel`, can be sent for us.

    Hacker News has no write API; what no module here can read, a person answers by hand.
    """
    if channel == Channel.HACKERNEWS or source_channel not in CHANNELS:
        return False
    return bool(import_string(CHANNELS[source_channel]).can_reply)


def like_word(channel: str, source_channel: str) -> str:
    """What liking a post is called there, empty where no program may."""
    if channel != source_channel or source_channel not in CHANNELS:
        return ""
    return str(getattr(import_string(CHANNELS[source_channel]), "like_word", ""))


def account_name(channel: str, account: str) -> str:
    """The account as people write it there."""
    prefix = {Channel.TWITTER: "@", Channel.REDDIT: "u/"}.get(Channel(channel), "")
    return f"{prefix}{account}" if account else ""


def with_text(page: str, text: str) -> str:
    """A reply page that has the text in its form already, where the service has such a link."""
    return f"{page}&text={quote(text[:LINK_TEXT])}" if page.startswith(X_INTENT) else page


def reply_page(channel: str, external_id: str) -> str:
    """The page on which a person answers a post by hand, or an empty string."""
    if channel == Channel.HACKERNEWS and external_id.isdigit():
        return f"https://news.ycombinator.com/reply?id={external_id}"
    if channel == Channel.TWITTER and external_id.isdigit():
        return f"{X_INTENT}{external_id}"
    return ""
