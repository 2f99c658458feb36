"""The words of the design that rows and rules share."""

from django.db.models import TextChoices


class Channel(TextChoices):
    """Where somebody said something."""

    HACKERNEWS = "hackernews", "Hacker News"
    TWITTER = "twitter", "Twitter/X"
    REDDIT = "reddit", "Reddit"
    EMAIL = "email", "Email"
    GITHUB = "github", "GitHub"
    SAMPLE = "sample", "Sample launch"


class State(TextChoices):
    """Where an item stands in the queue."""

    NEW = "new", "New"
    OPEN = "open", "Open"
    WAITING = "waiting", "Waiting for them"
    SNOOZED = "snoozed", "Snoozed"
    CLOSED = "closed", "Closed"
    SPAM = "spam", "Spam"


class Category(TextChoices):
    """What the author needs from the team."""

    BUG = "bug", "Bug"
    FEATURE = "feature", "Feature request"
    QUESTION = "question", "Question"
    SETUP = "setup", "Setup trouble"
    PRAISE = "praise", "Praise"
    CRITICISM = "criticism", "Criticism"
    OTHER = "other", "Other"


class Sentiment(TextChoices):
    """How the author feels about the product or the team."""

    NEGATIVE = "negative", "Negative"
    NEUTRAL = "neutral", "Neutral"
    POSITIVE = "positive", "Positive"


class Severity(TextChoices):
    """How bad a bug is; the playbook defines each level."""

    P0 = "P0", "P0"
    P1 = "P1", "P1"
    P2 = "P2", "P2"
    P3 = "P3", "P3"


class Topic(TextChoices):
    """Who should answer by subject."""

    ENGINEERING = "engineering", "Engineering"
    PRODUCT = "product", "Product"
    DEVOPS = "devops", "DevOps"
    QA = "qa", "QA"
    CEO = "ceo", "CEO"
    NONE = "none", "None"


class Closed(TextChoices):
    """Why an item was closed; only the first two mean that a promise was kept."""

    ANSWERED = "answered", "Answered"
    FIXED = "fixed", "Fixed"
    NO_FEEDBACK = "no_feedback", "No feedback"
    DUPLICATE = "duplicate", "Duplicate"


MISSED = "missed"
"""The name, in a source's meter, of what its service no longer lists and nobody has read."""
