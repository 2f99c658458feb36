"""Whatever a service answers: the source's health says what it is, and nothing is lost.

Each channel is polled as a worker polls it; the fault comes between two polls that are well.
"""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import time_machine
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.test import Client
from django.utils import timezone

from feedback import http, polling
from feedback.channels.reddit.api import _kept
from feedback.models import Item, RejectedPost, Source
from tests.github_server import REPOSITORY, Hub
from tests.make import make_source
from tests.reddit_server import Board
from tests.replay import Replay, make_thread
from tests.twitter_server import X

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
Fault = Callable[[BaseHTTPRequestHandler], None]


def says(status: int, body: bytes = b"", **headers: str) -> Fault:
    """A fault that answers this."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def hangs(handler: BaseHTTPRequestHandler) -> None:
    """No answer at all, for much longer than anybody should wait."""
    time.sleep(6)
    handler.close_connection = True


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A header a byte at a time: no time-out for one read ever fires."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
    with suppress(OSError):
        for _ in range(60):
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.1)


def cuts(handler: BaseHTTPRequestHandler) -> None:
    """The connection ends in the middle of the body."""
    handler.close_connection = True
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n[")


def redirects(handler: BaseHTTPRequestHandler) -> None:
    """To itself, for ever."""
    says(302, location=handler.path)(handler)


FAULTS: dict[str, tuple[Fault, str]] = {
    "429": (says(429, b"{}", retry_after="540"), "429|limit"),
    "500": (says(500), "500"),
    "502 in HTML": (says(502, b"<html><h1>Bad gateway</h1></html>"), "502"),
    "an empty 200": (says(200), "nothing|not JSON|no listing|cannot be read|no object"),
    "half a JSON": (says(200, b'{"data": [{"id": '), "not JSON|cannot be read"),
    "10 MB": (says(200, b'[{"a": "' + b"x" * 10_000_000), "bytes"),
    "a hang": (hangs, "slowly"),
    "a drip": (drips, "slowly"),
    "a cut": (cuts, "cut|incomplete|without sending|closed"),
    "a redirect loop": (redirects, "redirect|302"),
}


@dataclass
class Place:
    """A channel's service on loopback, with posts in it and a source that reads them."""

    source: Source
    add: Callable[[], None]
    break_with: Callable[[Fault | None], None]
    origins: tuple[str, ...]  # the settings that say where it is


def hackernews(settings: Any) -> Iterator[Place]:
    with Replay(make_thread(3, at=int(NOW.timestamp()) - 900)) as server:
        origins = ("HACKERNEWS_FIREBASE_URL", "HACKERNEWS_ALGOLIA_URL")
        for name in origins:
            setattr(settings, name, server.url)
        config = {"stories": [100]}

        def break_with(fault: Fault | None) -> None:
            server.faults = {"*": fault} if fault else {}

        yield Place(
            make_source("hn", config=config), lambda: server.add_comment(100), break_with, origins
        )


def twitter(settings: Any) -> Iterator[Place]:
    with X() as server:
        settings.TWITTER_API_URL, settings.TWITTER_BEARER_TOKEN = server.url, "secret"
        for number in range(4):
            server.say(f"@genericcorp hello {number}")
        source = make_source("x", channel="twitter", config={"handle": "genericcorp"})
        yield Place(
            source, lambda: server.say("@genericcorp new"), breaker(server), ("TWITTER_API_URL",)
        )


def reddit(settings: Any) -> Iterator[Place]:
    _kept.key = ()
    with Board() as server:
        settings.REDDIT_URL = settings.REDDIT_OAUTH_URL = server.url
        settings.REDDIT_CLIENT_ID = "id"
        for number in range(4):
            server.submit(f"Hello {number}")
        source = make_source("r", channel="reddit", config={"subreddits": ["corp"]})
        origins = ("REDDIT_URL", "REDDIT_OAUTH_URL")
        yield Place(source, lambda: server.submit("New"), breaker(server), origins)


def github(settings: Any) -> Iterator[Place]:
    with Hub() as server:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = server.url, "secret"
        for number in range(4):
            server.open(f"Hello {number}")
        config = {"repositories": [REPOSITORY]}
        source = make_source("gh", channel="github", config=config)
        yield Place(source, lambda: server.open("New"), breaker(server), ("GITHUB_API_URL",))


def breaker(server: Any) -> Callable[[Fault | None], None]:
    def break_with(fault: Fault | None) -> None:
        server.fault = fault

    return break_with


PLACES = {"hackernews": hackernews, "twitter": twitter, "reddit": reddit, "github": github}


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, settings: Any) -> Iterator[Place]:
    with time_machine.travel(NOW, tick=True):
        yield from PLACES[request.param](settings)


def poll(place: Place) -> Source:
    """Poll it now, whatever its interval; returns the source as it stands then."""
    Source.objects.filter(pk=place.source.pk).update(next_poll_at=timezone.now())
    polling.poll(place.source.pk)
    place.source.refresh_from_db()
    return place.source


@pytest.mark.parametrize("fault", FAULTS)
def test_its_health_says_what_it_is_and_nothing_is_lost(
    place: Place, fault: str, admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert poll(place).last_error == ""
    before, cursor = Item.objects.count(), place.source.cursor
    assert before in (1, 4)
    place.add()
    break_with, told = FAULTS[fault]

    monkeypatch.setattr(http, "DEADLINE", timedelta(seconds=1))
    place.break_with(break_with)
    began = time.monotonic()
    source = poll(place)
    assert time.monotonic() - began < 4, "it held the worker"
    assert (source.failures, source.is_stopped) == (1, False)
    assert any(word in source.last_error for word in told.split("|")), source.last_error
    assert "\n" not in source.last_error
    assert len(source.last_error) < 300
    assert source.cursor == cursor
    wait = source.next_poll_at - timezone.now()
    assert wait > timedelta(minutes=8) if fault == "429" else wait > timedelta(seconds=10)
    page = admin_client.get("/feedback/source/").content.decode()
    assert "Failing" in page
    assert Item.objects.count() == before
    assert not RejectedPost.objects.exists()

    second = poll(place)  # it goes on failing: ever longer pauses
    assert second.failures == 2
    assert second.next_poll_at - timezone.now() > timedelta(seconds=40)

    place.break_with(None)
    assert poll(place).last_error == ""
    assert place.source.failures == 0
    assert Item.objects.count() == before + 1


def test_a_certificate_that_cannot_be_trusted_is_told(
    place: Place, tmp_path: Path, settings: Any, admin_client: Client
) -> None:
    poll(place)
    before = Item.objects.count()
    place.add()
    mine = {name: getattr(settings, name) for name in place.origins}
    with Impostor(tmp_path) as url:
        for name in place.origins:
            setattr(settings, name, url)
        source = poll(place)
    assert "certificate" in source.last_error.casefold()
    assert len(source.last_error) < 300
    assert "Failing" in admin_client.get("/feedback/source/").content.decode()
    for name, value in mine.items():
        setattr(settings, name, value)
    assert poll(place).last_error == ""
    assert Item.objects.count() == before + 1


class Impostor:
    """A server whose certificate nobody has signed."""

    def __init__(self, folder: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        made = made.not_valid_before(NOW - timedelta(days=1))
        made = made.not_valid_after(NOW + timedelta(days=9))
        pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        pem += key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        path = folder / "impostor.pem"
        path.write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
        self._server.daemon_threads = True
        self._server.handle_error = lambda *_: None
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> str:
        self._thread.start()
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
