"""The worker and the scheduler as real processes over a data folder of their own."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]

# A claim of a process that was killed comes due again by itself; minutes in service, here a
# second or two, so that the test need not wait for it.
WORKER = """
import os
from datetime import timedelta
import django
django.setup()
from feedback import polling
from feedback.channels import mail
from triage import outbox, pipeline
polling.LEASE = timedelta(seconds=float(os.environ.get("TEST_LEASE", "4")))
polling.BACKOFF_FIRST = timedelta(seconds=1)
polling.BACKOFF_LIMIT = timedelta(seconds=3)
pipeline.LEASE = timedelta(seconds=4)
outbox.LEASE = outbox.ASK_AFTER = outbox.BACKOFF_FIRST = timedelta(seconds=2)
outbox.BACKOFF_LIMIT = timedelta(seconds=3)
mail.LOOKED_FOR = timedelta(seconds=20)
from workers.app import app
app.worker_main(["worker", "-P", "threads", "-c", "2", "-l", "ERROR",
                 "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


class Service:
    """A worker that can be killed at any moment, and a scheduler, over one data folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.env = {
            **os.environ,
            **settings,
            "DATA_DIR": str(folder),
            "DJANGO_SETTINGS_MODULE": "feedback.settings",
            "PYTHONPATH": str(ROOT),
        }
        self.worker: subprocess.Popen[bytes] | None = None
        self.scheduler: subprocess.Popen[bytes] | None = None

    def manage(self, *words: str) -> str:
        """Run a command and return what it printed."""
        command = [sys.executable, "manage.py", *words]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def __enter__(self) -> Self:
        self.start_scheduler()
        self.start_worker()
        return self

    def start_scheduler(self) -> None:
        beat = ["-m", "celery", "-q", "-A", "workers.app", "beat", "-l", "ERROR", "--pidfile", ""]
        beat += ["-S", "workers.schedule:DueScheduler", "--schedule", "unused"]
        self.scheduler = self._start(*beat)

    def kill_scheduler(self) -> None:
        """As `kill -9` does."""
        assert self.scheduler
        self.scheduler.send_signal(signal.SIGKILL)
        self.scheduler.wait()

    def __exit__(self, *_: object) -> None:
        for process in (self.worker, self.scheduler):
            if process:
                process.kill()
                process.wait()

    def start_worker(self) -> None:
        self.worker = self._start("-W", "ignore", "-c", WORKER)

    def kill_worker(self) -> None:
        """As `kill -9` does: no handler runs, nothing is written."""
        assert self.worker
        self.worker.send_signal(signal.SIGKILL)
        self.worker.wait()

    def kill_at_random(self, times: int, seed: int) -> None:
        """Kill and restart the worker at random points of its work."""
        rng = random.Random(seed)
        for _ in range(times):
            time.sleep(rng.uniform(1.0, 3.5))
            self.kill_worker()
            self.start_worker()

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *words], cwd=ROOT, env=self.env, stdout=subprocess.DEVNULL
        )
