"""What people talk about: clusters that are the same from run to run, under their own words."""

import random
from datetime import timedelta

import numpy as np
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback.models import Item
from tests.make import make_item
from triage import playbook, report
from triage.models import Reading
from triage.similar import packed
from triage.themes import Theme, Voice, themes

DIMENSIONS = 384
SUBJECTS = {
    "login": "Login fails with error {n}",
    "board": "The board stays empty, tasks vanish {n}",
    "price": "Pricing is too expensive for teams {n}",
}


def crowd(sizes: dict[str, int], noise: int = 0) -> tuple[list[Voice], np.ndarray]:
    """Voices about subjects, each near its subject's direction, and some that stand alone."""
    voices, rows = [], []
    for number, (subject, size) in enumerate(sizes.items()):
        for n in range(size):
            key = 1_000 * number + n
            voices.append(Voice(key, SUBJECTS[subject].format(n=n), mood(subject, n)))
            rows.append(near(number, key))
    for n in range(noise):
        voices.append(Voice(50_000 + n, f"something{n} entirely", "neutral"))
        rows.append(np.random.default_rng(90_000 + n).normal(size=DIMENSIONS))
    matrix = np.array(rows, dtype=np.float32)
    return voices, matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def mood(subject: str, n: int) -> str:
    return "negative" if subject == "login" and n % 2 else "neutral"


def near(axis: int, seed: int) -> np.ndarray:
    row = np.random.default_rng(seed).normal(scale=0.02, size=DIMENSIONS)
    row[axis] += 1
    return row


def test_each_theme_has_its_own_words_its_count_and_its_mood():
    found = themes(*crowd({"login": 20, "board": 12, "price": 6}, noise=40))
    assert [theme.count for theme in found] == [20, 12, 6]
    assert set(found[0].name) == {"login", "fails", "error"}
    assert "board" in found[1].name
    assert "pricing" in found[2].name
    assert [theme.negative for theme in found] == [0.5, 0, 0]
    assert sum(theme.count for theme in found) == len({key for t in found for key in t.items})


def test_the_order_in_which_items_come_changes_nothing():
    voices, matrix = crowd({"login": 20, "board": 12}, noise=40)
    order = list(range(len(voices)))
    random.Random(1).shuffle(order)
    shuffled = themes([voices[place] for place in order], matrix[order])
    found = themes(voices, matrix)
    assert [theme.name for theme in found] == [theme.name for theme in shuffled]
    assert [set(theme.items) for theme in found] == [set(theme.items) for theme in shuffled]
    assert found == themes(voices, matrix)


def test_a_few_more_items_leave_the_themes_as_they_were():
    before = themes(*crowd({"login": 20, "board": 12, "price": 6}, noise=40))
    after = themes(*crowd({"login": 21, "board": 13, "price": 6}, noise=44))
    assert [theme.name for theme in before] == [theme.name for theme in after]
    for old, new in zip(before, after, strict=True):
        assert set(old.items) <= set(new.items)


def test_what_few_say_is_no_theme():
    assert themes([], np.zeros((0, DIMENSIONS), dtype=np.float32)) == []
    assert themes(*crowd({"login": 2})) == []
    assert themes(*crowd({}, noise=30)) == []


def test_all_the_same_is_one_theme():
    voices, matrix = crowd({"login": 30})
    (theme,) = themes(voices, np.repeat(matrix[:1], 30, axis=0))
    assert theme.count == 30


def test_nobody_shouts_a_name():
    voices, matrix = crowd({"login": 10})
    voices[0] = Voice(0, "CASINO " * 500, "neutral")
    (theme,) = themes(voices, matrix)
    assert "casino" not in theme.name


@pytest.mark.parametrize("words", ["", "🎉 🎉", "\x00\x01", "a" * 100_000, "https://x.example/y"])
def test_a_theme_without_words_has_no_name(words):
    voices, matrix = crowd({"login": 5})
    (theme,) = themes([Voice(v.key, words, "") for v in voices], matrix)
    assert theme == Theme(name=(), items=theme.items, negative=0)


def test_what_is_common_to_all_parts_no_themes():
    voices, matrix = crowd({"login": 30, "board": 20}, noise=20)
    matrix[:, -1] += 1.5  # everybody names the product
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    assert [theme.count for theme in themes(voices, matrix)] == [30, 20]


# On the report and on the item page


