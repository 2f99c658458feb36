"""When a post is looked at again at its source."""

from datetime import datetime, timedelta

from feedback.vocabulary import Channel

AGES = tuple(timedelta(hours=hours) for hours in (1, 6, 24, 72, 168))
# A mail stays as it was sent; X bills every look and asks to honour deletions within a day.
AGES_BY_CHANNEL = {
    Channel.EMAIL: (),
    Channel.SAMPLE: (),
    Channel.TWITTER: (timedelta(hours=24),),
}


def next_look(channel: str, created_at: datetime, now: datetime) -> datetime | None:
    """The next age at which a post is looked at again, or None when it is old enough."""
    ages = AGES_BY_CHANNEL.get(Channel(channel), AGES)
    return next((created_at + age for age in ages if created_at + age > now), None)
