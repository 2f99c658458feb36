"""Logging in to mail servers: access tokens and their renewal, TLS, passwords."""

import base64
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import jwt
import pytest

from feedback.channels.base import Later, Refused, SourceStopped, TryLater
from feedback.channels.mail import Email, oauth, smtp
from feedback.channels.mail.config import Config
from feedback.channels.mail.smtp import Way
from tests import mail_server
from tests.mail_server import USER, Dovecot, make_mail
from tests.serve import Answer, Request, Served, says

pytestmark = pytest.mark.django_db(transaction=True)

KEY = "0123456789abcdef0123456789abcdef"
WAY = Way(sender=USER, recipient="ann@example.org")


class TokenServer(Served):
    """Gives access tokens that Dovecot takes, each for `seconds`."""

    def __init__(self, dovecot: Dovecot) -> None:
        super().__init__(self._answer)
        key = dovecot.folder / "keys/default/HS256/default"
        key.write_bytes(base64.b64encode(KEY.encode()))
        with suppress(PermissionError):
            shutil.chown(key, *mail_server.account())
        self.seconds, self.is_bad = 3_600, False

    def token(self) -> str:
        now = int(time.time())
        claims = {
            "email": USER,
            "sub": USER,
            "iss": "https://idp.test/",
            "jti": str(time.time_ns()),
        }
        claims |= {"iat": now - 5, "exp": now + 600}
        key = "another key, of at least 32 bytes" if self.is_bad else KEY
        return jwt.encode(claims, key, "HS256", headers={"kid": "default"})

    def _answer(self, request: Request) -> Answer:
        if request.form.get("refresh_token") != "r3fresh":
            said = {"error": "invalid_grant", "error_description": "Token has been revoked"}
            return Answer(said, 400)
        return Answer({"access_token": self.token(), "expires_in": self.seconds})


@pytest.fixture
def tokens(dovecot: Dovecot, monkeypatch: Any) -> Iterator[TokenServer]:
    monkeypatch.setenv("SUPPORT_REFRESH", "r3fresh")
    monkeypatch.setenv("SUPPORT_CLIENT_SECRET", "cl1ent")
    with TokenServer(dovecot) as served:
        yield served


@pytest.fixture
def renewed(dovecot: Dovecot, tokens: TokenServer) -> dict[str, Any]:
    """The table of a mailbox whose access tokens are made of a refresh token."""
    return dovecot.config(
        password_env="",
        oauth_token_url=f"{tokens.url}/token",
        oauth_client_id="triage",
        oauth_client_secret_env="SUPPORT_CLIENT_SECRET",
        oauth_refresh_token_env="SUPPORT_REFRESH",
        oauth_scope="imap",
    )


def test_xoauth2_logs_in_by_a_token(
    dovecot: Dovecot, tokens: TokenServer, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SUPPORT_TOKEN", tokens.token())
    config = dovecot.config(password_env="", oauth_token_env="SUPPORT_TOKEN")
    dovecot.append(make_mail("By token."))
    assert [post.text for post in Email(config).poll({}).posts] == ["By token."]
    monkeypatch.setenv("SUPPORT_TOKEN", tokens.token()[:-3] + "abc")
    with pytest.raises(SourceStopped, match="SUPPORT_TOKEN"):
        Email(config).poll({})


def test_a_token_is_made_of_a_refresh_token_and_made_anew_before_it_ends(
    dovecot: Dovecot, tokens: TokenServer, renewed: dict[str, Any], monkeypatch: Any
) -> None:
    dovecot.append(make_mail("By a renewed token."))
    assert [post.text for post in Email(renewed).poll({}).posts] == ["By a renewed token."]
    asked = tokens.requests[0].form
    assert (asked["grant_type"], asked["client_id"]) == ("refresh_token", "triage")
    assert (asked["client_secret"], asked["scope"]) == ("cl1ent", "imap")
    Email(renewed).poll({})
    assert len(tokens.requests) == 1
    now = time.monotonic()
    monkeypatch.setattr(oauth.time, "monotonic", lambda: now + 3_400)
    Config.of(renewed, frozenset()).login()
    assert len(tokens.requests) == 2


def test_a_token_that_is_refused_before_its_time_is_made_anew_once(
    tokens: TokenServer, renewed: dict[str, Any], monkeypatch: Any
) -> None:
    tokens.is_bad = True
    with pytest.raises(SourceStopped, match="SUPPORT_REFRESH"):
        Email(renewed).poll({})  # a fresh one is refused: a person must act
    Config.of(renewed, frozenset()).login()
    now = time.monotonic()
    monkeypatch.setattr(oauth.time, "monotonic", lambda: now + 120)
    tokens.is_bad = False
    with pytest.raises(TryLater, match="a new one is made"):
        Email(renewed).poll({})
    Email(renewed).poll({})


def test_what_the_token_server_says_is_told(
    tokens: TokenServer, renewed: dict[str, Any], monkeypatch: Any
) -> None:
    channel = Email(renewed)
    tokens.fault = says(b"<html>", 502)
    with pytest.raises(TryLater, match="The token server"):
        channel.poll({})
    tokens.fault = says({"expires_in": 3600})
    with pytest.raises(TryLater, match="The token server"):
        channel.poll({})
    tokens.fault = None
    monkeypatch.setenv("SUPPORT_REFRESH", "old")
    with pytest.raises(SourceStopped, match=r"Token has been revoked\. Authorize it anew"):
        channel.poll({})
    monkeypatch.delenv("SUPPORT_REFRESH")
    with pytest.raises(SourceStopped, match="SUPPORT_REFRESH is not set"):
        channel.poll({})


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
def test_mail_goes_out_by_tls_with_a_login(
    dovecot: Dovecot, settings: Any, monkeypatch: Any, scheme: str
) -> None:
    with mail_server.Post(password="p@ss:word", tls=scheme, folder=dovecot.folder) as post:
        settings.EMAIL_URL = post.url_as("robot%40genericcorp.com", "p%40ss%3Aword")
        came = smtp.send(smtp.server(), make_mail("Hello."), WAY, lambda: True)
        assert isinstance(came, Later)  # its certificate is not trusted: nothing was said to it
        assert "certificate" in came.reason
        monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.folder / "cert.pem"))
        assert smtp.check() == ""
        assert smtp.send(smtp.server(), make_mail("Hello."), WAY, lambda: True) is None
        assert [taken.recipients for taken in post.taken] == [["ann@example.org"]]
        assert post.was_encrypted
        settings.EMAIL_URL = post.url_as("robot%40genericcorp.com", "wrong")
        came = smtp.send(smtp.server(), make_mail("Hello."), WAY, lambda: True)
        assert isinstance(came, Refused)
        assert "refuses the login" in came.reason
        assert "EMAIL_URL" in smtp.check()
        assert "wrong" not in came.reason
        assert len(post.taken) == 1
