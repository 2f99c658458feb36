"""Who answers, and by when: the launch plan's tables, row by row."""

from datetime import timedelta

import pytest

from triage.playbook import shipped
from triage.routing import route

M15, M30, H1, H2 = (timedelta(minutes=n) for n in (15, 30, 60, 120))


@pytest.mark.parametrize(
    ("category", "severity", "topic", "responder", "respond"),
    [
        ("bug", "P0", "engineering", "eng-manager", M15),
        ("bug", "P1", "none", "eng-manager", M15),
        ("bug", "P2", "engineering", "qa-triage", H1),
        ("bug", "P3", "product", "qa-triage", H1),
        ("bug", None, "none", "qa-triage", H1),
        ("feature", None, "product", "product-manager-2", H2),
        ("question", None, "product", "product-1", H1),
        ("question", None, "none", "product-1", H1),
        ("question", None, "engineering", "engineering", H1),
        ("question", None, "devops", "devops", H1),
        ("question", None, "qa", "qa", H1),
        ("question", None, "ceo", "ceo", H1),
        ("setup", None, "devops", "devops", H1),
        ("setup", None, "engineering", "engineering", H1),
        ("setup", None, "none", "devops", H1),
        ("praise", None, "none", "", None),
        ("criticism", None, "product", "product-manager-2", M30),
        ("criticism", None, "ceo", "ceo", M30),
        ("other", None, "none", "", None),
    ],
)
def test_each_row_names_its_responder_and_its_time(category, severity, topic, responder, respond):
    decision = route(category, severity, topic, shipped())
    assert (decision.responder, decision.respond) == (responder, respond)


def test_qa_answers_beside_the_manager_for_grave_bugs():
    assert route("bug", "P0", "none", shipped()).together == ("qa",)


def test_the_first_who_is_available_answers_else_the_first_named():
    rules = shipped()
    assert route("setup", None, "none", rules, lambda name: name != "devops").responder == (
        "engineering"
    )
    assert route("setup", None, "none", rules, lambda _: False).responder == "devops"


def test_who_cannot_be_found_falls_to_the_community_lead():
    rules = shipped()
    gone = rules.model_copy(
        update={
            "routes": [
                row.model_copy(update={"responders": ["nobody"]})
                if row.category == "feature"
                else row
                for row in rules.routes
            ]
        }
    )
    assert route("feature", None, "none", gone, lambda _: True).responder == "product-manager-2"


def test_two_names_of_one_role_are_one():
    assert shipped().role("engineering-manager") == "eng-manager"
