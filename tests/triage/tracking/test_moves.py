"""People merge, split and move; GitHub hears of it, and what happens there comes back."""

import hmac
import json

import pytest
from django.test import Client

from feedback.models import Item
from tests.github_tracker import PUBLIC
from tests.make import make_source
from tests.triage.tracking.conftest import again, poll, settle
from triage import moves as item_moves
from triage.tracking import moves, sync
from triage.tracking.models import IssueReport, TrackedEvent, TrackedIssue

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner."
VAT = "My VAT number is missing from the invoices."


@pytest.fixture
def two(github, report):
    items = [report(SPINNER), report(VAT)]
    settle()
    return [TrackedIssue.objects.get(issue_reports__item=item) for item in items]


def test_merging_moves_the_reports_and_closes_ours_with_a_word_where_it_went(github, two, staff):
    spinner, vat = two
    moves.merge(vat.pk, spinner.pk, staff)
    settle()
    closed = github.issue(vat.number)
    assert (closed["state"], closed["state_reason"]) == ("closed", "not_planned")
    said = [c["body"] for c in github.public.comments if c["issue_url"].endswith(f"/{vat.number}")]
    assert f"#{spinner.number}" in said[0]
    assert "**2 reports**" in github.counters(spinner.number)[0]
    poll()
    vat.refresh_from_db()
    assert (vat.state, vat.merged_into, vat.reports) == ("merged", spinner, 0)


def test_an_issue_of_others_that_is_merged_stays_open(github, two, staff, report):
    theirs = github.open("The dashboard is upside down", "When I zoom in, all is upside down.")
    poll()
    tracked = TrackedIssue.objects.get(number=theirs["number"])
    moves.merge(tracked.pk, two[0].pk, staff)
    settle()
    assert github.issue(theirs["number"])["state"] == "open"


def test_splitting_files_an_issue_of_its_own_and_both_are_counted_anew(github, two, staff, report):
    item = report("Since today the task board does not load, I only see a spinner.")
    settle()
    assert item.tracking.tracked == two[0]
    moves.split(item, staff)
    settle()
    item.tracking.refresh_from_db()
    assert item.tracking.tracked.number == 3
    assert "**1 reports**" in github.counters(two[0].number)[0]
    two[0].refresh_from_db()
    assert two[0].reports == 1


def test_moving_a_report_changes_both_counts(github, two, staff):
    item = Item.objects.get(tracking__tracked=two[1])
    moves.join(item, two[0].pk, staff)
    settle()
    for tracked in two:
        tracked.refresh_from_db()
    assert [tracked.reports for tracked in two] == [2, 0]


def test_what_a_person_set_apart_stays_apart(github, two, staff):
    item = Item.objects.get(tracking__tracked=two[1])
    moves.set_apart(item, staff)
    item_moves.correct(item, staff, severity="P0")
    settle()
    report = IssueReport.objects.get(item=item)
    assert (report.state, report.tracked) == ("apart", None)


def test_an_item_that_is_no_bug_after_all_leaves_its_issue(github, two, staff):
    item = Item.objects.get(tracking__tracked=two[1])
    item_moves.correct(item, staff, category="praise")
    settle()
    two[1].refresh_from_db()
    assert two[1].reports == 0


def test_a_worse_severity_changes_the_label(github, two, staff):
    item = Item.objects.get(tracking__tracked=two[0])
    item_moves.correct(item, staff, severity="P0")
    settle()
    labels = {label["name"] for label in github.issue(two[0].number)["labels"]}
    assert labels == {"bug", "P0", "source:hackernews"}


@pytest.mark.parametrize(("rights", "state"), [("MEMBER", "merged"), ("NONE", "open")])
def test_what_the_team_calls_a_duplicate_on_github_is_merged_here(github, two, rights, state):
    poll()
    spinner, vat = two
    github.say(vat.number, f"Duplicate of #{spinner.number}", rights=rights)
    poll()
    poll()
    settle()
    vat.refresh_from_db()
    spinner.refresh_from_db()
    assert (vat.state, spinner.reports) == (state, 2 if state == "merged" else 1)
    assert vat.events.filter(event="merged").count() == (state == "merged")


