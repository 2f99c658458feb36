"""A real service (web, worker, scheduler) on loopback, and a browser whose console stays empty."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
PASSWORD = re.compile(r"log in as (\w+) with the password (\S+)")
START_SECONDS = 60
STOP_SECONDS = 15


@dataclass
class Service:
    """One process tree of `manage.py up` on a data folder of its own."""

    url: str
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    user: str = ""
    password: str = ""

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := PASSWORD.search(line):
                self.user, self.password = found.groups()

    def wait(self) -> None:
        """Until its page is up; its output is shown if it never is."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}healthz", timeout=2):
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail("The service did not start:\n" + "".join(self.lines))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The service as `make run` starts it, on an empty data folder; one for a module's tests."""
    folder = str(tmp_path_factory.mktemp("data"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        cwd=ROOT,
        env={**os.environ, "DATA_DIR": folder, "BIND": address, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started = Service(f"http://{address}/", process)
    threading.Thread(target=started.listen, daemon=True).start()
    try:
        started.wait()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's chromium, without a window."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens pages (`width`, `scheme`) that fail the test if their console says anything."""
    said: list[str] = []
    contexts: list[BrowserContext] = []

    def open_one(width: int = 1280, height: int = 900, scheme: str = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,  # type: ignore[arg-type]
            permissions=["clipboard-read", "clipboard-write"],
        )
        contexts.append(context)
        context.on("console", lambda message: _listen(message, said))
        context.on("weberror", lambda error: said.append(f"uncaught: {error.error}"))
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()
    assert said == []


@pytest.fixture
def staff(service: Service, open_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens a page on which the first administrator has logged in."""

    def log_in(**options: object) -> Page:
        page = open_page(**options)
        page.goto(service.url)
        page.get_by_label("Username").fill(service.user)
        page.get_by_label("Password").fill(service.password)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(lambda url: "login" not in url)
        return page

    return log_in


def _listen(message: ConsoleMessage, said: list[str]) -> None:
    if message.type != "verbose":  # the browser's advice, which no console shows by itself
        said.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")


def fits(page: Page) -> bool:
    """Whether nothing scrolls sideways."""
    return bool(
        page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
    )
