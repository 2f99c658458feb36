"""Settings from the environment and `.env`, typed and checked at start.

Every setting is declared here once. What is malformed, and what `.env` names that nobody knows,
is told in one error that lists all of it.
"""

import difflib
import io
import os
import sqlite3
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from dotenv.parser import parse_stream

from feedback.vocabulary import Category

SECRETS = (
    "SECRET_KEY TWITTER_BEARER_TOKEN TWITTER_API_KEY TWITTER_API_SECRET TWITTER_ACCESS_TOKEN "
    "TWITTER_ACCESS_SECRET REDDIT_CLIENT_ID REDDIT_CLIENT_SECRET REDDIT_USERNAME REDDIT_PASSWORD "
    "REDDIT_REFRESH_TOKEN GITHUB_TOKEN GITHUB_APP_ID GITHUB_WEBHOOK_SECRET SLACK_BOT_TOKEN "
    "SLACK_SIGNING_SECRET SLACK_WEBHOOK_URL PAGERDUTY_ROUTING_KEY PAGERDUTY_WEBHOOK_SECRET "
    "HEARTBEAT_URL EMAIL_URL METRICS_TOKEN"
).split()
# Secrets that are addresses: the schemes that each may have.
SECRET_SCHEMES = {
    "HEARTBEAT_URL": ("https", "http"),
    "SLACK_WEBHOOK_URL": ("https", "http"),
    "EMAIL_URL": ("smtps", "smtp"),
}
ORIGINS = {
    "HACKERNEWS_FIREBASE_URL": "https://hacker-news.firebaseio.com",
    "HACKERNEWS_ALGOLIA_URL": "https://hn.algolia.com",
    "TWITTER_API_URL": "https://api.twitter.com",
    "REDDIT_URL": "https://www.reddit.com",
    "REDDIT_OAUTH_URL": "https://oauth.reddit.com",
    "GITHUB_API_URL": "https://api.github.com",
    "PAGERDUTY_EVENTS_URL": "https://events.pagerduty.com",
    "SLACK_API_URL": "https://slack.com",
}
OTHERS = (
    "DATABASE_URL REDIS_URL DATA_DIR BIND PLAYBOOK GITHUB_APP_KEY_FILE "
    "ALLOWED_HOSTS TRUSTED_ORIGINS CLASSIFIER_MODEL CLASSIFIER_LABELS DEBUG"
).split()
NAMES = frozenset([*SECRETS, *(f"{name}_FILE" for name in SECRETS), *ORIGINS, *OTHERS])


class BadSettings(Exception):
    """One or more settings are wrong; the message has a line for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """All settings, as values."""

    debug: bool
    data_dir: Path
    bind: tuple[str, int]
    playbook: Path | None
    database: dict[str, Any] | None
    redis_url: str
    allowed_hosts: list[str]
    trusted_origins: list[str]
    github_app_key_file: Path | None
    classifier_model: str
    classifier_labels: dict[str, str]
    origins: dict[str, str]
    secrets: dict[str, str]


def load(folder: Path, environ: Mapping[str, str] = os.environ) -> Environment:
    """Read the environment over `folder`/.env. Raises BadSettings."""
    reader = _Reader(environ)
    written = reader.read_file(folder / ".env")
    data_dir = (folder / (reader.text("DATA_DIR") or "var")).resolve()
    playbook = reader.existing_file("PLAYBOOK")
    database = reader.database("DATABASE_URL")
    loaded = Environment(
        debug=reader.boolean("DEBUG"),
        data_dir=data_dir,
        bind=reader.address("BIND", "127.0.0.1:8000"),
        playbook=playbook,
        database=database,
        redis_url=reader.url("REDIS_URL", ("redis", "rediss", "unix")),
        allowed_hosts=reader.words("ALLOWED_HOSTS"),
        trusted_origins=reader.origins("TRUSTED_ORIGINS"),
        github_app_key_file=reader.existing_file("GITHUB_APP_KEY_FILE"),
        classifier_model=reader.text("CLASSIFIER_MODEL"),
        classifier_labels=reader.mapping("CLASSIFIER_LABELS", Category.values),
        origins={name: reader.origin(name, default) for name, default in ORIGINS.items()},
        secrets={name: reader.secret(name) for name in SECRETS},
    )
    if unknown := written - NAMES:
        reader.check_names(unknown, named_by_playbooks(playbook, database, data_dir))
    if reader.errors:
        raise BadSettings("\n".join(reader.errors))
    return loaded


def named_by_playbooks(
    file: Path | None, database: Mapping[str, Any] | None, data_dir: Path
) -> frozenset[str]:
    """Names that playbooks give to their sources' secrets: the configured and the loaded one."""
    texts = [_newest_playbook(database, data_dir)]
    with suppress(OSError, ValueError):  # said when it is loaded
        texts.append(file.read_text(encoding="utf-8") if file else "")
    return frozenset(name for text in texts for name in _names_in(text))


def _names_in(playbook: str) -> set[str]:
    try:
        sources = tomllib.loads(playbook).get("sources", [])
    except ValueError:
        return set()
    pairs = [pair for source in sources if isinstance(source, dict) for pair in source.items()]
    named = {str(value) for key, value in pairs if key.endswith("_env")}
    return named | {f"{name}_FILE" for name in named}


