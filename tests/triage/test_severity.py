"""Evidence in the text: said, denied, imagined."""

import pytest

from triage.classifier.examples import Like
from triage.playbook import shipped
from triage.severity import decide, evidence

CALM = {"P0": 0.1, "P1": 0.2, "P2": 0.6, "P3": 0.1}


@pytest.mark.parametrize(
    "text",
    [
        "After the update I lost all my data.",
        "I can see someone else's data in my account!",
        "Your api key is visible in the page source.",
        "The whole site is down for everyone here.",
        "I was charged twice this month",
        "If I press reload, everything is gone.",
        "We got hacked through the webhook endpoint",
    ],
)
def test_what_happened_is_evidence_of_a_p0(text):
    assert evidence(text, shipped()).is_grave
    grade = decide(CALM, evidence(text, shipped()), 0.5)
    assert (grade.severity, grade.p0_probability) == ("P0", None)
    assert "is evidence of P0" in " ".join(grade.reasons)


@pytest.mark.parametrize(
    "text",
    [
        "Luckily no data was lost.",
        "I never lost my data, it is just slow.",
        "What if it leaked my token?",
        "It would be terrible if I lost all my data.",
        "How do you handle data loss?",
        "I am worried about a data breach.",
        "Do you have a way to prevent data corruption",
        "A data breach is not what happened here, relax: data loss was not the problem.",
        "The colours are off.",
    ],
)
def test_what_is_denied_or_imagined_is_none(text):
    assert not evidence(text, shipped()).is_grave


def test_a_p0_by_the_model_that_the_text_denies_is_lowered():
    text = "Luckily no data was lost, but the export is odd."
    scores = {"P0": 0.7, "P1": 0.1, "P2": 0.2, "P3": 0.0}
    grade = decide(scores, evidence(text, shipped()), 0.5)
    assert (grade.severity, grade.p0_probability) == ("P2", None)
    assert "denied or imagined" in " ".join(grade.reasons)


def test_evidence_that_the_model_does_not_believe_at_all_makes_a_p1():
    unlikely = {"P0": 0.01, "P1": 0.09, "P2": 0.8, "P3": 0.1}
    assert decide(unlikely, evidence("I lost my data", shipped()), 0.5).severity == "P1"


def test_a_probable_p0_wins_by_precaution_though_it_is_not_the_likeliest():
    probable = {"P0": 0.4, "P1": 0.5, "P2": 0.1, "P3": 0.0}
    grade = decide(probable, evidence("", shipped()), 0.35)
    assert (grade.severity, grade.p0_probability) == ("P0", 0.4)
    assert "by precaution" in grade.reasons[-1]


@pytest.mark.parametrize(("bug", "probability"), [(1.0, None), (0.7, 0.42)])
def test_a_p0_that_is_likelier_none_is_one_by_precaution(bug, probability):
    likely = {"P0": 0.6, "P1": 0.3, "P2": 0.1, "P3": 0.0}
    assert decide(likely, evidence("", shipped()), 0.35, bug).p0_probability == probability


def test_words_inside_others_are_no_evidence():
    assert not evidence("I unwiped the swiped screen, leakedness aside", shipped()).found


def test_long_hostile_text_takes_bounded_time():
    assert not evidence("no " * 200_000, shipped()).found


CORRUPTION = {"P0": Like("Database corruption", 0.9)}


def test_what_is_as_good_as_an_example_of_the_playbook_is_evidence():
    found = evidence("The tables in the database are garbled", shipped(), CORRUPTION)
    assert found.is_grave
    assert "database corruption" in " ".join(decide(CALM, found, 0.5).reasons)


@pytest.mark.parametrize(
    "text",
    [
        "Are the tables in the database garbled?",
        "The tables in the database are not garbled",
        "The tables in the database might get garbled",
    ],
)
def test_an_example_that_is_asked_denied_or_imagined_is_none(text):
    assert not evidence(text, shipped(), CORRUPTION).found


def test_a_faint_likeness_is_no_evidence():
    faint = {"P0": Like("Database corruption", 0.6)}
    assert not evidence("The tables look odd", shipped(), faint).found
