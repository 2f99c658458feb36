"""The stages as the worker runs them."""

import logging
from pathlib import Path

import pytest
from django.test import Client

from feedback.intake import add_posts
from feedback.models import Item
from tests.make import make_post, make_source
from triage import pipeline
from triage.classifier import reader
from workers import tasks

pytestmark = pytest.mark.django_db(transaction=True)


def test_without_its_model_items_wait_staff_are_told_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    admin_client: Client,
    caplog: pytest.LogCaptureFixture,
) -> None:
    add_posts(make_source(), [make_post("1")])
    with monkeypatch.context() as broken:
        for module in (pipeline, tasks):
            broken.setattr(module, "get_reader", lambda: reader.Reader(tmp_path))
        with caplog.at_level(logging.ERROR):
            tasks.triage()
            tasks.triage()
    assert Item.objects.get().category == ""
    assert [record.message for record in caplog.records] == ["trouble.began"]
    assert "New items are not read: model.json" in admin_client.get(QUEUE).content.decode()

    Item.objects.update(triage_due_at=Item.objects.get().taken_in_at)  # its lease ran out
    tasks.triage()
    assert Item.objects.get().category
    assert "t-trouble" not in admin_client.get(QUEUE).content.decode()


QUEUE = "/feedback/item/"