def _newest_playbook(database: Mapping[str, Any] | None, data_dir: Path) -> str:
    """The playbook in force, or "" where there is none yet. Django cannot be asked so early."""
    query = "SELECT text FROM triage_playbookversion ORDER BY id DESC LIMIT 1"
    try:
        if database and "postgresql" in database["ENGINE"]:
            import psycopg

            names = {"host": "HOST", "port": "PORT", "user": "USER", "password": "PASSWORD"}
            known = {key: database[name] for key, name in names.items() if database.get(name)}
            with psycopg.connect(dbname=database["NAME"], connect_timeout=3, **known) as server:
                row = server.execute(query).fetchone()
        else:
            path = Path(database["NAME"] if database else data_dir / "feedback.sqlite3").resolve()
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as file:
                row = file.execute(query).fetchone()
    except Exception:  # noqa: BLE001 - no database yet, or none that answers: migrate will tell
        return ""
    return str(row[0]) if row else ""


class _Reader:
    """Typed readers that gather what is wrong instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.values = environ
        self.errors: list[str] = []

    def read_file(self, file: Path) -> set[str]:
        """Put what `file` says below the environment. Returns the names that it writes."""
        written: dict[str, str] = {}
        if not file.is_file():
            return set()
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, ValueError):
            self.errors.append(".env: it cannot be read. Save it as UTF-8 text.")
            return set()
        for line in parse_stream(io.StringIO(text)):
            if line.error:
                self.errors.append(f".env, line {line.original.line}: write NAME=value.")
            elif line.key:
                written[line.key] = line.value or ""
        self.values = {**written, **self.values}
        return set(written)

    def check_names(self, unknown: set[str], named: frozenset[str]) -> None:
        for name in sorted(unknown - named):
            near = difflib.get_close_matches(name, sorted(NAMES | named), n=1)
            hint = (
                f"Did you mean {near[0]}?"
                if near
                else "Remove it, or first load the playbook that names it."
            )
            self.errors.append(f".env: {name} is not a setting. {hint}")

    def wrong(self, name: str, what: str, right: str) -> None:
        self.errors.append(f"{name}: {what}. Write {right}.")

    def text(self, name: str) -> str:
        return self.values.get(name, "").strip()

    def words(self, name: str) -> list[str]:
        return [word.strip() for word in self.text(name).split(",") if word.strip()]

    def mapping(self, name: str, values: Sequence[str]) -> dict[str, str]:
        """Pairs like `LABEL_0=bug,LABEL_1=feature`, each to one of `values`."""
        pairs = [word.rpartition("=") for word in self.words(name)]
        for key, _, value in pairs:
            if not key or value.strip() not in values:
                self.wrong(name, f'"{key}={value}" maps to none of ours', f"LABEL_0={values[0]}")
        return {key.strip(): value.strip() for key, _, value in pairs}

    def boolean(self, name: str) -> bool:
        value = self.text(name).casefold()
        if value not in ("", "0", "1", "true", "false", "yes", "no"):
            self.wrong(name, f'"{value}" is not yes or no', "true or false")
        return value in ("1", "true", "yes")

    def secret(self, name: str) -> str:
        path, value = self.text(f"{name}_FILE"), self.text(name)
        if path:
            try:
                value = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, ValueError):
                self.wrong(f"{name}_FILE", f'"{path}" cannot be read', "the path of a text file")
        if name in SECRET_SCHEMES:
            self._check_scheme(name, value, SECRET_SCHEMES[name])
        return value

    def existing_file(self, name: str) -> Path | None:
        value = self.text(name)
        if value and not Path(value).is_file():
            self.wrong(name, f'"{value}" is not a file', "the path of a file that is there")
        return Path(value).resolve() if value else None

    def address(self, name: str, default: str) -> tuple[str, int]:
        host, _, port = (self.text(name) or default).rpartition(":")
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65_536:
            self.wrong(name, f'"{self.text(name)}" is not an address', f"host:port like {default}")
            return "127.0.0.1", 8000
        return host.strip("[]"), int(port)

    def url(self, name: str, schemes: tuple[str, ...]) -> str:
        value = self.text(name)
        self._check_scheme(name, value, schemes)
        return value

    def _check_scheme(self, name: str, value: str, schemes: tuple[str, ...]) -> None:
        """The value itself is not told: it may hold a password."""
        try:
            scheme = urlsplit(value).scheme
        except ValueError:
            scheme = ""
        if value and scheme not in schemes:
            self.wrong(name, "its scheme is not known", f"{schemes[0]}://host:port/…")

    def origins(self, name: str) -> list[str]:
        values = self.words(name)
        for value in values:
            if not _is_origin(value):
                self.wrong(
                    name, f'"{value}" is not an origin', "one like https://triage.example.com"
                )
        return values

    def origin(self, name: str, default: str) -> str:
        value = (self.text(name) or default).rstrip("/")
        if not _is_origin(value):
            self.wrong(name, f'"{value}" is not an origin', f"one like {default}")
        return value

    def database(self, name: str) -> dict[str, Any] | None:
        value = self.text(name)
        if not value:
            return None
        try:
            parsed: dict[str, Any] = dict(dj_database_url.parse(value))
        except (ValueError, KeyError):  # its words name twenty databases, and may hold a password
            self.wrong(name, "it cannot be read", "postgres://user:password@host/name")
            return None
        if parsed["ENGINE"] not in ("django.db.backends.postgresql", "django.db.backends.sqlite3"):
            self.wrong(name, "only PostgreSQL and SQLite are supported", "postgres://…")
        return parsed


def _is_origin(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
