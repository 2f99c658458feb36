"""The order of each head's classes; part of the model's format."""

CATEGORIES = ("bug", "feature", "question", "setup", "praise", "criticism", "other")
SENTIMENTS = ("negative", "neutral", "positive")
SEVERITIES = ("P0", "P1", "P2", "P3")
TOPICS = ("engineering", "product", "devops", "qa", "ceo", "none")
HEADS = {
    "category": CATEGORIES,
    "sentiment": SENTIMENTS,
    "severity": SEVERITIES,
    "topic": TOPICS,
}
ALIASES = {"complaint": "criticism"}
