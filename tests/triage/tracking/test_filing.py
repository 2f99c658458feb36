"""A bug becomes an issue by itself, once, and later reports join it."""

import pytest

from feedback.models import Item
from tests.make import make_source
from tests.serve import after_taking, says
from tests.triage.tracking.conftest import again, settle, write_playbook
from triage.models import Delivery, OutboxEntry
from triage.tracking.models import IssueReport, TrackedIssue

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner in Firefox 132."
SPINNING = "Since the update the task board does not load any more, I only see a spinner."


def test_a_bug_is_filed_with_its_words_links_environment_and_labels(github, report):
    item = report(SPINNER, title="Board broken")
    settle()
    (issue,) = github.public.issues
    assert issue["title"] == "Board broken"
    assert SPINNER in issue["body"]
    assert "https://x.test/1" in issue["body"]
    assert "Version: 2.3.1" in issue["body"]
    assert "Browser: Firefox 132" in issue["body"]
    assert {label["name"] for label in issue["labels"]} == {"bug", "P1", "source:hackernews"}
    tracked = TrackedIssue.objects.get()
    assert (tracked.state, tracked.number, tracked.reports) == ("open", 1, 1)
    assert item.tracking.tracked == tracked


def test_a_second_report_joins_and_the_count_is_one_comment_that_is_edited(github, report):
    report(SPINNER)
    settle()
    for n in range(3):
        report(SPINNING, author=f"reporter{n}")
        settle()
    assert len(github.public.issues) == 1
    (counter,) = github.counters(1)
    assert "**4 reports**" in counter
    assert TrackedIssue.objects.get().reports == 4
    edits = [r for r in github.requests if r.method == "PATCH"]
    assert len(edits) == 2


def test_another_bug_is_another_issue(github, report):
    report(SPINNER)
    report("My VAT number is missing from the invoices.")
    settle()
    assert len(github.public.issues) == 2


def test_a_lost_answer_doubles_nothing(github, report):
    report(SPINNER)
    github.fault = lambda handler: (
        after_taking(handler) or True
        if handler.request_seen.method == "POST" and handler.request_seen.path.endswith("/issues")
        else False
    )
    settle()
    entry = OutboxEntry.objects.get()
    assert entry.state == Delivery.UNSURE
    github.fault = None
    again()
    assert len(github.public.issues) == 1
    assert TrackedIssue.objects.get().state == "open"


def test_a_mark_that_was_edited_away_before_we_knew_the_issue_doubles_nothing(github, report):
    report(SPINNER)
    github.fault = lambda handler: (
        after_taking(handler) or True
        if handler.request_seen.method == "POST" and handler.request_seen.path.endswith("/issues")
        else False
    )
    settle()
    github.fault = None
    github.public.issues[0]["body"] = "Somebody tidied up."
    again()
    assert len(github.public.issues) == 1


def test_a_wish_is_a_discussion_with_its_label(github, report):
    from triage.tracking import sync

    sync.follow_due()
    report("Please add a dark theme for the office view.", category="feature")
    settle()
    (wish,) = github.public.discussions
    assert wish["category"] == "C_2"
    assert {label["name"] for label in wish["labels"]["nodes"]} == {
        "community-request",
        "source:hackernews",
    }
    assert github.public.issues == []


def test_where_there_are_no_discussions_a_wish_is_an_issue(github, report):
    github.public.has_discussions = False
    report("Please add a dark theme for the office view.", category="feature")
    settle()
    (wish,) = github.public.issues
    assert {label["name"] for label in wish["labels"]} == {"community-request", "source:hackernews"}


def test_mail_is_not_quoted_and_its_sender_not_named(github, report):
    mail = make_source("mails", channel="email", config={})
    report(
        "Hello, Jane Doe here. The export ends with ERR_EXPORT_FAILED, call me at +1 415 555 2671.",
        source=mail, title="Broken export", author="jane.doe@example.com", author_name="Jane Doe",
        url="",
    )  # fmt: skip
    settle()
    (issue,) = github.public.issues
    for word in ("Jane", "Doe", "555", "Broken export", "Hello", "example.com"):
        assert word not in issue["title"] + issue["body"]
    assert "Email" in issue["body"]
    assert "err_export_failed" in issue["title"]


def test_a_severity_that_the_playbook_does_not_file_is_not_filed(github, report):
    write_playbook(('file_severities = ["P0", "P1", "P2", "P3"]', 'file_severities = ["P0"]'))
    report(SPINNER)
    settle()
    assert github.public.issues == []
    assert "files no P1" in IssueReport.objects.get().reason


def test_without_a_credential_nothing_is_tracked(github, report, settings):
    settings.GITHUB_TOKEN = ""
    report(SPINNER)
    settle()
    assert not IssueReport.objects.exists()


def test_a_secondary_limit_stops_every_write_for_as_long_as_it_says(github, report):
    report(SPINNER)
    report("My VAT number is missing from the invoices.")
    limit = says({"message": "You have exceeded a secondary rate limit."}, 403, retry_after="70")
    github.fault = lambda handler: (
        limit(handler) or True if handler.request_seen.method == "POST" else False
    )
    settle()
    asked = [r for r in github.requests if r.method == "POST"]
    assert len(asked) == 1
    github.fault = None
    again()
    assert len(github.public.issues) == 2
    assert Item.objects.filter(tracking__tracked__state="open").count() == 2
