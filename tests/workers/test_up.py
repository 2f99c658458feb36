"""The whole service in one process tree, as a user starts it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Up:
    """`manage.py up` on a port and data folder of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        address = self.url.removeprefix("http://")
        self.env = {**os.environ, "DATA_DIR": str(folder), "BIND": address, **settings}
        self.out = folder.parent / f"{folder.name}.out"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Up":
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"], cwd=ROOT, env=self.env, stdout=out, stderr=out
            )
        until(self.answers, 60)
        return self

    def answers(self) -> bool:
        assert self.process and self.process.poll() is None, self.out.read_text()
        try:
            return httpx.get(f"{self.url}/healthz", timeout=2).text == "ok"
        except httpx.HTTPError:
            return False

    def child(self, word: str) -> psutil.Process | None:
        assert self.process
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if word in child.cmdline():
                    return child
            except psutil.Error:
                continue
        return None

    def stop(self) -> float:
        """Ctrl-C; returns the seconds that it took."""
        assert self.process
        children = psutil.Process(self.process.pid).children(recursive=True)
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        took = time.monotonic() - began
        _, alive = psutil.wait_procs(children, timeout=1)
        assert not alive, "a process outlived the service"
        return took


def until(true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.fixture
def up(tmp_path) -> Iterator[Up]:
    service = Up(tmp_path / "data").start()
    yield service
    if service.process and service.process.poll() is None:
        service.stop()


def test_the_password_is_shown_once_and_opens_the_queue(up):
    password = re.search(r"password (\S+)", up.out.read_text())[1]
    with httpx.Client(base_url=up.url, follow_redirects=True) as browser:
        page = browser.get("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        form = {"username": "admin", "password": password, "csrfmiddlewaretoken": token}
        page = browser.post("/login/?next=/", data=form)
    assert "Play the sample" in page.text
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    up.stop()
    up.start()
    assert up.out.read_text().count("password") == 1


def test_ctrl_c_stops_all_of_it_within_5_seconds(up):
    until(lambda: up.child("worker"), 20)
    assert up.stop() < 5


def test_a_killed_worker_comes_back(up):
    until(lambda: up.child("worker"), 20)
    first = up.child("worker")
    first.kill()
    until(lambda: (found := up.child("worker")) and found.pid != first.pid, 10)


def test_when_the_supervisor_is_killed_nothing_is_left(up):
    until(lambda: up.child("worker"), 20)
    children = psutil.Process(up.process.pid).children(recursive=True)
    up.process.kill()
    up.process.wait()
    _, alive = psutil.wait_procs(children, timeout=15)
    assert not alive


def test_two_services_on_one_folder_and_a_taken_port_are_one_line_each(up, tmp_path):
    for settings in ({}, {"DATA_DIR": str(tmp_path / "other")}):
        done = subprocess.run(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env={**up.env, **settings},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        assert "Set" in done.stderr or "set" in done.stderr


def test_a_hint_reaches_the_worker_and_the_sample_fills_the_queue(up):
    subprocess.run(
        [sys.executable, "manage.py", "sample", "--play", "--speed", "86400"],
        cwd=ROOT,
        env=up.env,
        check=True,
        capture_output=True,
    )

    def triaged() -> int:
        done = subprocess.run(
            [sys.executable, "manage.py", "export", "-"],
            cwd=ROOT,
            env=up.env,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.count('"category": "') > 300

    until(triaged, 120)
