"""One process tree: starts the service's processes, brings a dead one back, stops them all."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

STOP_SECONDS = 4.0
BACKOFF_FIRST, BACKOFF_LIMIT = 0.4, 30.0
STEADY_SECONDS = 10.0  # a process that lived this long starts with the first backoff again
PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Child:
    """One process of the tree."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    backoff: float = BACKOFF_FIRST
    restart_at: float = 0.0


class Supervisor:
    """Runs the children until it is told to stop."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self.children = [Child(name, command) for name, command in commands.items()]
        self.stopping = threading.Event()

    def run(self) -> None:
        """Start all and keep them running until SIGINT or SIGTERM."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.stopping.set())
        try:
            while not self.stopping.wait(0.1):
                for child in self.children:
                    self._keep(child)
        finally:
            self._stop()

    def _keep(self, child: Child) -> None:
        now = time.monotonic()
        if child.process is None:
            if now >= child.restart_at:
                self._start(child)
            return
        status = child.process.poll()
        if status is None:
            return
        _kill_group(child.process)
        wait = BACKOFF_FIRST if now - child.started > STEADY_SECONDS else child.backoff
        child.backoff = min(wait * 2, BACKOFF_LIMIT)
        child.process, child.restart_at = None, now + wait
        say(child.name, f"ended with status {status}, starts again in {wait:.1f} s")

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603 - our own command lines
            child.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=_with_parent if sys.platform == "linux" else os.setsid,  # noqa: PLW1509
        )
        threading.Thread(target=_pass_on, args=(child.name, child.process), daemon=True).start()

    def _stop(self) -> None:
        alive = [child.process for child in self.children if child.process]
        for process in alive:
            process.terminate()
        end = time.monotonic() + STOP_SECONDS
        for process in alive:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
            _kill_group(process)
            process.wait()


_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def _with_parent() -> None:
    """A session of its own, so that Ctrl-C reaches the supervisor alone, and no life after it."""
    os.setsid()
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a child with what it left behind: a killed web server's own workers keep serving."""
    with suppress(ProcessLookupError, PermissionError):  # macOS: a group of zombies is not ours
        os.killpg(process.pid, signal.SIGKILL)


def _pass_on(name: str, process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        say(name, line.decode(errors="replace").rstrip())


def say(name: str, line: str) -> None:
    """One line of a child's, under its name. A reader that went away stops nobody's work."""
    with suppress(OSError):
        sys.stdout.write(f"{name:>9} | {line}\n")
        sys.stdout.flush()


def main() -> None:
    """Run the commands that `up` hands over as JSON, in the process that was `up`."""
    Supervisor(json.loads(sys.argv[1])).run()
    with suppress(OSError):
        sys.stdout.write("Stopped.\n")


if __name__ == "__main__":
    main()
