"""One client, bounded; each failure is one of few words. All against a real server on loopback."""

import gzip
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

import httpx
import pytest

from feedback import http
from tests import replay as hn
from tests.replay import Replay

PATH = "/v0/item/1.json"
SOON = timedelta(seconds=0.5)


@pytest.fixture
def server() -> Iterator[Replay]:
    with Replay([{"id": 1, "type": "story"}]) as replay:
        yield replay


@pytest.fixture
def web() -> Iterator[httpx.Client]:
    with http.client() as client:
        yield client


def test_json_comes_as_its_value(server: Replay, web: httpx.Client) -> None:
    assert http.fetch_json(web, server.url + PATH) == {"id": 1, "type": "story"}


def test_null_is_a_value(server: Replay, web: httpx.Client) -> None:
    assert http.fetch_json(web, server.url + "/v0/item/2.json") is None


@pytest.mark.parametrize(
    ("fault", "failure"),
    [
        (hn.hang_up, http.Unreachable),
        (hn.cut, http.Unreachable),
        (hn.answers(b"<html>busy</html>"), http.NotJSON),
        (hn.answers(b""), http.NotJSON),
        (hn.answers(b'{"half": '), http.NotJSON),
        (hn.answers(b'{"n": NaN}'), http.NotJSON),
        (hn.answers(b"\xff\xfe\xfa"), http.NotJSON),
        (hn.answers(b"[" * 100_000), http.NotJSON),
        (hn.answers(b'"' + b"x" * 10_000_000 + b'"'), http.TooBig),
        (hn.answers(gzip.compress(b"1" * 1000), content_encoding="gzip"), http.NotJSON),
        (hn.answers(b"<html>", status=502), http.BadStatus),
        (hn.answers({}, status=302, location="https://elsewhere.example"), http.BadStatus),
    ],
)
def test_each_failure_is_one_word(
    server: Replay, web: httpx.Client, fault: hn.Fault, failure: type[Exception]
) -> None:
    server.faults["*"] = fault
    with pytest.raises(failure, match=r"127\.0\.0\.1.*/v0/item/1"):
        http.fetch_json(web, server.url + PATH)
    assert server.asked() == [PATH], "no failure is tried again behind one's back"


@pytest.mark.parametrize("fault", [hn.drip, partial(hn.drip, head=b"HTTP/1.1 200 OK\r\nX-Slow: ")])
def test_a_drip_ends_at_the_deadline_of_the_whole_answer(
    server: Replay, web: httpx.Client, fault: hn.Fault
) -> None:
    server.faults["*"] = fault
    start = time.monotonic()
    with pytest.raises(http.TooSlow):
        http.fetch_json(web, server.url + PATH, deadline=SOON)
    assert time.monotonic() - start < 2


def test_a_closed_port_is_unreachable(web: httpx.Client) -> None:
    with Replay() as gone:
        url = gone.url
    with pytest.raises(http.Unreachable):
        http.fetch_json(web, url + PATH)


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1/x", "http://[", "http://a b/"])
def test_a_wrong_address_is_unreachable(web: httpx.Client, url: str) -> None:
    with pytest.raises(http.Unreachable):
        http.fetch_json(web, url)


def test_a_failure_names_no_query(server: Replay, web: httpx.Client) -> None:
    server.faults["*"] = hn.answers(b"", status=500)
    with pytest.raises(http.BadStatus) as caught:
        http.fetch_json(web, server.url + PATH + "?token=secret")
    assert "secret" not in str(caught.value)


def test_retry_after_is_told(server: Replay, web: httpx.Client) -> None:
    server.faults["*"] = hn.answers(b"", status=429, retry_after="90")
    with pytest.raises(http.BadStatus) as caught:
        http.fetch_json(web, server.url + PATH)
    assert caught.value.status == 429
    assert caught.value.retry_after == timedelta(seconds=90)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5", 5), ("1.5", 1.5), ("-3", 0), ("999999999", 86_400), ("1e400", None), ("nan", None),
     ("soon", None), ("", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
     ("Wed, 21 Oct 2415 07:28:00 GMT", 86_400)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    wanted = None if seconds is None else timedelta(seconds=seconds)
    assert http.retry_after({"retry-after": value}) == wanted


def test_a_failed_write_is_sent_once(server: Replay, web: httpx.Client) -> None:
    answer = http.fetch(web, "POST", server.url + PATH)
    assert answer.status == 501
