"""The repositories that the playbook names, each as GitHub last told of it."""

from feedback.vocabulary import Category
from triage.playbook import Playbook
from triage.tracking.models import Form, TrackedRepository


def public(rules: Playbook) -> TrackedRepository:
    """Where bugs and wishes go."""
    return _row(rules.tracking.repository)


def form(category: str, place: TrackedRepository) -> str:
    """What a bug or a wish is filed as there."""
    if category == Category.FEATURE and place.has_discussions:
        return Form.DISCUSSION
    return Form.ISSUE


def private(rules: Playbook) -> tuple[TrackedRepository, str] | None:
    """Where security matters go and as what; None: a person must say."""
    tracking = rules.tracking
    if tracking.security == "advisory" and tracking.repository:
        return public(rules), Form.ADVISORY
    if tracking.security == "repository" and tracking.private_repository:
        return _row(tracking.private_repository), Form.ISSUE
    return None


def all_of(rules: Playbook) -> list[TrackedRepository]:
    """Every repository that is written to."""
    tracking = rules.tracking
    names = [tracking.repository]
    if tracking.security == "repository":
        names.append(tracking.private_repository)
    return [_row(name) for name in names if name]


def _row(name: str) -> TrackedRepository:
    return TrackedRepository.objects.get_or_create(name=name)[0]