def said(text: str, axis: int, **values) -> Item:
    item = make_item(text=text, **{"created_at": timezone.now(), "sentiment": "negative"} | values)
    row = np.zeros(384, dtype=np.float32)
    row[axis], row[100 + item.pk % 200] = 1, 0.2
    Reading.objects.create(
        item=item, model="m", category="bug", sentiment="negative", topic="qa", language="en",
        confidence=1, trusted=True, read_at=timezone.now(),
        embedding=packed(row / np.linalg.norm(row)),
    )  # fmt: skip
    return item


@pytest.fixture
def talk(db) -> list[Item]:
    items = [said(f"Login fails with error {n}", 0) for n in range(6)]
    return items + [said(f"The board stays empty {n}", 1, sentiment="neutral") for n in range(4)]


def test_the_report_tells_what_people_talk_about(talk, admin_client: Client):
    now = timezone.now()
    found = report.make(now - timedelta(hours=1), now, playbook.current()).themes
    assert [(theme.count, theme.negative) for theme in found] == [(6, 1), (4, 0)]
    html = admin_client.get("/report/").content.decode()
    assert "What people talk about" in html
    assert f"?q={found[0].name[0]}" in html
    assert reverse("admin:feedback_item_change", args=[found[0].item]) in html
    link = reverse("admin:feedback_item_changelist")
    assert admin_client.get(link, {"q": found[0].name[0]}).status_code == 200


@pytest.mark.parametrize(
    "values", [{"state": "spam"}, {"category": "other"}, {"category": ""}, {"language": "de"}]
)
def test_what_is_no_feedback_makes_no_theme(talk, values):
    Item.objects.update(**values)
    now = timezone.now()
    assert report.make(now - timedelta(hours=1), now, playbook.current()).themes == ()


def test_embeddings_of_another_model_are_left_out(talk):
    first = Reading.objects.order_by("pk").first()
    Reading.objects.filter(pk=first.pk).update(embedding=b"\0" * 100)
    now = timezone.now()
    found = report.make(now - timedelta(hours=1), now, playbook.current()).themes
    assert [theme.count for theme in found] == [5, 4]


def similar(client: Client, item: Item, **asked: str) -> str:
    answer = client.get(reverse("admin:feedback_item_similar", args=[item.pk]), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_item_shows_what_is_like_it(talk, admin_client: Client):
    twin = said("Login fails with <error> 0", 0, severity="P1", state="closed")
    spam = said("Login fails with error 0", 0, state="spam")
    html = similar(admin_client, talk[0], tab="mine")
    assert reverse("admin:feedback_item_change", args=[twin.pk]) + "?tab=mine" in html
    assert "&lt;error&gt;" in html
    assert "closed" in html
    assert "P1" in html
    assert "the same</strong>" in html
    assert "% alike" in html
    for absent in (spam, talk[0], talk[-1]):
        assert reverse("admin:feedback_item_change", args=[absent.pk]) not in html
    page = admin_client.get(reverse("admin:feedback_item_change", args=[talk[0].pk]))
    assert reverse("admin:feedback_item_similar", args=[talk[0].pk]) in page.content.decode()


def test_an_item_that_stands_alone_or_was_not_read_is_like_nothing(db, admin_client: Client):
    assert "Nobody else" in similar(admin_client, said("All alone", 7))
    assert "Nobody else" in similar(admin_client, make_item())
    assert admin_client.get("/feedback/item/999999/similar/").status_code == 404


def test_an_item_shows_what_people_decided_of_the_like(talk, admin_client: Client):
    assert "What people decided" not in similar(admin_client, talk[0])
    near = said("Login fails <b>again</b>", 0, category="setup", corrected=True)
    far = said("The board stays empty 9", 1, category="criticism", corrected=True)
    decided = similar(admin_client, talk[0]).partition("What people decided")[2]
    assert reverse("admin:feedback_item_change", args=[near.pk]) in decided
    assert "<strong>setup trouble, P2</strong>" in decided
    assert "<b>" not in decided
    assert reverse("admin:feedback_item_change", args=[far.pk]) not in decided


def test_what_is_like_an_item_is_for_staff_alone(talk, client: Client, django_user_model):
    address = reverse("admin:feedback_item_similar", args=[talk[0].pk])
    assert client.get(address).status_code == 302
    client.force_login(django_user_model.objects.create_user("new", is_staff=True))
    assert client.get(address).status_code == 403


def test_the_queries_of_similar_items_do_not_grow(
    talk, admin_client: Client, django_assert_max_num_queries
):
    for number in range(60):
        said(f"Login fails again, error {number}", 0)
    similar(admin_client, talk[0])
    with django_assert_max_num_queries(12):
        similar(admin_client, talk[0])
