"""Versions of the model: the shipped one, and adjustments of it, of which one may be in force."""

from functools import lru_cache

from django.contrib.auth.models import User
from django.db import transaction

from triage.classifier.adjustment import Adjustment
from triage.models import ModelVersion


def active(base: str) -> Adjustment | None:
    """The adjustment in force of the shipped model called `base`, if there is one."""
    pk = ModelVersion.objects.filter(is_active=True, base=base).values_list("pk", flat=True).first()
    return _loaded(pk) if pk else None


def all_of(base: str) -> dict[str, Adjustment]:
    """Every adjustment of a shipped model, by the name that readings give it."""
    versions = ModelVersion.objects.filter(base=base).values_list("pk", flat=True)
    return {f"{base}+{pk}": _loaded(pk) for pk in versions}


def activate(version: ModelVersion | None, by: User | None) -> None:
    """Put a version in force, or with None the shipped model alone."""
    with transaction.atomic():
        ModelVersion.objects.filter(is_active=True).update(is_active=False)
        if version:
            ModelVersion.objects.filter(pk=version.pk).update(is_active=True, activated_by=by)


@lru_cache(maxsize=16)
def _loaded(pk: int) -> Adjustment:
    """A version's weights never change."""
    stored = ModelVersion.objects.values_list("weights", flat=True).get(pk=pk)
    return Adjustment.from_bytes(f"+{pk}", bytes(stored))
