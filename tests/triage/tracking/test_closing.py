"""The fix comes back: closed, reopened, answered on GitHub, and every reporter has a draft."""

import pytest
from django.utils import timezone

from feedback.models import Message
from tests.make import make_source
from tests.serve import Answer, Served
from tests.triage.tracking.conftest import poll, settle
from triage import alerts, moves, outbox
from triage.models import OutboxEntry
from triage.tracking import telling
from triage.tracking.models import Draft, Occasion, Telling, TrackedEvent, TrackedIssue

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner."
SPINNING = "Since the update the task board does not load any more, I only see a spinner."


@pytest.fixture
def tracked(github, report):
    """An issue that two people reported, on two channels."""
    reddit = make_source("r", channel="reddit", config={})
    report(SPINNER, author="ann")
    report(SPINNING, source=reddit, author="bob")
    settle()
    poll()
    return TrackedIssue.objects.get()


def test_closing_drafts_the_resolved_text_for_every_reporter_with_the_version(github, tracked):
    github.close(1, milestone="v2.4.0")
    poll()
    tracked.refresh_from_db()
    assert (tracked.state, tracked.version) == ("closed", "v2.4.0")
    drafts = list(Draft.objects.open())
    assert {draft.item.channel for draft in drafts} == {"hackernews", "reddit"}
    assert all("fixed in v2.4.0" in draft.text for draft in drafts)


def test_the_fix_clock_is_met_when_the_issue_closes_as_fixed(github, tracked):
    github.close(1)
    poll()
    for item in telling.reporters(tracked):
        assert item.clocks.get(kind="fix", stopped_at=None).met_at is not None


def test_closed_as_not_planned_tells_nobody_that_it_is_fixed(github, tracked):
    github.close(1, reason="not_planned")
    poll()
    assert not Draft.objects.exists()
    item = telling.reporters(tracked)[0]
    assert item.history.filter(event="tracked_not_planned").exists()
    assert item.clocks.get(kind="fix", stopped_at=None).met_at is None


def test_one_press_sends_all_and_a_second_press_sends_nothing(github, tracked, staff):
    github.close(1, milestone="v2.4.0")
    poll()
    resolved = Telling.objects.get()
    assert telling.send_all(resolved, staff).sent == 2
    assert telling.send_all(resolved, staff).sent == 0
    assert OutboxEntry.objects.filter(kind="reply").count() == 2
    assert Message.objects.filter(kind="reply", text__contains="v2.4.0").count() == 2


def test_polling_again_changes_nothing(github, tracked):
    github.close(1, milestone="v2.4.0")
    poll()
    events = TrackedEvent.objects.count()
    poll()
    poll()
    assert TrackedEvent.objects.count() == events
    assert Draft.objects.count() == 2


def test_without_a_version_nothing_is_sent_until_a_release_or_a_person_names_it(
    github, tracked, staff
):
    github.close(1)
    poll()
    resolved = Telling.objects.get()
    assert "{version}" in telling.send_all(resolved, staff).kept[0]
    github.public.releases.append({"tag_name": "v2.5.0", "published_at": "2099-01-01T00:00:00Z"})
    poll()
    assert all("fixed in v2.5.0" in draft.text for draft in Draft.objects.open())
    assert telling.send_all(resolved, staff).sent == 2


def test_reopened_brings_the_items_back_with_their_clocks_and_drops_the_drafts(
    github, tracked, staff
):
    github.close(1, milestone="v2.4.0")
    poll()
    first, second = telling.reporters(tracked)
    moves.close(first, "fixed", staff)
    github.reopen(1)
    poll()
    tracked.refresh_from_db()
    assert (tracked.state, tracked.version) == ("open", "")
    assert not Draft.objects.open().exists()
    for item in (first, second):
        item.refresh_from_db()
        assert item.is_open
        assert item.clocks.filter(kind="fix", met_at=None, stopped_at=None).exists()
        assert item.messages.filter(kind="note", text__contains="reopened").exists()


def test_slack_hears_of_each_time_that_a_fix_was_none(github, tracked, settings):
    with Served(lambda request: Answer(b"ok")) as slack:
        settings.SLACK_WEBHOOK_URL = slack.url
        for _ in range(2):
            github.close(1, milestone="v2.4.0")
            poll()
            github.reopen(1)
            poll()
            alerts.tell()
            alerts.tell()
        outbox.deliver_waiting()
        texts = [request.json["text"] for request in slack.requests]
    assert len(texts) == 2
    assert all("was opened again on GitHub" in text and tracked.url in text for text in texts)


def test_closed_again_drafts_again(github, tracked):
    for _ in range(2):
        github.close(1, milestone="v2.4.0")
        poll()
        github.reopen(1)
        poll()
    assert Telling.objects.filter(occasion="resolved").count() == 2


@pytest.mark.parametrize(
    ("body", "rights", "drafts"),
    [
        ("/reply Please clear your cache until the fix is out.", "MEMBER", 2),
        ("/reply\nPlease clear your cache.", "OWNER", 2),
        ("/reply Buy my pills", "NONE", 0),
        ("I would /reply later", "MEMBER", 0),
        ("/reply", "MEMBER", 0),
        ("/replying is fun", "MEMBER", 0),
    ],
)
def test_an_engineers_comment_for_the_public_becomes_drafts(github, tracked, body, rights, drafts):
    github.say(1, body, rights=rights)
    poll()
    poll()
    assert Draft.objects.open().count() == drafts
    assert not Draft.objects.filter(text__contains="/reply").exists()


def test_a_later_report_is_offered_what_the_others_were_told(github, tracked, report, staff):
    text = "Known issue, {name}: try {workaround}. See {tracking}."
    values = {"workaround": "another browser"}
    telling.tell(tracked, Occasion.KNOWN, text, timezone.now(), key="k", values=values, by=staff)
    late = report("The task board does not load, I only see a spinner.", author="cleo")
    settle()
    draft = telling.offered(late)
    assert draft.text == f"Known issue, cleo: try another browser. See {tracked.url}."


def test_a_report_of_what_is_fixed_is_offered_the_fix(github, tracked, report):
    github.close(1, milestone="v2.4.0")
    poll()
    late = report("The task board does not load, I only see a spinner.", author="cleo")
    settle()
    assert "fixed in v2.4.0" in telling.offered(late).text


def test_a_told_reply_reaches_the_reporter_on_their_own_channel(github, tracked, staff):
    github.close(1, milestone="v2.4.0")
    poll()
    telling.send_all(Telling.objects.get(), staff)
    outbox.deliver_waiting()
    states = {e.item.channel: e.state for e in OutboxEntry.objects.filter(kind="reply")}
    assert states["hackernews"] == "by_hand"
    assert "reddit" in states


def test_renamed_edited_and_relabelled_on_github_is_seen_here(github, tracked):
    issue = github.issue(1)
    issue |= {"title": "Board: endless spinner", "body": "Tidied up.", "updated_at": github._now()}
    issue["labels"] = [{"name": "bug"}, {"name": "P0"}]
    poll()
    poll()
    tracked.refresh_from_db()
    assert (tracked.title, tracked.severity) == ("Board: endless spinner", "P0")
    assert "mark was edited away" in tracked.trouble
    assert tracked.events.filter(event="mark_gone").count() == 1
