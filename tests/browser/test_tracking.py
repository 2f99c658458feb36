"""From a report to its issue, to everyone told while it burns, and again when it is fixed."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, Service, fits
from tests.github_tracker import PUBLIC, Tracker
from tests.replay import Replay

COMES_IN = 90_000  # ms
STORY = 1
TEXTS = (
    "The task board does not load since the update, I only see a spinner.",
    "Since the update the task board does not load any more, I only see a spinner.",
)
LATE = "After the update the task board does not load, there is only a spinner."


def thread(texts: tuple[str, ...]) -> list[dict]:
    """A story of ours with a comment a person."""
    import time

    now = int(time.time()) - 3_600
    items = [{"by": "genericcorp", "id": STORY, "time": now, "type": "story", "kids": [],
              "title": "Show HN: our dashboard", "descendants": len(texts)}]  # fmt: skip
    for number, text in enumerate(texts):
        items[0]["kids"].append(100 + number)
        items.append({"by": f"user{number}", "id": 100 + number, "parent": STORY, "time": now + 60,
                      "kids": [], "text": text, "type": "comment"})  # fmt: skip
    return items


@pytest.fixture(scope="module")
def github() -> Iterator[Tracker]:
    with Tracker() as served:
        yield served


@pytest.fixture(scope="module")
def news() -> Iterator[Replay]:
    with Replay(thread(TEXTS)) as served:
        yield served


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def service(folder: Path, github: Tracker, news: Replay) -> Iterator[Service]:
    """The service over a GitHub and a Hacker News on loopback."""
    playbook = folder / "playbook.toml"
    text = (ROOT / "triage" / "playbook" / "launch.toml").read_text(encoding="utf-8")
    text = text.replace('repository = "genericcorp/dashboard"', f'repository = "{PUBLIC}"', 1)
    text = text.split("[[sources]]")[0]
    source = (
        f'[[sources]]\nname = "hn"\nchannel = "hackernews"\nstories = [{STORY}]\nevery = "2s"\n'
    )
    playbook.write_text(text + source, encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    env = {**os.environ, "DATA_DIR": str(folder), "BIND": address, "PYTHONUNBUFFERED": "1",
           "PLAYBOOK": str(playbook), "GITHUB_API_URL": github.url, "GITHUB_TOKEN": "secret",
           "HACKERNEWS_FIREBASE_URL": news.url, "HACKERNEWS_ALGOLIA_URL": news.url}  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"], cwd=ROOT, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    started = Service(f"http://{address}/", process)
    threading.Thread(target=started.listen, daemon=True).start()
    try:
        started.wait()
        yield started
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def look_now(folder: Path) -> None:
    """As GitHub's webhook would: the next look at the repository is due."""
    with sqlite3.connect(folder / "feedback.sqlite3", timeout=20) as database:
        database.execute("UPDATE triage_trackedrepository SET next_poll_at = NULL")
    database.close()


def waited(page: Page, holds: Callable[[], bool]) -> None:
    for _ in range(COMES_IN // 1_000):
        if holds():
            return
        page.wait_for_timeout(1_000)
        page.reload()
    pytest.fail("It never came.")


def test_everyone_is_told_while_it_burns_and_again_when_it_is_fixed(
    staff: Callable[..., Page], service: Service, github: Tracker, news: Replay, folder: Path
) -> None:
    page = staff()
    page.goto(f"{service.url}triage/trackedissue/")
    row = page.locator("[data-tracked]")
    waited(page, lambda: row.count() == 1 and "2" in row.locator(".c-count").inner_text())
    waited(page, lambda: "#1" in row.inner_text())  # it may be counted before it is filed
    assert fits(page)
    expect(row).to_contain_text("#1")
    row.get_by_role("link").click()

    # While it burns: previewed, then told to everyone.
    page.get_by_role("link", name="Tell everyone").click()
    page.get_by_label("Workaround").fill("an older version")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("[data-preview]")).to_have_count(2)
    expect(page.locator("[data-preview]").first).to_contain_text("try an older version")
    assert fits(page)
    page.get_by_role("button", name="Tell all 2").click()
    expect(page.locator("[data-telling=known] [data-draft]")).to_have_count(2)
    expect(page.locator("[data-telling=known]")).to_contain_text("to be posted by hand")
    issue = page.url

    # A later report is offered the same text at once.
    news.items |= {item["id"]: item for item in thread((*TEXTS, LATE))}
    waited(page, lambda: page.locator("[data-report]").count() == 3)
    page.locator("[data-report]", has_text="After the update").get_by_role("link").first.click()
    expect(page.get_by_label("Reply text")).to_have_value(re.compile("try an older version"))
    expect(page.locator(".t-offered")).to_contain_text("Known issue")

    # Closed on GitHub: a draft for everyone, sent by one click.
    github.close(1, milestone="v2.4.0")
    look_now(folder)
    page.goto(issue)
    waited(page, lambda: page.locator("[data-telling=resolved]").count() == 1)
    resolved = page.locator("[data-telling=resolved]")
    expect(resolved).to_contain_text("fixed in v2.4.0")
    expect(resolved.locator("[data-draft]")).to_have_count(3)
    resolved.get_by_role("button", name="Send all 3").click()
    expect(page.locator("[data-telling=resolved]")).not_to_contain_text("Send all")
    expect(page.locator("[data-telling=resolved]")).to_contain_text("to be posted by hand")
    expect(page.locator(".t-history").first).to_contain_text("on GitHub")


def test_the_pages_fit_a_phone(staff: Callable[..., Page], service: Service) -> None:
    phone = staff(width=390, height=844)
    phone.goto(f"{service.url}triage/trackedissue/?tab=closed")
    expect(phone.locator("[data-tracked]")).to_have_count(1)
    assert fits(phone)
    phone.locator("[data-tracked]").get_by_role("link").click()
    expect(phone.locator("#history")).to_be_visible()
    assert fits(phone)
    phone.get_by_role("link", name="Tell everyone").click()
    assert fits(phone)
