"""How often we post: pure decisions."""

from datetime import timedelta

from tests.make import LAUNCH
from triage.manners import Hold, Posted, Wait, is_alike, judge
from triage.playbook.schema import Manners

RULE = Manners(pace=timedelta(minutes=1), daily=3, alike=2)


def posted(minutes_ago: float, text: str = "Something else.") -> Posted:
    return Posted(LAUNCH - timedelta(minutes=minutes_ago), text)


def test_the_first_reply_goes_at_once():
    assert judge("Thanks!", [], RULE, LAUNCH) is None
    assert judge("Thanks!", [posted(2)], RULE, LAUNCH) is None


def test_the_pace_and_the_budget_are_kept():
    pace = judge("Thanks!", [posted(0.5)], RULE, LAUNCH)
    assert isinstance(pace, Wait)
    assert pace.span == timedelta(seconds=30)
    full = judge("Thanks!", [posted(600), posted(5), posted(7)], RULE, LAUNCH)
    assert isinstance(full, Wait)
    assert full.span == timedelta(hours=14)
    assert "budget of 3" in full.reason


def test_one_text_to_many_is_held():
    text = "Hi {}, thanks for the report, we are looking at it and will tell you within 2 hours."
    recent = [posted(600, text.format(name)) for name in ("ann", "bob")]
    assert isinstance(judge(text.format("cid"), recent, RULE, LAUNCH), Hold)
    assert judge("Which version do you run?", recent, RULE, LAUNCH) is None


def test_alike_is_most_words_in_common():
    assert is_alike("a b c d e", "A b c d e")
    assert not is_alike("a b c d e", "a b x y z")
    assert not is_alike("", "a")
