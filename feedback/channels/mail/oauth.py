"""Access tokens for XOAUTH2: as they are, or made of a refresh token or a client's own secret."""

import json
import time
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlencode

from feedback.channels.base import SourceStopped, TryLater
from feedback.credentials import named_secret
from feedback.http import HTTPFailure, client, fetch

MARGIN_SECONDS = 300
FRESH_SECONDS = 60


class _Made(NamedTuple):
    """A token that was made of another secret, by the monotonic clock."""

    at: float
    ends_at: float
    token: str


_made: dict[tuple[str, str, str], _Made] = {}


def access_token(settings: Mapping[str, str], secret: str) -> str:
    """A token that is valid for some minutes. Raises TryLater or SourceStopped.

    Without `oauth_token_url`, `secret` is the token.
    """
    url = settings.get("oauth_token_url", "")
    if not url:
        return secret
    form = _form(settings)
    key = (url, form["client_id"], form.get("refresh_token", ""))
    kept, now = _made.get(key), time.monotonic()
    if kept and kept.ends_at > now:
        return kept.token
    token, seconds = _ask(url, form)
    _made[key] = _Made(now, now + seconds - MARGIN_SECONDS, token)
    return token


def forget(token: str) -> bool:
    """A server refuses a token before its time. Returns whether another one may help."""
    for key, kept in list(_made.items()):
        if kept.token == token:
            del _made[key]
            return time.monotonic() - kept.at > FRESH_SECONDS
    return False


def _form(settings: Mapping[str, str]) -> dict[str, str]:
    form = {"client_id": settings.get("oauth_client_id", "")}
    if name := settings.get("oauth_client_secret_env"):
        form["client_secret"] = _needed(name)
    if name := settings.get("oauth_refresh_token_env"):
        form |= {"grant_type": "refresh_token", "refresh_token": _needed(name)}
    else:
        form["grant_type"] = "client_credentials"
    if scope := settings.get("oauth_scope"):
        form["scope"] = scope
    return form


def _needed(name: str) -> str:
    secret = named_secret(name)
    if not secret:
        raise SourceStopped(f"{name} is not set: it is needed to log in to the mailbox.")
    return secret


def _ask(url: str, form: Mapping[str, str]) -> tuple[str, float]:
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    try:
        with client() as http:
            answer = fetch(http, "POST", url, content=urlencode(form), headers=headers)
        told = json.loads(answer.body)
    except HTTPFailure as error:
        raise TryLater(f"The token server: {error}") from error
    except ValueError as error:
        raise TryLater("The token server answers with what is not JSON.") from error
    if answer.status in (400, 401, 403):
        said = told.get("error_description") or told.get("error") if isinstance(told, dict) else ""
        raise SourceStopped(f"The token server refuses us: {str(said)[:200]}. Authorize it anew.")
    try:
        return str(told["access_token"]), float(told.get("expires_in") or 600)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TryLater(f"The token server answers with status {answer.status}.") from error
