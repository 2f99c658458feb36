"""`preflight` as its user sees it."""

import json

import pytest
from django.core.management import CommandError, call_command

from tests.make import make_source
from tests.replay import Replay, make_thread

pytestmark = pytest.mark.django_db


def test_every_check_is_a_line_and_a_missing_one_fails(
    replay: Replay, capsys: pytest.CaptureFixture[str]
) -> None:
    replay.items = {item["id"]: dict(item) for item in make_thread(1)}
    make_source("good", config={"stories": [min(replay.items)]})
    make_source("off", config={"stories": [999]}, enabled=False)
    call_command("preflight")
    assert "ok       source good (hackernews): Answers." in capsys.readouterr().out

    make_source("gone", config={"stories": [999]})
    with pytest.raises(CommandError, match="1 of 2 checks failed"):
        call_command("preflight", "--json")
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["check"], row["ok"]) for row in rows] == [
        ("source gone", False),
        ("source good", True),
    ]
    assert rows[0]["message"] == "Hacker News has no item 999."


def test_without_sources_it_says_what_to_do() -> None:
    with pytest.raises(CommandError, match="No source is enabled") as told:
        call_command("preflight")
    assert told.value.returncode == 2
