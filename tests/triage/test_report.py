"""The sentiment report: its figures, its words, its page and its command."""

import io
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from feedback.models import Item, Message, Person, Source
from tests.make import LAUNCH, make_item, make_source
from triage import moves, playbook, report
from triage.models import Clock

pytestmark = pytest.mark.django_db

DAY = timedelta(hours=24)
END = LAUNCH + DAY
HOUR = timedelta(hours=1)


def made(begin: datetime = LAUNCH, end: datetime = END) -> report.Report:
    return report.make(begin, end, playbook.current())


def make_clock(item: Item, kind: str = "respond", **values: Any) -> Clock:
    defaults = {"target": HOUR, "started_at": item.created_at, "due_at": item.created_at + HOUR}
    defaults["warn_at"] = item.created_at
    return Clock.objects.create(item=item, kind=kind, **defaults | values)


def praise(text: str = "I love it.", **values: Any) -> Item:
    reading = {"category": "praise", "sentiment": "positive", "severity": ""}
    return make_item(text=text, **reading | values)


def criticism(text: str = "Too dear.", **values: Any) -> Item:
    reading = {"category": "criticism", "sentiment": "negative", "severity": ""}
    return make_item(text=text, **reading | values)


# Who said what


def test_only_what_was_posted_in_the_period_counts():
    make_item(created_at=LAUNCH - timedelta(seconds=1))
    make_item(created_at=LAUNCH)
    make_item(created_at=END)
    found = made()
    assert (found.items, found.people, found.by_channel) == (1, 1, {"hackernews": 1})


def test_spam_is_counted_and_left_out_of_everything_else():
    make_item(state="spam", category="praise", sentiment="positive")
    found = made()
    assert (found.spam, found.items, found.feedback, found.praise) == (1, 0, 0, ())
    assert found.by_category == {}


def test_channels_and_categories_stand_with_the_largest_first():
    mail = make_source("mail", channel="email")
    for category in ("question", "bug", "bug", ""):
        make_item(mail, category=category)
    make_item(make_source("hn"), category="question")
    found = made()
    assert list(found.by_channel.items()) == [("email", 4), ("hackernews", 1)]
    assert list(found.by_category.items()) == [("bug", 2), ("question", 2)]
    assert found.channel_by_category["email"] == {"bug": 2, "question": 1, "unread": 1}
    assert found.unread == 1


def test_the_positive_share_is_of_the_feedback_and_other_talk_is_none():
    praise(), criticism(), make_item(category="question"), make_item(category="bug")
    make_item(category="other", sentiment="positive"), make_item(category="", sentiment="")
    found = made()
    assert found.feedback == 4
    assert (found.positive, found.neutral, found.negative) == (0.25, 0.5, 0.25)
    assert found.positive_of_opinions == 0.5


def test_nothing_to_share_is_no_share():
    found = made()
    assert (found.positive, found.positive_of_opinions, found.before) == (None, None, None)
    assert not found.meets_goal


def test_a_small_sample_is_called_small_as_the_playbook_says():
    rules = playbook.current()
    for _ in range(rules.report.small_sample - 1):
        praise()
    assert made().is_small
    assert "small sample" in report.summary(made())
    praise()
    assert not made().is_small
    assert "small sample" not in report.summary(made())


@pytest.mark.parametrize(("positive", "meets"), [(6, False), (7, False), (8, True)])
def test_the_goal_is_met_above_it_alone(positive, meets):
    for number in range(10):
        praise() if number < positive else criticism()
    assert made().meets_goal is meets


def test_the_period_before_has_the_same_length():
    praise()
    praise(created_at=LAUNCH - HOUR), criticism(created_at=LAUNCH - DAY)
    criticism(created_at=LAUNCH - DAY - timedelta(seconds=1))
    found = made()
    assert (found.before, found.before_feedback, found.positive) == (0.5, 2, 1.0)


# Bugs


def test_bugs_stand_by_severity_and_state():
    make_item(severity="P0"), make_item(severity="P0", state="closed")
    make_item(severity="P2", state="waiting"), make_item(severity="")
    make_item(category="question", severity="")
    assert made().bugs == {
        "P0": {"closed": 1, "new": 1},
        "P1": {},
        "P2": {"waiting": 1},
        "P3": {},
        "none": {"new": 1},
    }


