"""What was changed of Unfold for the Content-Security-Policy still fits the Unfold installed."""

import hashlib
from pathlib import Path

import pytest
import unfold
from django.conf import settings
from django.contrib.staticfiles import finders

UNFOLD = Path(unfold.__file__).parent

# Of the originals in django-unfold 0.91.0 from which ours in templates/ were made. Where one
# differs, compare old and new original, carry the change over, then write the new hash here.
ORIGINALS = {
    "unfold/layouts/skeleton.html": (
        "66af9f0bb45f98ba4e16ba5e5a11f36d87b8e07430d19066d088b29548491c2e"
    ),
    "admin/actions.html": "b5332aace8e6919204a65b842e626bd8b1d5f8ed855dc290ab114b08526c5f15",
    "admin/change_list.html": "5885c39760f6085d55b2db8e740d4fdc340c402fc7cd43c0b5ef6ae7fb76f421",
    "admin/change_form.html": "e9824d4d8a447d9741a1fe4a83180042ac11383bd51678e2b5e40460fa42d86a",
}


@pytest.mark.parametrize("name", ORIGINALS)
def test_the_original_is_the_one_that_ours_was_made_from(name: str) -> None:
    original = (UNFOLD / "templates" / name).read_bytes()
    assert hashlib.sha256(original).hexdigest() == ORIGINALS[name]
    assert (settings.BASE_DIR / "templates" / name).is_file()


def test_alpine_is_the_build_without_eval() -> None:
    served = Path(finders.find("unfold/js/alpine/alpine.js"))
    assert UNFOLD not in served.parents
    text = served.read_text(encoding="utf-8")
    assert "MIT" in text
    assert "AsyncFunction" not in text
    assert "new Function" not in text


def test_the_policy_allows_nothing_unsafe(client) -> None:
    header = client.get("/admin-page-that-is-not-there", follow=True)["Content-Security-Policy"]
    assert "unsafe" not in header
    assert "'nonce-" in header
    assert "default-src 'none'" in header
