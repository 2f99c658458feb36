"""Redis and PostgreSQL in place of the embedded ones, by their settings alone."""

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import redis

from tests.workers.test_up import Up, until

ROOT = Path(__file__).resolve().parents[2]
POSTGRESQL = os.environ.get("TEST_POSTGRESQL_URL", "postgres://root@127.0.0.1:5432")


@pytest.fixture
def database() -> Iterator[str]:
    """A PostgreSQL database of the test's own."""
    name = f"feedback_{uuid.uuid4().hex[:12]}"
    try:
        server = psycopg.connect(f"{POSTGRESQL}/postgres", autocommit=True, connect_timeout=3)
    except psycopg.OperationalError:
        pytest.skip("needs PostgreSQL on 127.0.0.1:5432")
    with server:
        server.execute(f"CREATE DATABASE {name}")
    yield f"{POSTGRESQL}/{name}"
    with psycopg.connect(f"{POSTGRESQL}/postgres", autocommit=True) as server:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(tmp_path) -> Iterator[str]:
    """A Redis server of the test's own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    try:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", str(tmp_path)],
            stdout=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("needs redis-server")
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        try:
            return bool(redis.Redis.from_url(url).ping())
        except redis.ConnectionError:
            return False

    until(answers, 10)
    yield url
    server.terminate()
    server.wait()


def test_the_sample_is_triaged_and_found_on_postgresql_and_redis(tmp_path, database, redis_url):
    service = Up(tmp_path / "data", DATABASE_URL=database, REDIS_URL=redis_url).start()
    try:
        command = [sys.executable, "manage.py", "sample", "--play", "--speed", "86400"]
        subprocess.run(command, cwd=ROOT, env=service.env, check=True, capture_output=True)
        with psycopg.connect(database, autocommit=True) as rows:

            def triaged() -> bool:
                query = "SELECT COUNT(*) FROM feedback_item WHERE triage_due_at IS NULL"
                return rows.execute(query).fetchone()[0] > 300

            until(triaged, 120)
        code = (
            "from feedback.models import Item; from feedback.search import search;"
            "print(search(Item.objects.all(), 'task board').count())"
        )
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "-v0", "-c", code],
            cwd=ROOT, env=service.env, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert int(done.stdout.split()[-1]) > 3
    finally:
        service.stop()