def test_a_grave_bug_of_last_week_is_still_open_today():
    make_item(severity="P0", created_at=LAUNCH - 7 * DAY)
    make_item(severity="P0", state="closed"), make_item(severity="P0", state="spam")
    found = made()
    assert (found.open_p0, found.open_bugs["P0"]) == (1, 1)
    assert "1 P0 bug is open" in report.summary(found)


def test_a_p0_by_precaution_is_told_apart_until_a_person_has_said():
    make_item(severity="P0")
    perhaps = [make_item(severity="P0", p0_probability=0.3) for _ in range(2)]
    found = made()
    assert (found.open_p0, found.sure_p0, found.doubted_p0) == (3, 1, 2)
    assert "1 P0 bug is open; 2 bugs may be P0." in report.summary(found)

    boss = User.objects.create_user("boss")
    moves.correct(perhaps[0], boss)
    moves.correct(perhaps[1], boss, severity="P1")
    assert (made().sure_p0, made().doubted_p0) == (2, 0)


# Promises


@pytest.mark.parametrize(
    ("clock", "counted"),
    [
        ({"met_at": LAUNCH + HOUR}, "in_time"),
        ({"met_at": LAUNCH + 2 * HOUR, "breached_at": LAUNCH + HOUR}, "late"),
        ({"breached_at": LAUNCH + HOUR}, "missed"),
        ({}, "missed"),  # due, though no sweep has marked it yet
        ({"stopped_at": LAUNCH + 2 * HOUR}, "missed"),  # closed after it was broken
        ({"due_at": END + HOUR}, "running"),
        ({"due_at": END}, "running"),
        ({"due_at": END + HOUR, "met_at": END - HOUR}, "in_time"),
        ({"stopped_at": LAUNCH + HOUR / 2}, None),  # taken back before it was due
        ({"due_at": LAUNCH - HOUR}, None),  # broken before the period
        ({"due_at": LAUNCH - HOUR, "met_at": LAUNCH + HOUR}, "late"),
        ({"due_at": LAUNCH - HOUR, "met_at": LAUNCH - HOUR}, None),
    ],
)
def test_what_became_of_a_promise(clock, counted):
    make_clock(make_item(), started_at=LAUNCH - 2 * DAY, **clock)
    names = ("in_time", "late", "missed", "running")
    expected = [1 if name == counted else 0 for name in names]
    found = [[getattr(row, name) for name in names] for row in made().clocks]
    assert found == ([expected] if counted else [])


def test_promises_stand_by_kind_and_spam_has_none():
    item = make_item()
    make_clock(item, "fix"), make_clock(item, "acknowledge")
    make_clock(make_item(state="spam"), "respond")
    assert [row.kind for row in made().clocks] == ["acknowledge", "fix"]


# Who waits


def test_who_waits_longest_stands_once_and_first_though_it_came_before_the_period():
    old = make_item(text="Since Monday.", created_at=LAUNCH - 3 * DAY, url="https://x.example/1")
    young = make_item(created_at=LAUNCH + HOUR)
    for item in (young, old):
        for kind in ("acknowledge", "respond", "fix"):
            make_clock(item, kind)
    found = made()
    assert [waiting.item for waiting in found.waiting] == [old.pk, young.pk]
    assert found.waiting_count == 2
    assert found.waiting[0].url == "https://x.example/1"


def test_who_was_answered_or_was_promised_nothing_does_not_wait():
    answered, unpromised, closed = make_item(state="waiting"), make_item(), make_item()
    make_clock(answered, met_at=LAUNCH), make_clock(answered, "fix")
    make_clock(unpromised, "fix")
    make_clock(closed)
    Item.objects.filter(pk=closed.pk).update(state="closed")
    assert made().waiting == ()


def test_of_many_who_wait_the_five_oldest_are_shown():
    for number in range(8):
        make_clock(make_item(created_at=LAUNCH + number * HOUR))
    found = made()
    assert (len(found.waiting), found.waiting_count) == (5, 8)
    assert [waiting.since for waiting in found.waiting] == [LAUNCH + n * HOUR for n in range(5)]


