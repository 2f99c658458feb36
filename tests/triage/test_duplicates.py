"""The same problem in other words: found, scored, and what many reports of it do."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from feedback.intake import add_posts
from feedback.models import Item
from tests.make import LAUNCH, make_item, make_post, make_source
from triage import bursts, pipeline, playbook
from triage.classifier import Text, get_reader
from triage.classifier.rows import read_rows, text_of
from triage.classifier.training import duplicates as training
from triage.duplicates.index import Index
from triage.duplicates.score import NAMES, SAME, Likeness, coefficients, probability
from triage.duplicates.traits import Report, report_of, stem, traits_of, words_of
from triage.models import Reading
from triage.playbook.schema import ClusterRule
from triage.severity import raised_by_reports
from triage.similar import packed, unpacked

REPORTS = [
    "I can't log in, I just get an error 500.",
    "Login is broken for me too, 500 after I enter my password",
    "cannot sign in since this morning, server error 500",
    "The task board doesn't load, only a spinner",
    "board never loads, stuck on spinner forever",
    "Please add a dark mode, my eyes hurt",
    "How do I export my tasks as CSV?",
    "I love the little office, great work!",
]
RULE = ClusterRule(reports=5, within="15m", alike=0.05)


def reports(texts: list[str], **values) -> list[Report]:
    given = [Text(text=text) for text in texts]
    rows = get_reader().outputs(given)["embedding"]
    pairs = enumerate(zip(given, rows, strict=True))
    return [report_of(number, text, row, **values) for number, (text, row) in pairs]


def plain(key: int, text: str, title: str = "", **values) -> Report:
    return report_of(key, Text(text=text, title=title), None, **values)


def index_of(*held: Report, **values) -> Index:
    index = Index(**values)
    index.add(held)
    return index


# What a text is compared by


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The board crashes", ["board", "crash"]),
        ("readBlockLength", ["readblocklength", "read", "block", "length"]),
        ("GCS-connector.jar", ["gcs-connector.jar", "gcs", "connector", "jar"]),
        ("I am in it", []),
        ("Müller läuft", ["müller", "läuft"]),
    ],
)
def test_words_are_those_that_tell(text, words):
    found = words_of(text)
    assert [word for word in words if word not in found] == []
    assert bool(found) is bool(words)


def test_endings_do_not_part_words():
    assert {stem(word) for word in ("crash", "crashes", "crashed", "crashing")} == {"crash"}
    assert stem("class") == "class"


def test_errors_and_versions_are_found_in_code_too():
    found = traits_of(
        Text(
            text="After 2.7.3:\n```\njava.io.IOException: ECONNRESET\n```\nv2.8.0 works, HTTP 503."
        )
    )
    assert {"ioexception", "econnreset", "503"} <= found.errors
    assert found.versions == {"2.7.3", "2.8.0"}


@pytest.mark.parametrize(
    "text",
    ["", " ", "🎉", "a" * 1_000_000, "\x00\ud800", "at a.b(C.java:1)\n" * 50_000, "1.2." * 9],
)
def test_any_text_can_be_compared(text):
    index = index_of(plain(1, text), plain(2, "The board crashes."))
    assert all(0 <= match.score <= 1 for match in index.find(plain(3, text)))


# Finding


def test_the_same_in_other_words_is_found_first():
    held = reports(REPORTS)
    index = index_of(*held)
    first = [index.find(one, 1)[0].key for one in held]
    assert set(first[:3]) <= {0, 1, 2}
    assert (first[3], first[4]) == (4, 3)
    same, other = index.find(held[3])[0].score, index.find(held[5])[0].score
    assert same > 0.05 > other


def test_a_text_is_not_its_own_duplicate():
    held = [plain(1, "The board crashes."), plain(2, "The board crashes.")]
    assert [match.key for match in index_of(*held).find(held[0])] == [2]


def test_an_empty_window_finds_nothing():
    assert Index().find(plain(1, "x")) == []
    assert index_of().find(plain(1, "x")) == []


def test_the_window_keeps_the_newest():
    index = index_of(*(plain(n, f"Report of crash{n}") for n in range(5)), limit=3)
    assert len(index) == 3
    assert {match.key for match in index.find(plain(9, "Report of crash"))} == {2, 3, 4}


def test_what_is_added_again_takes_the_place_of_the_old():
    index = index_of(plain(1, "The board crashes."), plain(2, "Dark mode, please."))
    index.add([plain(1, "Dark mode for the board, please.")])
    assert len(index) == 2
    assert index.find(plain(2, "Dark mode, please."))[0].likeness.words > 0.5


def test_what_comes_one_by_one_is_scored_as_what_comes_at_once():
    texts = [
        f"The {word} of the board fails with error {n}" for n, word in enumerate("abcdefgh" * 9)
    ]
    held = [plain(n, text) for n, text in enumerate(texts)]
    at_once, grown = index_of(*held), Index()
    for one in held:
        grown.add([one])
    asked = plain(99, "The board fails with error 7")
    ours, theirs = (index.find(asked, 5) for index in (at_once, grown))
    assert [match.key for match in ours] == [match.key for match in theirs]
    assert [m.score for m in ours] == pytest.approx([m.score for m in theirs], abs=0.02)


def test_every_likeness_speaks_for_the_same_and_time_against_it():
    by = coefficients()
    assert set(by) == {"intercept", *NAMES}
    assert by["intercept"] < 0
    assert by["apart"] < 0
    assert all(by[name] > 0 for name in NAMES if name != "apart")


def test_a_score_is_a_probability():
    low = Likeness(**dict.fromkeys(NAMES, 0.0))
    high = Likeness(**dict.fromkeys(NAMES, 1.0) | {"apart": 0.0})
    assert probability(low, coefficients()) < 0.01
    assert probability(high, coefficients()) > 0.9 > SAME


def test_old_reports_are_less_likely_the_same():
    text = "The board crashes on load with TypeError"
    held = [plain(1, text, at=LAUNCH), plain(2, text, at=LAUNCH - timedelta(days=400))]
    asked = plain(3, text, at=LAUNCH + timedelta(hours=1))
    assert [match.key for match in index_of(*held).find(asked)] == [1, 2]


def test_embeddings_are_kept_as_half_floats():
    row = np.linspace(-1, 1, 384, dtype=np.float32)
    stored = packed(row)
    assert len(stored) == 2 * 384
    assert np.abs(unpacked(stored) - row).max() < 0.001


def test_known_duplicates_are_found_better_than_by_meaning_alone(shared):
    """A part of the set, cut down for time; the whole is scored by `manage.py evaluate`."""
    rows = list(read_rows(str(shared / "datasets/duplicates_hadoop.jsonl.gz")))
    rows = [row for n, row in enumerate(rows) if row["duplicates"] or n % 16 == 0]
    twins = {n: set(row["duplicates"]) for n, row in enumerate(rows) if row["duplicates"]}
    texts = [text_of(row) for row in rows]
    embeddings = get_reader().outputs(texts)["embedding"]
    held = [report_of(n, text, embeddings[n]) for n, text in enumerate(texts)]
    index = index_of(*held)
    by_score = {n: [match.key for match in index.find(held[n], 5)] for n in twins}
    cosines = embeddings @ embeddings.T - 2 * np.eye(len(rows))
    by_meaning = {n: np.argsort(-cosines[n])[:5].tolist() for n in twins}

    def recall(found):
        return np.mean([any(rows[k]["id"] in twins[n] for k in keys) for n, keys in found.items()])

    assert recall(by_score) > 0.85
    assert recall(by_score) > recall(by_meaning)


# Fitting


def test_the_fit_learns_what_makes_two_the_same():
    """Made-up reports, each pair with words of its own and a spelling of its own."""
    rows = [
        {"id": f"{n}{side}", "title": f"crash{n} in part{n % 7} of export{n % 11}",
         "text": f"It fails {side} {n % 5}.{n % 3}.1 with trouble{n} and fault{n % 13}",
         "duplicates": [f"{n}{'a' if side == 'b' else 'b'}"]}
        for n in range(40)
        for side in "ab"
    ]  # fmt: skip
    drawn = np.random.default_rng(3).normal(size=(40, 384))
    noise = np.random.default_rng(4).normal(size=(80, 384))
    vectors = np.repeat(drawn, 2, axis=0) + noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = training.pairs_of(rows, vectors.astype(np.float32))
    by = training.fit(pairs.likenesses, pairs.is_same)
    assert by["intercept"] < 0 < min(by["meaning"], by["words"], by["letters"])
    assert set(by) == set(coefficients())
    figures = training.cross_validated(pairs)
    assert figures["recall@1"] > 0.9
    assert figures == training.cross_validated(pairs)


def test_no_pair_is_scored_by_a_fit_that_saw_its_texts():
    rows = [
        {"id": name, "text": f"text {name}", "duplicates": twins}
        for name, twins in (("a", ["b"]), ("b", ["c"]), ("c", []), ("d", ["e"]), ("e", ["d"]))
    ]
    pairs = training.pairs_of(rows, np.zeros((5, 384), dtype=np.float32))
    group = dict(zip(pairs.asked.tolist(), pairs.group.tolist(), strict=True))
    assert group[0] == group[1] != group[3] == group[4]


# Many reports at once


@pytest.mark.parametrize(
    ("severity", "people", "raised"),
    [
        ("P2", 4, "P2"),
        ("P2", 5, "P1"),
        ("P1", 5, "P0"),
        ("P1", 500, "P0"),
        ("P2", 500, "P1"),
        ("P0", 9, "P0"),
        ("P3", 9, "P3"),
        ("", 9, ""),
    ],
)
def test_many_reports_raise_by_one_and_never_lower(severity, people, raised):
    found, reason = raised_by_reports(severity, people, RULE)
    assert found == raised
    assert bool(reason) is (found != severity)
    if reason:
        assert reason == f"{people} people report the same within 15 minutes: {raised}"


def test_without_a_rule_nothing_is_raised():
    assert raised_by_reports("P2", 99, None) == ("P2", "")


SAME_BUG = (
    "The CSV export has wrong dates in it, it is a bug",
    "Bug: dates in the exported CSV are wrong",
    "CSV export shows wrong dates for all tasks",
    "The dates are wrong when I export to CSV",
    "There is a bug in the CSV export: all dates are wrong",
)
OTHERS = (
    "The export fails with an error",
    "Login is broken, error 500",
    SAME_BUG[0],
    "Tooltips crash in Firefox",
    "Docker image does not start",
)


def fresh(
    texts: tuple[str, ...] = SAME_BUG,
    severity: str = "P2",
    p0_probability: float | None = None,
    **values,
) -> list[bursts.Fresh]:
    """New items of different people, read as bugs of one severity."""
    as_bug = {"category": "bug", "severity": severity, "p0_probability": p0_probability}
    read = get_reader().read([Text(text=text) for text in texts])
    return [
        bursts.Fresh(
            make_item(text=text, **values),
            text,
            replace(one, why=("its words",), **as_bug),
        )
        for text, one in zip(texts, read, strict=True)
    ]


def keep(known: list[bursts.Fresh]) -> None:
    """As the pipeline does once it has read them."""
    for one in known:
        Reading.objects.create(
            item=one.item, model="m", category="bug", sentiment="neutral", topic="qa",
            confidence=1, trusted=True, language="en", read_at=LAUNCH,
            embedding=packed(one.reading.embedding),
        )  # fmt: skip


def rules(**values):
    return playbook.shipped().model_copy(update={"clusters": RULE.model_copy(update=values)})


@pytest.mark.django_db
def test_the_fifth_person_within_minutes_raises_the_bug():
    *earlier, last = fresh()
    keep(earlier[:3])
    assert bursts.raised([last], rules()) == {}
    keep(earlier[3:])
    (reading,) = bursts.raised([last], rules()).values()
    said = "5 people report the same within 15 minutes: P1"
    assert (reading.severity, reading.why) == ("P1", ("its words", said))


@pytest.mark.django_db
def test_a_flood_in_one_batch_raises_all_of_it():
    flood = fresh(severity="P1")
    raised = bursts.raised(flood, rules())
    assert {pk: reading.severity for pk, reading in raised.items()} == {
        one.item.pk: "P0" for one in flood
    }


@pytest.mark.django_db
def test_a_flood_makes_a_p0_by_precaution_a_sure_one():
    flood = fresh(severity="P0", p0_probability=0.3)
    for reading in bursts.raised(flood, rules()).values():
        assert (reading.severity, reading.p0_probability) == ("P0", None)
        assert "5 people report the same" in reading.why[-1]
    assert len(bursts.raised(flood, rules())) == len(flood)


@pytest.mark.django_db
def test_a_sample_day_played_in_minutes_is_no_flood():
    flood = fresh(severity="P1", source=make_source("sample", channel="sample"))
    assert bursts.raised(flood, rules()) == {}


@pytest.mark.django_db
def test_one_person_is_one_report():
    one = make_item().author
    assert bursts.raised(fresh(author=one), rules()) == {}
    assert bursts.raised(fresh(author=None), rules()) == {}


@pytest.mark.django_db
def test_the_same_over_hours_is_no_burst():
    *earlier, last = fresh()
    keep(earlier)
    Item.objects.filter(pk=earlier[0].item.pk).update(created_at=LAUNCH - timedelta(minutes=16))
    assert bursts.raised([last], rules()) == {}
    assert bursts.raised([last], rules(within=timedelta(minutes=20)))


@pytest.mark.django_db
def test_other_bugs_of_the_same_minutes_are_not_the_same():
    assert bursts.raised(fresh(OTHERS), rules()) == {}


@pytest.mark.django_db
@pytest.mark.parametrize("change", [{"state": "spam"}, {"category": "praise"}])
def test_spam_and_what_people_call_no_bug_do_not_count(change):
    *earlier, last = fresh()
    keep(earlier)
    assert bursts.raised([last], rules())
    Item.objects.filter(pk=earlier[0].item.pk).update(**change)
    assert bursts.raised([last], rules()) == {}


@pytest.mark.django_db
def test_a_playbook_without_the_rule_raises_nothing():
    bare = playbook.shipped().model_copy(update={"clusters": None})
    assert bursts.raised(fresh(), bare) == {}


@pytest.mark.django_db
def test_the_cost_in_queries_does_not_grow_with_the_reports(django_assert_num_queries):
    keep(fresh())
    again = fresh()
    with django_assert_num_queries(1):
        bursts.raised(again, rules())


@pytest.mark.django_db(transaction=True)
def test_a_burst_is_seen_on_its_way_through_the_pipeline():
    posts = [
        make_post(str(number), text=text, author=f"user{number}", created_at=LAUNCH)
        for number, text in enumerate(SAME_BUG)
    ]
    add_posts(make_source(), posts)
    while pipeline.triage_waiting():
        pass
    raised = [item for item in Item.objects.all() if "people report" in item.reading.why[-1]]
    assert raised
    for item in raised:
        assert item.severity == item.reading.severity == item.reading.why[-1][-2:]
        assert item.clocks.filter(kind="acknowledge").exists()
