"""The shipped model: any text gets a reading, the same one whatever is read beside it."""

import random
import shutil

import numpy as np
import pytest

from feedback.language import detect
from triage.classifier import ModelDamaged, ModelMissing, Text, get_reader, reader
from triage.classifier.labels import HEADS
from triage.classifier.reader import NO_WORDS, PRECISION, SHIPPED, Reader, multiplies_int8
from triage.classifier.texts import own_words, prepared
from triage.playbook import shipped

STACK = "\n".join(f"    at render (app.js:{n}:{n})" for n in range(200))
ODD = {
    "empty": "",
    "blank": " \n\t ",
    "emoji": "🙂",
    "a megabyte": "word " * 200_000,
    "one long word": "a" * 1_000_000,
    "only a stack trace": STACK,
    "only a link": "https://example.com/" + "x" * 3_000,
    "only code": "```\nfor i in x: pass\n```",
    "an open fence": "```\n" + "x = 1\n" * 50_000,
    "mixed scripts": "hello привет 你好 مرحبا שלום",
    "controls": "a\x00b\x1b[31mc\u202ed\ufeff",
    "repetition": "P0 " * 50_000,
    "half a surrogate": "\ud800 broken",
    "nested quotes": "> " * 20_000,
    "an open comment": "<!--" * 20_000,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_odd_texts_get_a_reading_and_no_exception(text):
    reading = get_reader().read([Text(text=text)], shipped())[0]
    assert 0 <= reading.confidence <= 1


@pytest.mark.parametrize("name", ["empty", "blank", "emoji"])
def test_what_says_nothing_is_read_with_low_confidence(name):
    reading = get_reader().read([Text(text=ODD[name])], shipped())[0]
    assert reading.confidence <= 0.2
    assert not reading.trusted
    assert reading.category == "other"
    assert reading.why[0] == NO_WORDS
    assert reading.also == ()


@pytest.mark.parametrize(
    ("text", "category", "sentiment"),
    [
        ("The board crashes every time I open it since the last update.", "bug", None),
        ("Please add a dark mode, I would love to have that.", "feature", None),
        ("How much does it cost for a team of five?", "question", "neutral"),
        ("This is amazing, I love it. Great work!", "praise", "positive"),
    ],
)
def test_plain_cases_are_read_as_anyone_would(text, category, sentiment):
    reading = get_reader().read([Text(text=text)], shipped())[0]
    assert reading.category == category
    assert sentiment in (None, reading.sentiment)


def test_a_reading_does_not_depend_on_what_is_read_beside_it():
    """Beyond the last digits of floating point, which a batch's size touches."""
    rng = random.Random(5)
    words = "the task board does not load please add how much is lost data crash great".split()
    texts = [Text(text=" ".join(rng.choices(words, k=rng.randint(1, 90)))) for _ in range(60)]
    reader = get_reader()
    alone = [reader.read([text], shipped())[0] for text in texts]
    order = rng.sample(range(60), 60)
    together = reader.read([texts[position] for position in order], shipped())
    for position, reading in zip(order, together, strict=True):
        for head, scores in reading.scores.items():
            assert scores == pytest.approx(alone[position].scores[head], abs=0.01)


def test_the_embedding_has_unit_length_and_knows_the_same_problem():
    said = ["The task board never loads for me", "Task board is stuck loading", "I like cheese"]
    rows = np.stack([r.embedding for r in get_reader().read([Text(text=t) for t in said])])
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-3)
    near, far = rows[0] @ rows[1], rows[0] @ rows[2]
    assert near > far


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Die Seite lädt seit heute morgen nicht mehr und zeigt nur Fehler.", "de"),
        ("Desde la actualización no puedo entrar en mi cuenta de ninguna manera.", "es"),
        ("ログインできません。助けてください。", "ja"),
        ("It does not load any more since this morning.", "en"),
        ("ok", "en"),
        ("https://example.com/x 12345", "en"),
    ],
)
def test_the_language_is_told_and_only_english_is_trusted(text, language):
    assert detect(text) == language
    reading = get_reader().read([Text(text=text)], shipped())[0]
    assert language == "en" or not reading.trusted


def test_quotes_code_and_frames_are_not_the_authors_words():
    text = f"> it lost all my data\nNo problem here.\n```\ncrash()\n```\n{STACK}"
    kept = own_words(text)
    assert "lost all my data" not in kept
    assert "crash()" not in kept
    assert "app.js" not in kept
    assert "No problem here." in kept


def test_links_and_handles_are_made_alike():
    assert prepared(Text(text="@bob see https://x.example/y", context="story: a")) == (
        "story: a",
        "@user see http",
    )


def test_a_parent_is_called_as_in_what_the_encoder_learnt_from():
    text = Text(text="Same.", context="story: parent: a\nparent: b\nparent: c")
    assert prepared(text)[0] == "story: parent: a reply to: b reply to: c"


def test_a_missing_and_a_damaged_model_are_told_apart(tmp_path):
    with pytest.raises(ModelMissing, match=r"model\.json of the classifier is missing"):
        Reader(tmp_path / "nothing")
    shutil.copytree(SHIPPED, tmp_path / "model")
    (tmp_path / "model/model.onnx").write_bytes(b"x")
    with pytest.raises(ModelDamaged, match=r"model\.onnx of the classifier is damaged"):
        Reader(tmp_path / "model")
    (tmp_path / "model/model.onnx").unlink()
    with pytest.raises(ModelMissing, match=r"model\.onnx"):
        Reader(tmp_path / "model")


def test_the_model_fits_its_limit():
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) <= 30_000_000


def test_the_topic_follows_a_subject_of_the_playbook():
    reading = get_reader().read(
        [Text(text="I am a journalist and would like an interview for a story.")], shipped()
    )[0]
    assert reading.topic == "ceo"


def test_what_may_be_a_p0_says_why_it_is_taken_as_a_bug():
    text = "Is it normal that everyone in my team sees the invoices of another company?"
    reading = get_reader().read([Text(text=text)], shipped())[0]
    likeliest = max(reading.scores["category"], key=reading.scores["category"].__getitem__)
    assert (likeliest, reading.category, reading.severity) == ("question", "bug", "P0")
    assert reading.why[0].startswith("reads as question")
    assert reading.why[0].endswith("taken as bug, for it may be a P0")


@pytest.mark.parametrize(
    ("words", "has"),
    [
        ("flags\t\t: fpu avx2 avx512f avx512_vnni amx_bf16", True),
        ("Features\t: fp asimd asimddp", True),
        ("flags\t\t: fpu avx2", False),
    ],
)
def test_a_processor_says_whether_it_multiplies_int8(words, has, tmp_path):
    path = tmp_path / "cpuinfo"
    path.write_text(words)
    assert multiplies_int8(path) is has


def test_a_reading_is_nearly_the_same_on_every_processor(monkeypatch):
    texts = [Text(text=text) for text in ("I lost all my data!", "Love it.", "How do I log in?")]
    found = []
    for has in (True, False):
        monkeypatch.setattr(reader, "multiplies_int8", lambda has=has: has)
        found.append(Reader(SHIPPED).outputs(texts))
    for head in HEADS:
        assert np.abs(found[0][head] - found[1][head]).max() < 0.05
    assert PRECISION % 1 in (SHIPPED / "model.onnx").read_bytes()  # what the reader switches