# Quotes


def test_quotes_are_of_different_people_and_the_sure_ones_first():
    unsure = praise("Nice, I guess.", trusted=False, confidence=0.99)
    sure = praise("Best tool of the year.", confidence=0.8)
    surer = praise("I love it.", confidence=0.95)
    praise("I love it still.", confidence=0.97, author=surer.author)
    praise("What is this?", category="other"), praise("Buy now!", state="spam")
    praise("Broken, sadly.", sentiment="negative")
    found = made()
    assert [quote.text for quote in found.praise] == [
        "I love it still.",
        "Best tool of the year.",
        "Nice, I guess.",
    ]
    assert [quote.item for quote in found.praise][1:] == [sure.pk, unsure.pk]


def test_what_its_author_deleted_is_not_quoted():
    gone = criticism("I regret this.")
    Message.objects.filter(item=gone).update(is_deleted=True, text="")
    assert made().criticism == ()


def test_a_quote_is_cut_between_words_and_shows_that_it_goes_on():
    praise("lovely " * 40)
    text = made().praise[0].text
    assert text.endswith("lovely…")
    assert len(text) <= 201


def test_no_mail_address_is_quoted():
    source = make_source("mail", channel="email")
    author = Person.objects.create(channel="email", handle="ann.lee@example.com")
    praise(source=source, channel="email", author=author)
    assert made().praise[0].author == "ann.lee"


def test_words_of_nobody_are_quoted_as_somebodys():
    praise(author=None)
    assert made().praise[0].author == "somebody"


# The sample


def test_sample_data_is_told_wherever_it_shows():
    assert not made().has_sample
    source = Source.objects.create(name="sample", channel="sample")
    make_item(source, channel="twitter", created_at=LAUNCH - DAY)
    assert made().has_sample


# Words


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(hours=24), "24 hours"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(days=7), "7 days"),
        (timedelta(days=2, hours=3), "2 days 3 hours"),
        (timedelta(hours=1), "hour"),
        (timedelta(minutes=45), "45 minutes"),
        (timedelta(minutes=90), "1 hour 30 minutes"),
        (timedelta(minutes=1), "minute"),
        (timedelta(seconds=30), "30 seconds"),
        (timedelta(hours=11), "11 hours"),
    ],
)
def test_a_period_is_said_as_it_is(span, words):
    assert report.spoken(span) == words


def test_the_summary_says_it_in_short():
    for _ in range(24):
        praise()
    for _ in range(16):
        make_item(severity="P1")
    for _ in range(50):
        make_item(category="other")
    assert report.summary(made()) == (
        "90 people wrote 90 items in the last 24 hours, most often praise. "
        "60% of the feedback was positive, below the goal of 70%. 0 P0 bugs are open."
    )


def test_the_summary_of_silence_still_tells_of_open_p0_bugs():
    make_item(severity="P0", created_at=LAUNCH - DAY)
    said = report.summary(made())
    assert said == "Nobody wrote in the last 24 hours. 1 P0 bug is open."


def test_one_is_said_in_the_singular():
    criticism()
    assert report.summary(made()).startswith("1 person wrote 1 item in the last 24 hours")


# Cost


def test_the_cost_in_queries_does_not_grow_with_the_items():
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            made()
        return len(queries)

    def fill(count: int) -> None:
        for number in range(count):
            praise(), criticism()
            make_clock(make_item(created_at=LAUNCH + number * HOUR / 10))

    playbook.current()
    fill(4)
    few = cost()
    fill(40)
    assert cost() == few
    assert few <= 12


# The command


def run(*args: str) -> str:
    out = io.StringIO()
    call_command("report", *args, stdout=out)
    return out.getvalue()


def now_item(**values: Any) -> Item:
    return make_item(created_at=timezone.now() - HOUR, **values)


