"""Whether the tracked repositories can be written to: each permission asked for, and named."""

from collections.abc import Iterator

from feedback.channels.base import ChannelError
from feedback.channels.github import tracker
from feedback.channels.github.api import Api, Gone, failure, message
from feedback.credentials import credential
from feedback.health import Checked
from feedback.http import HTTPFailure
from triage import playbook
from triage.playbook import Playbook
from triage.tracking import intents

WRITES = ("write", "admin")
CLASSIC = {"repo", "public_repo"}
ENABLED = """
query Enabled($owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) { discussions(first: 1) { totalCount } }
}
"""


def checks() -> Iterator[Checked]:
    """What filing bugs takes; nothing where it is not set up."""
    rules = playbook.current()
    if not intents.is_on(rules):
        return
    tracking = rules.tracking
    yield _checked(tracking.repository, _needs(rules), is_secret=False)
    if tracking.security == "repository" and tracking.private_repository:
        yield _checked(tracking.private_repository, {"issues": "write"}, is_secret=True)


def _needs(rules: Playbook) -> dict[str, str]:
    """The permissions that the public repository takes, as GitHub names them."""
    needs = {"issues": "write", "contents": "read"}
    if rules.tracking.request_label:
        needs["discussions"] = "write"
    if rules.tracking.security == "advisory":
        needs["repository_advisories"] = "write"
    return needs


def _checked(name: str, needs: dict[str, str], *, is_secret: bool) -> Checked:
    title = f"tracking {name}"
    try:
        with Api() as api:
            wrong = list(_problems(api, name, needs, is_secret=is_secret))
    except (ChannelError, Gone, HTTPFailure) as error:
        return Checked(check=title, ok=False, message=str(error))
    if wrong:
        return Checked(check=title, ok=False, message=" ".join(wrong))
    given = ", ".join(f"{permission}: {level}" for permission, level in needs.items())
    return Checked(check=title, ok=True, message=f"Can be written to ({given}).")


def _problems(api: Api, name: str, needs: dict[str, str], *, is_secret: bool) -> Iterator[str]:
    """What keeps us from writing there, each with what to do."""
    told = tracker.about(api, name)
    if told.full_name.casefold() != name.casefold():
        yield f"It is now called {told.full_name}: write that in the playbook."
    if told.is_archived:
        yield "It is archived: unarchive it."
    if not told.has_issues:
        yield "Its issues are switched off: switch them on."
    if is_secret and not told.is_private:
        yield "It is public: security matters would be seen by all. Make it private."
    if "discussions" in needs and not told.has_discussions:
        needs.pop("discussions")  # requests become issues there
    if credential("GITHUB_APP_ID") and not credential("GITHUB_TOKEN"):
        missing = _missing_of_app(api, name, needs)
    else:
        missing = _missing_of_token(api, name, needs, is_private=told.is_private)
    if missing:
        yield f"Missing permissions: {', '.join(missing)}."


def _missing_of_app(api: Api, name: str, needs: dict[str, str]) -> list[str]:
    """What the app's installation was not given."""
    given = api.installation(name)
    return [
        f"{permission}: {level}"
        for permission, level in needs.items()
        if given.get(permission) not in (WRITES if level == "write" else ("read", *WRITES))
    ]


def _missing_of_token(api: Api, name: str, needs: dict[str, str], *, is_private: bool) -> list[str]:
    """What the token does not have.

    A classic token's scopes are told with every answer. Of a fine-grained one GitHub tells
    nothing: an issue without a title, which is never made, is refused for its title if issues
    may be written, else for the permission.
    """
    scopes = api.read(f"/repos/{name}", name).headers.get("x-oauth-scopes", "")
    if scopes:
        held = {scope.strip() for scope in scopes.split(",")}
        wanted = {"repo"} if is_private else CLASSIC
        return [] if held & wanted else [f"the scope {' or '.join(sorted(wanted))}"]
    missing = []
    answer = api.write("POST", f"/repos/{name}/issues", name, title="")
    if answer.status not in (400, 410, 422):  # 410: its issues are off, which was told
        needed = answer.headers.get("x-accepted-github-permissions", "").replace("=", ": ")
        if answer.status not in (401, 403, 404):
            raise failure(answer, f"issues of {name}")
        missing.append(needed or f"issues: write ({message(answer)})")
    if "contents" in needs:
        read = api.read(f"/repos/{name}/releases", name, per_page=1)
        if read.status in (403, 404):
            missing.append("contents: read")
    if "discussions" in needs:
        asked = {"query": ENABLED, "variables": _names(name)}
        answer = api.write("POST", api.graphql_path, name, **asked)
        if b"FORBIDDEN" in answer.body:
            missing.append("discussions: write")
    if "repository_advisories" in needs:
        read = api.read(f"/repos/{name}/security-advisories", name, per_page=1)
        if read.status in (403, 404):
            missing.append("repository_advisories: write")
    return missing


def _names(name: str) -> dict[str, str]:
    owner, _, short = name.partition("/")
    return {"owner": owner, "name": short}
