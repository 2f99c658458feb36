"""Every request to GitHub is one that GitHub's own descriptions allow."""

import json

import pytest
from django.utils import timezone

from feedback.channels.github import GitHub, discussion_tracker, discussions
from tests.serve import Request
from tests.triage.tracking.conftest import poll, settle, write_playbook
from triage.tracking import checks, moves, sync
from triage.tracking.models import Form, TrackedIssue

jsonschema = pytest.importorskip("jsonschema")
graphql = pytest.importorskip("graphql")
from tests.github_schema import problems, wrong_in  # noqa: E402

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner."


def test_everything_that_tracking_asks_of_github_is_valid(github, report, staff):
    poll()
    list(checks.checks())
    report(SPINNER)
    report("The task board does not load, I only see a spinner.", author="bob")
    report("Please add a dark theme for the office view.", category="feature")
    report("Please, a dark theme for the office view!", category="feature", author="cleo")
    report("There is a stored XSS hole in task titles.")
    vat = report("My VAT number is missing from the invoices.")
    settle()
    write_playbook(('security = "repository"', 'security = "advisory"'))
    report("I can see other users' invoices when I change the id in the address.")
    settle()
    report("I can see other users' invoices by changing the id in the URL.", author="dora")
    settle()
    tracked = TrackedIssue.objects.get(issue_reports__item__messages__text=SPINNER)
    moves.merge(vat.tracking.tracked_id, tracked.pk, staff)
    settle()
    github.public.name = "corp/planner"
    github.repos = {"corp/planner": github.public, **github.repos}
    github.renamed["corp/board"] = github.repos.pop("corp/board").id
    TrackedIssue.objects.exclude(number=None).update(look_at=timezone.now())
    poll()
    sync.follow_due()
    forms = set(TrackedIssue.objects.values_list("form", flat=True))
    assert forms == {Form.ISSUE, Form.DISCUSSION, Form.ADVISORY}
    asked = {(r.method, r.path.split("/")[-1]) for r in github.requests}
    assert {("PATCH", "1"), ("POST", "graphql"), ("POST", "security-advisories")} & asked
    assert len(github.requests) > 40
    assert problems(github.requests) == []


@pytest.mark.parametrize(
    "query",
    [value
     for module in (discussions, discussion_tracker, checks) for value in vars(module).values()
     if isinstance(value, str) and value.lstrip().startswith(("query ", "mutation "))],
)  # fmt: skip
def test_every_graphql_query_is_one_of_the_schema(query):
    assert wrong_in(query) == []


def test_the_judge_finds_what_is_wrong():
    def judged(method, path, body):
        return problems([Request(method, path, {}, json.dumps(body).encode())])

    assert judged("POST", "/repos/a/b/issues", {"body": "no title"})
    assert judged("POST", "/repos/a/b/issues", {"title": "t", "colour": "red"})
    assert judged("POST", "/repos/a/b/isues", {"title": "t"})
    assert judged("GET", "/repos/a/b/issues?since=x&wrong=1", {})
    assert judged("POST", "/graphql", {"query": "query A { viewer { nonsense } }"})
    assert judged("PATCH", "/repos/a/b/issues/x", {"state": "shut"})
    assert not judged("POST", "/repos/a/b/issues", {"title": "t"})


def test_the_sources_of_items_ask_what_is_valid(github):
    github.open("Board broken", "It does not load.")
    github.say(1, "Here too.")
    batch = GitHub({"repositories": ["corp/board"]}).poll({})
    GitHub({"repositories": ["corp/board"]}).refresh([post.external_id for post in batch.posts])
    assert github.requests
    assert problems(github.requests) == []
