"""GitHub's webhooks as the tracker hears them: news that it is time to look, nothing more.

The channel checks the signature and takes in what people said; here a delivery of any event that
can concern a tracked issue wakes its repository. A delivery that is repeated, late or of an unknown
kind can so do no harm.
"""

import json
from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from feedback.channels.github import webhooks
from feedback.hints import hint
from triage.tracking import sync

EVENTS = frozenset(
    "issues issue_comment discussion discussion_comment repository release milestone label".split()
)
REFUSED = 400


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Take a delivery in, and look at what it is about."""
    answer = webhooks.receive(request)
    event = request.headers.get("X-GitHub-Event", "")
    if answer.status_code >= REFUSED or event not in EVENTS:
        return answer
    payload = json.loads(request.body)  # the channel has read it
    if isinstance(payload, Mapping):
        _wake(payload)
    return answer


def _wake(payload: Mapping[str, object]) -> None:
    repository = payload.get("repository")
    name = repository.get("full_name") if isinstance(repository, Mapping) else None
    about = payload.get("issue") or payload.get("discussion")
    number = about.get("number") if isinstance(about, Mapping) else None
    if isinstance(name, str):
        sync.wake(name, number if isinstance(number, int) else None, timezone.now())
        hint("follow")
