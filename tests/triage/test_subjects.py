"""Who answers, steered by the playbook's subjects in words and in examples."""

from triage.classifier.examples import Like
from triage.playbook import shipped
from triage.subjects import steer

UNDECIDED = {
    "engineering": 0.3, "product": 0.3, "devops": 0.1, "qa": 0.1, "ceo": 0.15, "none": 0.05,
}  # fmt: skip


def test_a_word_of_a_subject_pulls_to_its_topic_and_is_told():
    topic, why = steer("I am a journalist", UNDECIDED, shipped())
    assert topic == "ceo"
    assert "journalist" in why[0]


def test_an_example_of_a_subject_pulls_without_any_of_its_words():
    likest = {"ceo": Like("I write for a magazine and would like an interview.", 0.7)}
    topic, why = steer("Could our paper talk to the founder", UNDECIDED, shipped(), likest)
    assert topic == "ceo"
    assert "I write for a magazine" in why[0]


def test_what_is_hardly_like_an_example_stays_as_the_model_says():
    likest = {"ceo": Like("I write for a magazine and would like an interview.", 0.2)}
    assert steer("The paper tray is empty", UNDECIDED, shipped(), likest) == ("engineering", [])


def test_a_sure_model_is_not_overruled_by_one_word():
    sure = dict.fromkeys(UNDECIDED, 0.01) | {"engineering": 0.95}
    assert steer("The interview page crashes", sure, shipped())[0] == "engineering"