def test_an_existing_issue_of_the_repository_is_joined_not_filed_again(github, report):
    github.open("The task board does not load", "Since the update I only see a spinner.")
    poll()
    report("The task board does not load since the update, I only see a spinner.")
    settle()
    assert len(github.public.issues) == 1
    assert TrackedIssue.objects.get().reports == 1


def test_an_issue_that_was_read_as_an_item_is_tracked_as_itself(github, report):
    gh = make_source("gh", channel="github", config={"repositories": [PUBLIC]})
    opened = github.open("The task board does not load", "I only see a spinner.")
    id_ = f"R{github.public.id}#{opened['number']}"
    raw = {"kind": "issue", "repository": PUBLIC, "number": 1, "node_id": "I_1"}
    report("I only see a spinner.", source=gh, title="The task board does not load",
           external_id=id_, thread_id=id_, url=opened["html_url"], raw=raw)  # fmt: skip
    settle()
    poll()
    assert len(github.public.issues) == 1
    tracked = TrackedIssue.objects.get()
    assert (tracked.external_id, tracked.reports, tracked.is_ours) == (id_, 1, False)


def test_a_deleted_issue_is_one_clear_state(github, two):
    github.public.issues.pop(0)
    TrackedIssue.objects.filter(pk=two[0].pk).update(look_at=two[0].created_at)
    sync.follow_due()
    sync.follow_due()
    two[0].refresh_from_db()
    assert (two[0].state, two[0].trouble) == ("gone", "It was deleted on GitHub.")
    assert two[0].events.filter(event="gone").count() == 1


def test_a_deleted_counter_is_made_anew_once(github, two, report):
    report("Since today the task board does not load, I only see a spinner.", author="b")
    settle()
    github.public.comments.clear()
    report("The task board still does not load, only a spinner.", author="c")
    settle()
    again()
    assert len(github.counters(two[0].number)) == 1
    two[0].refresh_from_db()
    assert "made anew" in two[0].trouble


def delivery(event: str, payload: dict, secret: str = "hush", **headers: str):
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
    headers = {"X-GitHub-Event": event, "X-Hub-Signature-256": signature, **headers}
    return Client().post("/hooks/github", body, content_type="application/json", headers=headers)


def about(tracked: TrackedIssue, action: str) -> dict:
    issue = {"number": tracked.number, "title": tracked.title, "state": "closed"}
    repository = {"full_name": PUBLIC, "id": 4711}
    return {"action": action, "issue": issue, "repository": repository}


def test_a_webhook_closes_at_once_and_repeated_or_late_changes_nothing(github, two):
    poll()
    github.close(two[0].number, milestone="v3")
    assert delivery("issues", about(two[0], "closed")).status_code < 300
    sync.follow_due()
    two[0].refresh_from_db()
    assert (two[0].state, two[0].version) == ("closed", "v3")
    github.reopen(two[0].number)
    events = TrackedEvent.objects.filter(event="closed").count()
    delivery("issues", about(two[0], "closed"))  # late: it is open again
    delivery("issues", about(two[0], "closed"))
    sync.follow_due()
    two[0].refresh_from_db()
    assert two[0].state == "open"
    assert TrackedEvent.objects.filter(event="closed").count() == events


def test_a_forged_webhook_and_one_of_an_unknown_kind_wake_nobody(github, two):
    poll()
    asked = len(github.requests)
    assert delivery("issues", about(two[0], "closed"), secret="guessed").status_code == 403
    assert delivery("sponsorship", about(two[0], "closed")).status_code == 204
    assert delivery("issues", {"action": "closed", "issue": 7, "repository": []}).status_code == 204
    sync.follow_due()
    assert len(github.requests) == asked
