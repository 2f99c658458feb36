"""Two workers, the same second, the same bug in different words: one issue."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.faults.service import ROOT
from tests.faults.test_launch import TAKE_IN, Launch, playbook
from tests.github_tracker import Tracker
from tests.launch_bugs import BUGS, FRAMES

PAIRS = 12
POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://root@127.0.0.1:5432")

READ = """
from triage import pipeline
from triage.tracking.models import IssueReport
from feedback.models import Item
from django.contrib.auth.models import User
from triage import moves
while pipeline.triage_waiting():
    pass
boss = User.objects.create_user("boss")
for item in Item.objects.order_by("pk"):
    moves.correct(item, boss, category="bug", severity="P1")
print(IssueReport.objects.filter(state="waiting").count())
"""
# Each claims one at a time and begins at the very instant that it is told.
DECIDE = """
import sys, time
from triage.tracking import deciding
from triage.tracking.matching import WINDOW_OF_EXAMPLES
deciding.BATCH = 1
WINDOW_OF_EXAMPLES.is_behind()
print("ready", flush=True)
sys.stdin.readline()
while deciding.track_waiting():
    pass
"""
ENDED = """
import json
from triage.tracking.models import IssueReport
pairs = IssueReport.objects.values_list("item__messages__external_id", "tracked", "state")
print(json.dumps(list(pairs)))
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path) -> dict[str, str]:
    """A database of the test's own."""
    if request.param == "sqlite":
        return {}
    name = f"two_workers_{os.getpid()}"
    try:
        server = psycopg.connect(f"{POSTGRESQL}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("needs PostgreSQL (TEST_POSTGRESQL_URL)")
    request.addfinalizer(server.close)
    server.execute(f'CREATE DATABASE "{name}"')
    request.addfinalizer(lambda: server.execute(f'DROP DATABASE "{name}" WITH (FORCE)'))
    return {"DATABASE_URL": f"{POSTGRESQL}/{name}"}


def rows() -> list[dict]:
    """Each of a dozen bugs, twice within the same second."""
    made = []
    for n, told in enumerate(list(BUGS.values())[:PAIRS]):
        for way, text in enumerate((told[0], FRAMES[1].format(told[0]))):
            id_ = f"launch-{n}-{way}"
            row = {"channel": "reddit", "source": "r", "external_id": id_, "author": id_,
                   "text": text, "title": "", "url": f"https://r.test/{id_}",
                   "created_at": f"2026-11-26T10:00:{n:02}+00:00"}  # fmt: skip
            made.append(row)
    return made


def test_two_workers_make_one_issue_of_it(tmp_path: Path, database: dict[str, str]) -> None:
    with Tracker() as github:
        settings = {"GITHUB_API_URL": github.url, "GITHUB_TOKEN": "secret", **database}
        service = Launch(tmp_path, settings)
        service.manage("migrate", "-v0")
        # Nothing is offered to a person: each report is filed or joins.
        playbook(tmp_path, service, ("\nunsure = 0.008", "\nunsure = 0.08"))
        service.python(TAKE_IN, given=rows())
        assert service.python(READ).strip() == str(2 * PAIRS)
        code = f"import django; django.setup()\n{DECIDE}"
        workers = [
            subprocess.Popen(
                [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, env=service.env, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )
            for _ in range(2)
        ]  # fmt: skip
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        assert [worker.wait(120) for worker in workers] == [0, 0]
        ended = json.loads(service.python(ENDED))
    issues: dict[str, set[int]] = {}
    for id_, tracked, state in ended:
        assert state == "joined", (id_, state)
        issues.setdefault(id_.rsplit("-", 1)[0], set()).add(tracked)
    assert len(issues) == PAIRS
    assert all(len(tracked) == 1 for tracked in issues.values())