def test_json_has_every_figure_under_its_name():
    item = now_item(severity="P0", url="https://x.example/1")
    make_clock(item, due_at=timezone.now() + HOUR)
    found = json.loads(run("--since", "24h", "--format", "json"))
    assert set(found) == {
        "summary", "meets_goal", "begin", "end", "items", "people", "spam", "unread",
        "by_channel", "by_category", "channel_by_category", "feedback", "sentiment",
        "positive", "neutral", "negative", "positive_of_opinions", "before",
        "before_feedback", "goal", "is_small", "bugs", "open_bugs", "doubted_p0",
        "clocks", "waiting", "waiting_count", "themes", "praise", "criticism", "has_sample",
    }  # fmt: skip
    assert found["bugs"]["P0"] == {"new": 1}
    begin, end = (datetime.fromisoformat(found[name]) for name in ("begin", "end"))
    assert end - begin == DAY
    assert found["waiting"][0]["url"] == "https://x.example/1"
    assert found["clocks"] == [
        {"kind": "respond", "in_time": 0, "late": 0, "missed": 0, "running": 1}
    ]


def test_the_file_needs_nothing_beside_it(tmp_path):
    now_item()
    run("--output", str(tmp_path / "report.html"))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<style>" in text
    assert not re.search(r'<script|<link|src=| style="|@import|url\(', text)
    assert text.count("</html>") == 1


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--format", "pdf"], '--format: "pdf" is not one of html, json.'),
        (["--since", "soon"], '--since: "soon" is not a duration'),
        (["--since", "9000d"], "out of range"),
        (["--output", "/nowhere/report.html"], "/nowhere/report.html cannot be written"),
    ],
)
def test_a_wrong_argument_is_one_line_and_status_2(args, said):
    with pytest.raises(CommandError) as raised:
        run(*args)
    assert raised.value.returncode == 2
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


# The page


def page(client: Client, **asked: str) -> str:
    answer = client.get(reverse("report"), asked)
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_page_is_for_staff_who_may_see_items(client: Client):
    assert "login" in client.get(reverse("report")).headers["Location"]
    client.force_login(User.objects.create_user("eng-1", is_staff=True))
    assert client.get(reverse("report")).status_code == 403


def test_the_page_links_item_and_source_under_the_strict_policy(admin_client: Client):
    item = praise(created_at=timezone.now() - HOUR, url="https://x.example/1")
    text = page(admin_client)
    assert reverse("admin:feedback_item_change", args=[item.pk]) in text
    assert 'href="https://x.example/1"' in text
    assert not re.search(r"<script|<style| style=|\son\w+=", text)


def test_hostile_words_and_links_stay_words(admin_client: Client):
    values = {"created_at": timezone.now() - HOUR, "url": "javascript:alert(1)"}
    for make in (praise, criticism):
        make("<script>alert(1)</script>{% now 'Y' %}", **values)
    make_clock(now_item(text="<img src=x onerror=alert(1)>", url=values["url"]))
    for text in (page(admin_client), run()):
        assert "<script" not in text
        assert "<img" not in text
        assert "javascript:" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;{% now" in text


@pytest.mark.parametrize("since", ["7d", "", "soon", "99999999999d", "-1h", "<b>"])
def test_any_period_asked_for_gives_a_page(admin_client: Client, since):
    text = page(admin_client, since=since)
    assert ("in the last 7 days" if since == "7d" else "in the last 24 hours") in text
    assert '<b>"' not in text


def test_the_page_says_what_is_sample_small_and_in_utc(admin_client: Client):
    source = Source.objects.create(name="sample", channel="sample")
    praise(source=source, channel="twitter", created_at=timezone.now() - HOUR)
    text = page(admin_client)
    for said in ("Contains sample data", "A small sample", "UTC", "Twitter/X"):
        assert said in text


def test_the_sentiment_bar_is_whole(admin_client: Client):
    for _ in range(2):
        praise(created_at=timezone.now() - HOUR)
    criticism(created_at=timezone.now() - HOUR)
    widths = re.findall(
        r'<rect class="\w+" x="([\d.]+)" y="0" width="([\d.]+)"', page(admin_client)
    )
    assert sum(float(width) for _, width in widths) == pytest.approx(100, abs=0.05)
    assert [float(begin) for begin, _ in widths] == [0, 66.67, 66.67]
