"""Learning from corrections: fitted, decided on what is held out, in force, rolled back."""

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from feedback.intake import add_posts
from feedback.models import Item
from tests.make import make_item, make_post, make_source
from triage import moves, pipeline
from triage.classifier.adjustment import Adjustment, fit
from triage.classifier.labels import CATEGORIES, HEADS
from triage.classifier.reader import shipped_version
from triage.learning import versions
from triage.learning.learn import NEEDED, learn
from triage.models import ModelVersion, Reading
from triage.similar import packed

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/triage/modelversion/"


def read_item(rng: np.random.Generator, says: str, truth: str, *, seen: bool = True) -> Item:
    """An item that was read as `says`, and that stands as `truth`; the truth is in its meaning."""
    embedding = rng.normal(size=384) * 0.02
    embedding[CATEGORIES.index(truth)] += 1.0
    embedding /= np.linalg.norm(embedding)
    item = make_item(category=truth, severity="", corrected=seen, state="waiting")
    scores = {head: dict.fromkeys(names, round(1 / len(names), 4)) for head, names in HEADS.items()}
    scores["category"] = {name: 0.88 if name == says else 0.02 for name in CATEGORIES}
    Reading.objects.create(
        item=item,
        model=shipped_version(),
        category=says,
        sentiment="neutral",
        topic="engineering",
        language="en",
        confidence=0.88,
        trusted=True,
        scores=scores,
        embedding=packed(embedding),
        read_at=timezone.now(),
    )
    return item


def corrections(count: int = 200) -> None:
    """The model takes every other praise for talk; what people let stand is read right."""
    rng = np.random.default_rng(3)
    for number in range(count):
        read_item(rng, "other" if number % 2 else "praise", "praise")
    for number in range(60):
        name = CATEGORIES[number % 4]
        read_item(rng, name, name, seen=False)


def test_the_fit_finds_a_planted_rule_and_undo_takes_it_back() -> None:
    rng = np.random.default_rng(1)
    embeddings, shares = rng.normal(size=(600, 20)), np.full((600, 3), 1 / 3)
    truth = embeddings[:, :3].argmax(axis=1)
    found = fit(shares[:400], embeddings[:400], truth[:400], np.ones(400))
    adjustment = Adjustment("+1", {"sentiment": found})
    read = adjustment.apply("sentiment", shares[400:], embeddings[400:])
    assert (read.argmax(axis=1) == truth[400:]).mean() > 0.9
    kept = read.min(axis=1) > 1e-3  # stored probabilities end at four digits
    undone = adjustment.undo("sentiment", read[kept], embeddings[400:][kept])
    assert np.allclose(undone, 1 / 3, atol=1e-3)
    again = Adjustment.from_bytes("+1", adjustment.to_bytes())
    same = again.apply("sentiment", shares[400:], embeddings[400:])
    assert np.allclose(same, read, atol=1e-5)


def test_what_is_better_on_the_held_out_part_comes_in_force_and_reads() -> None:
    corrections()
    learnt = learn(shipped_version())
    figures = learnt.version.figures
    assert learnt.version.is_in_force()
    assert figures["after"]["category"]["right"] > figures["before"]["category"]["right"]
    add_posts(make_source("hn2"), [make_post("x", text="The board is slow today.")])
    while pipeline.triage_waiting():
        pass
    item = Item.objects.get(reading__model__contains="+")
    assert item.reading.model == str(learnt.version)


def test_learning_again_on_top_of_it_starts_from_the_shipped_model() -> None:
    corrections()
    first = learn(shipped_version()).version
    for reading in Reading.objects.all():
        row = np.array([[reading.scores["category"][name] for name in CATEGORIES]])
        vector = np.frombuffer(reading.embedding, "<f2").astype(np.float32)[None]
        moved = versions.active(first.base).apply("category", row, vector)[0]
        reading.scores["category"] = dict(zip(CATEGORIES, moved.tolist(), strict=True))
        reading.model = str(first)
        reading.save()
    second = learn(shipped_version()).version
    # What is in force now is the first one, so nothing is gained, and it stays.
    assert second.figures["after"]["category"]["right"] >= 0.9
    before, after = (second.figures[when]["category"] for when in ("before", "after"))
    assert before["right"] == pytest.approx(after["right"], abs=0.05)


def test_nonsense_is_learnt_but_not_put_in_force() -> None:
    rng = np.random.default_rng(5)
    for _ in range(80):
        read_item(rng, "praise", CATEGORIES[rng.integers(7)])
    for item in Item.objects.all():  # what people said has nothing to do with what stands there
        Item.objects.filter(pk=item.pk).update(category=CATEGORIES[rng.integers(7)])
    learnt = learn(shipped_version())
    assert learnt.version.is_in_force() == (learnt.reason.startswith("It is better"))


def test_too_few_corrections_say_how_many_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    make_item(corrected=True)
    with pytest.raises(CommandError, match=rf"0 items .* learning needs {NEEDED}"):
        call_command("train")
    corrections(100)
    call_command("train")
    assert "held out" in capsys.readouterr().out


def test_the_page_learns_compares_and_rolls_back(admin_client: Client) -> None:
    corrections()
    assert "Learn now" in admin_client.get(PAGE).content.decode()
    admin_client.post(f"{PAGE}learn/")
    shown = admin_client.get(PAGE).content.decode()
    version = ModelVersion.objects.get()
    assert str(version) in shown
    assert version.is_active
    admin_client.post(f"{PAGE}use/0/")
    assert versions.active(version.base) is None
    admin_client.post(f"{PAGE}use/{version.pk}/")
    assert versions.active(version.base).name == f"+{version.pk}"


def test_only_the_entitled_change_the_model(client: Client) -> None:
    reader = User.objects.create_user("reader", is_staff=True)
    reader.user_permissions.set(Permission.objects.filter(codename="view_modelversion"))
    client.force_login(reader)
    assert "Learn now" not in client.get(PAGE).content.decode()
    assert client.post(f"{PAGE}learn/").status_code == 403
    assert client.post(f"{PAGE}use/0/").status_code == 403


def test_items_are_read_anew_without_touching_what_people_decided(
    capsys: pytest.CaptureFixture[str],
) -> None:
    staff = User.objects.create_user("eng-1")
    texts = ["The board does not load.", "It crashes on start.", "Sync hangs.", "I love it."]
    add_posts(make_source(), [make_post(text=text, author=text[:9]) for text in texts])
    while pipeline.triage_waiting():
        pass
    untouched, corrected, taken, closed = Item.objects.order_by("pk")
    moves.correct(corrected, staff, category="question")
    moves.take(taken, staff)
    moves.close(closed, "no_feedback", staff)
    clocks = dict(untouched.clocks.values_list("kind", "started_at"))
    Reading.objects.update(model="older")
    call_command("reprocess", "--model")
    assert "1 items read anew" in capsys.readouterr().out
    models = set(Reading.objects.filter(model="older").values_list("item", flat=True))
    assert models == {corrected.pk, taken.pk, closed.pk}
    assert dict(untouched.clocks.values_list("kind", "started_at")) == clocks
    corrected.refresh_from_db()
    assert corrected.category == "question"
    call_command("reprocess", "--model")
    assert "0 items read anew" in capsys.readouterr().out


def test_it_stays_fast_with_many_corrections(django_assert_max_num_queries) -> None:
    corrections(60)
    with django_assert_max_num_queries(14):
        learn(shipped_version())
