"""Fixtures that more than one package of tests uses, and what to do about tests left out."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before Django reads its settings: no test touches the data of a service that runs here.
os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="feedback-test-")
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs beside Django's calls
for name in ("REDIS_URL", "DATABASE_URL", "PLAYBOOK", "BIND"):
    os.environ.pop(name, None)

from tests.replay import Replay  # noqa: E402

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of recordings beside the clone."""
    if not SHARED.is_dir():
        pytest.skip("needs ../shared")
    return SHARED


@pytest.fixture
def replay(settings) -> Iterator[Replay]:
    """A loopback Hacker News to which the settings point."""
    with Replay() as server:
        settings.HACKERNEWS_FIREBASE_URL = server.url
        settings.HACKERNEWS_ALGOLIA_URL = server.url
        yield server


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was left out, so that a green run is not read as a whole one."""
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        terminalreporter.section("left out")
        reasons = sorted({str(report.longrepr[2]) for report in skipped})
        terminalreporter.line(f"{len(skipped)} tests were left out: {'; '.join(reasons)}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI nothing may be left out."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
