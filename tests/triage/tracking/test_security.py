"""Security stays private: nothing of a leak or a hole in anything that a stranger can read."""

import pytest

from feedback.models import Item
from tests.github_tracker import PRIVATE
from tests.triage.tracking.conftest import again, settle, write_playbook
from triage import troubles
from triage.models import Delivery, OutboxEntry
from triage.tracking import moves
from triage.tracking.models import IssueReport, TrackedIssue
from triage.tracking.redaction import redact
from triage.tracking.security import looks_secure_matter

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner."
KEY = "sk-live-abcdefghijklmnop123456"
LEAK = f"The task board does not load, and the page source shows the API key {KEY}."
HOLE = "There is a stored XSS hole in task titles: <script>fetch('//evil')</script> runs for all."


def public_bodies(github) -> str:
    """Everything that was written where strangers can read it."""
    return "\n".join(
        request.body.decode()
        for request in github.requests
        if request.method != "GET" and f"/repos/{PRIVATE}" not in request.path
    )


def test_a_leaked_key_and_a_hole_go_to_the_private_repository_alone(github, report):
    report(SPINNER)
    settle()
    for text in (LEAK, HOLE):
        report(text)
        settle()
    said = public_bodies(github)
    for secret in (KEY, "API key", "XSS", "evil", "page source"):
        assert secret not in said
    assert len(github.public.issues) == 1
    assert len(github.private.issues) == 2
    assert KEY not in "".join(issue["body"] for issue in github.private.issues)
    assert Item.objects.filter(restricted_at=None).count() == 1


def test_a_report_like_a_public_one_that_holds_a_secret_does_not_join_it(github, report):
    report(SPINNER)
    settle()
    leak = report(f"{SPINNER} My token is {KEY}.")
    settle()
    assert leak.tracking.tracked.is_private
    assert TrackedIssue.objects.get(is_private=False).reports == 1


def test_a_later_word_that_tells_a_secret_takes_the_report_out_of_the_public_issue(
    github, report, hn
):
    from feedback.intake import add_posts
    from tests.make import make_post
    from triage import pipeline

    item = report(SPINNER, author="ann", external_id="first")
    settle()
    add_posts(hn, [make_post(parent_id="first", author="ann", text=f"Here is my token: {KEY}")])
    while pipeline.triage_waiting():
        pass
    settle()
    report_ = IssueReport.objects.get(item=item)
    assert report_.tracked is None or report_.tracked.is_private
    assert KEY not in public_bodies(github)


def test_as_an_advisory_where_the_playbook_says_so(github, report):
    write_playbook(('security = "repository"', 'security = "advisory"'))
    report(HOLE)
    settle()
    (advisory,) = github.public.advisories
    assert advisory["state"] == "draft"
    assert github.public.issues == github.private.issues == []


def test_a_person_decides_where_the_playbook_says_so(github, report, staff):
    write_playbook(('security = "repository"', 'security = "ask"'))
    item = report(HOLE)
    settle()
    held = IssueReport.objects.get(item=item)
    assert (held.state, held.tracked) == ("security", None)
    assert "XSS" in held.reason
    assert github.public.issues == github.private.issues == []
    moves.harmless(item, staff)
    settle()
    item.refresh_from_db()
    assert item.restricted_at is None
    assert len(github.public.issues) == 1


def test_what_is_no_bug_is_restricted_and_held_all_the_same(github, report):
    item = report("Where do I report a vulnerability?", category="question", severity="")
    settle()
    item.refresh_from_db()
    assert item.restricted_at is not None
    assert item.tracking.state == "security"


def test_a_private_repository_that_is_public_gets_nothing(github, report):
    github.private.private = False
    report(HOLE)
    settle()
    assert github.private.issues == []
    entry = OutboxEntry.objects.get(kind="issue")
    assert entry.state == Delivery.PENDING
    assert "public" in entry.error
    assert any(PRIVATE in line for line in troubles.present())
    github.private.private = True
    again()
    assert len(github.private.issues) == 1


def test_a_person_cannot_mix_what_is_secret_with_what_is_public(github, report, staff):
    public, secret = report(SPINNER), report(HOLE)
    settle()
    open_, hidden = TrackedIssue.objects.order_by("is_private")
    for item, tracked in ((secret, open_), (public, hidden)):
        with pytest.raises(moves.Conflict, match="security matter"):
            moves.join(item, tracked.pk, staff)
    with pytest.raises(moves.Conflict, match="security matter"):
        moves.merge(hidden.pk, open_.pk, staff)


def test_the_tracking_link_of_a_private_issue_is_told_to_nobody(github, report):
    from triage import playbook, replies

    item = report(HOLE)
    settle()
    values = replies.variables(item, playbook.current())
    assert values["tracking"] == playbook.current().tracking.status_url


@pytest.mark.parametrize(
    "text",
    [
        "I can see other users' tasks in my board.",
        "SQL injection in the search field",
        "Anyone can read all invoices without logging in.",
        "Your site got hacked",
        "My password is stored in plain text",
        "The session token is visible in the URL",
        "AKIAIOSFODNN7EXAMPLE is in your JS bundle",
        "I would like to report a security issue",
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
        "CVE-2025-12345 affects the version that you ship",
        "I logged in as another user by changing the id",
    ],
)
def test_these_are_security_matters(text):
    assert looks_secure_matter(text)


@pytest.mark.parametrize(
    "text",
    [
        "There is a memory leak in the tab.",
        "The keyboard shortcut key is visible but does nothing.",
        "Password reset mails never arrive.",
        "I forgot my password and the reset link is expired.",
        "The board does not load.",
        "My token is invalid.",
        "Login says: invalid token: expired",
        "Please add a dark theme.",
    ],
)
def test_these_are_not(text):
    assert not looks_secure_matter(text)


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        ("write to jane@example.com", "jane"),
        ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "ghp_"),
        ("password: hunter22", "hunter22"),
        ("https://u:pw1234@host/x", "pw1234"),
        ("https://x.test/?access_token=abcdef", "abcdef"),
        ("call +49 30 901820", "901820"),
        ("call (415) 555-2671", "2671"),
        ("my server is 203.0.113.7", "203.0"),
        ("/home/jane/app.log", "jane"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "eyJ"),
        ("card 4111 1111 1111 1111", "1111"),
        ("Authorization: Bearer abcdefghijklmnop", "abcdefghijklmnop"),
    ],
)
def test_what_is_private_is_taken_out(text, gone):
    assert gone not in redact(text).text
    assert redact(text).removed


@pytest.mark.parametrize(
    "text", ["version 2.3.1", "error 500 in line 1234", "a1b2c3d4e5f6a7b8c9d0"]
)
def test_what_helps_stays(text):
    assert redact(text).text == text


def test_a_mark_in_somebodys_words_is_no_mark_of_ours(github, report):
    settle()
    report(f"{SPINNER} <!-- feedback:issue:abc --> @corp/everyone ~~~ fixes #1")
    settle()
    body = github.public.issues[0]["body"]
    assert body.count("<!-- feedback:") == 1
