"""What goes wrong on GitHub's side is one clear state each: nothing lost, nothing doubled."""

import pytest

from tests.github_tracker import PUBLIC
from tests.serve import FAULTS
from tests.triage.tracking.conftest import again, poll, settle
from triage import troubles
from triage.models import Delivery, OutboxEntry
from triage.tracking.models import RepositoryState, TrackedIssue, TrackedRepository

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner."
VAT = "My VAT number is missing from the invoices."


def state() -> str:
    return TrackedRepository.objects.get(name=PUBLIC).state


def waits() -> OutboxEntry:
    return OutboxEntry.objects.get(kind="issue", next_attempt_at__isnull=False)


def gone(github):
    github.repos.pop(PUBLIC)


def back(github):
    github.repos[PUBLIC] = github.public


def issues_off(github):
    github.public.has_issues = False


def issues_on(github):
    github.public.has_issues = True


def archived(github):
    github.public.archived = True


def unarchived(github):
    github.public.archived = False


def forbidden(github):
    github.public.may_write = False


def allowed(github):
    github.public.may_write = True


@pytest.mark.parametrize(
    ("wrong", "mended", "state_of_it", "said"),
    [
        (gone, back, RepositoryState.GONE, "Deleted, or out of our sight"),
        (issues_off, issues_on, RepositoryState.ISSUES_OFF, "issues are switched off"),
        (archived, unarchived, RepositoryState.READ_ONLY, "Archived"),
        (forbidden, allowed, RepositoryState.FORBIDDEN, "issues=write"),
    ],
    ids=["deleted", "issues disabled", "archived", "a permission is missing"],
)
def test_a_repository_that_takes_nothing_is_told_and_filed_into_later(
    github, report, wrong, mended, state_of_it, said
):
    wrong(github)
    report(SPINNER)
    settle()
    assert state() == state_of_it
    assert said in waits().error
    assert any(said in line for line in troubles.present())
    mended(github)
    again()
    again()
    assert state() == RepositoryState.WELL
    assert troubles.present() == []
    assert len(github.public.issues) == 1
    assert TrackedIssue.objects.get().state == "open"


def test_a_token_that_expires_in_the_middle_loses_nothing(github, report, settings):
    report(SPINNER)
    settle()
    settings.GITHUB_TOKEN = "expired"
    report(VAT)
    settle()
    assert state() == RepositoryState.CREDENTIAL
    assert "Set GITHUB_TOKEN anew" in waits().error
    settings.GITHUB_TOKEN = "fresh"
    again()
    assert len(github.public.issues) == 2
    assert troubles.present() == []


def test_a_renamed_repository_is_followed_and_the_new_name_is_told(github, report):
    report(SPINNER)
    settle()
    github.public.name = "corp/planner"
    github.repos = {"corp/planner": github.public, **github.repos}
    del github.repos[PUBLIC]
    github.renamed[PUBLIC] = github.public.id
    report(VAT)
    settle()
    again()
    assert len(github.public.issues) == 2
    assert any("now called corp/planner" in line for line in troubles.present())


def test_a_repository_that_was_made_private_is_told_and_its_links_are_kept_back(github, report):
    from triage import playbook, replies

    item = report(SPINNER)
    settle()
    poll()
    assert "issues/1" in replies.variables(item, playbook.current())["tracking"]
    github.public.private = True
    poll()
    assert any("made private" in line for line in troubles.present())
    rules = playbook.current()
    assert replies.variables(item, rules)["tracking"] == rules.tracking.status_url


def test_a_label_that_cannot_be_made_is_told_and_the_issue_is_filed_without(github, report):
    github.public.may_label = False
    report(SPINNER)
    settle()
    (issue,) = github.public.issues
    assert issue["labels"] == []
    assert "cannot be made" in TrackedIssue.objects.get().trouble


@pytest.mark.parametrize("name", FAULTS)
def test_any_nonsense_from_github_loses_nothing_and_doubles_nothing(github, report, name):
    report(SPINNER)
    github.fault = FAULTS[name]
    settle(2)
    poll()
    github.fault = None
    for _ in range(3):
        again()
    assert len(github.public.issues) == 1
    assert OutboxEntry.objects.get(kind="issue").state == Delivery.SENT


def test_enterprise_is_spoken_to_below_its_base_url(github, report, settings):
    settings.GITHUB_API_URL = f"{github.url}/api/v3"
    github.public.has_discussions = True
    poll()
    report(SPINNER)
    report("Please add a dark theme for the office view.", category="feature")
    settle()
    paths = {request.path for request in github.requests}
    assert f"/api/v3/repos/{PUBLIC}/issues" in paths
    assert "/api/graphql" in paths
    assert len(github.public.issues) == len(github.public.discussions) == 1
