"""`preflight` names the permission that filing bugs lacks."""

import pytest
from django.core.management import CommandError, call_command

from tests.serve import Answer
from triage.tracking.checks import checks

pytestmark = pytest.mark.django_db(transaction=True)


def lines() -> dict[str, tuple[bool, str]]:
    return {one.check: (one.ok, one.message) for one in checks()}


def test_all_is_well(github):
    told = lines()
    assert all(ok for ok, _ in told.values())
    assert "issues: write" in told["tracking corp/board"][1]
    assert github.public.issues == []


def test_a_missing_permission_is_named(github):
    github.public.may_write = False
    ok, message = lines()["tracking corp/board"]
    assert not ok
    assert message == "Missing permissions: issues: write."


def test_a_classic_token_is_judged_by_its_scopes(github):
    github.scopes = "gist, read:org"
    ok, message = lines()["tracking corp/board-security"]
    assert (ok, message) == (False, "Missing permissions: the scope repo.")
    github.scopes = "repo"
    assert all(ok for ok, _ in lines().values())


def test_a_public_repository_for_secrets_is_told(github):
    github.private.private = False
    ok, message = lines()["tracking corp/board-security"]
    assert not ok
    assert "would be seen by all" in message


@pytest.mark.parametrize(
    ("change", "said"),
    [({"archived": True}, "archived"), ({"has_issues": False}, "switched off")],
)
def test_what_takes_no_issues_is_told(github, change, said):
    for name, value in change.items():
        setattr(github.public, name, value)
    ok, message = lines()["tracking corp/board"]
    assert not ok
    assert said in message


def test_a_repository_that_is_not_there_is_told(github):
    github.repos.clear()
    assert not any(ok for ok, _ in lines().values())


def test_of_an_app_the_installations_permissions_count(github, settings, tmp_path):
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path = tmp_path / "app.pem"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, none))
    settings.GITHUB_TOKEN, settings.GITHUB_APP_ID = "", "42"
    settings.GITHUB_APP_KEY_FILE = path
    route = github.route

    def as_app(request):
        if request.path.endswith("/installation"):
            return Answer({"id": 7, "permissions": {"issues": "read", "contents": "read"}})
        if request.path.endswith("/access_tokens"):
            return Answer({"token": "t", "expires_at": "2099-01-01T00:00:00Z"}, 201)
        return route(request)

    github.route = as_app
    ok, message = lines()["tracking corp/board"]
    assert (ok, message) == (False, "Missing permissions: issues: write, discussions: write.")


def test_the_command_prints_it_and_fails(github, hn, capsys):
    github.public.may_write = False
    with pytest.raises(CommandError):
        call_command("preflight")
    assert "MISSING  tracking corp/board: Missing permissions: issues: write." in (
        capsys.readouterr().out
    )
