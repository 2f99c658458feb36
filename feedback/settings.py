"""The project's settings; what an installer may change is declared in `environment`."""

import os
import secrets
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from csp.constants import NONCE, NONE, SELF
from django.urls import reverse_lazy

from feedback import environment
from triage.theme.menu import UNFOLD  # noqa: F401

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = environment.load(BASE_DIR)

DEBUG = ENV.debug
DATA_DIR = ENV.data_dir
BIND_HOST, BIND_PORT = ENV.bind
PLAYBOOK = ENV.playbook
REDIS_URL = ENV.redis_url
CLASSIFIER_MODEL = ENV.classifier_model
CLASSIFIER_LABELS = ENV.classifier_labels


def _secret_key() -> str:
    """The configured key, or one that is made once and kept in the data folder."""
    if ENV.secrets["SECRET_KEY"]:
        return ENV.secrets["SECRET_KEY"]
    path = DATA_DIR / "secret_key"
    try:
        DATA_DIR.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not path.exists():
            _make_key(path)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise environment.BadSettings(
            f"DATA_DIR: {DATA_DIR} cannot be written ({error.strerror}). Write a folder that can."
        ) from None


def _make_key(path: Path) -> None:
    """Several processes may start at once: the first whole file counts."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as file:  # 0600
        file.write(secrets.token_urlsafe(50))
        file.flush()
        with suppress(FileExistsError):
            os.link(file.name, path)


SECRET_KEY = _secret_key()

INSTALLED_APPS = [
    "triage.theme",  # before unfold: its static files and templates take precedence
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "csp",
    "feedback",
    "triage",
    "workers",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

LOGIN_REDIRECT_URL = "/"
ROOT_URLCONF = "feedback.urls"
WSGI_APPLICATION = "feedback.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]


def _database() -> dict[str, Any]:
    """PostgreSQL with a pool where DATABASE_URL names one, else SQLite in the data folder."""
    if ENV.database and "postgresql" in ENV.database["ENGINE"]:
        options = ENV.database.get("OPTIONS", {})
        pool = {"min_size": 1, "max_size": 4, "timeout": 10}
        return ENV.database | {"OPTIONS": options | {"pool": pool}, "CONN_MAX_AGE": 0}
    name = ENV.database["NAME"] if ENV.database else DATA_DIR / "feedback.sqlite3"
    return {
        "ENGINE": "feedback.sqlite",
        "NAME": str(name),
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": (
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; "
                "PRAGMA journal_size_limit=67108864; PRAGMA cache_size=-20000; "
                "PRAGMA mmap_size=134217728; PRAGMA temp_store=MEMORY;"
            ),
        },
    }


DATABASES = {"default": _database()}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    # Unfold takes PostgreSQL's fields along if it can: 22 MB in every process, for nothing.
    sys.modules.setdefault("django.contrib.postgres.fields", None)  # type: ignore[arg-type]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Origins of the services, and their credentials, each under its own name.
HACKERNEWS_FIREBASE_URL: str = ENV.origins["HACKERNEWS_FIREBASE_URL"]
HACKERNEWS_ALGOLIA_URL: str = ENV.origins["HACKERNEWS_ALGOLIA_URL"]
TWITTER_API_URL: str = ENV.origins["TWITTER_API_URL"]
REDDIT_URL: str = ENV.origins["REDDIT_URL"]
REDDIT_OAUTH_URL: str = ENV.origins["REDDIT_OAUTH_URL"]
GITHUB_API_URL: str = ENV.origins["GITHUB_API_URL"]
PAGERDUTY_EVENTS_URL: str = ENV.origins["PAGERDUTY_EVENTS_URL"]
SLACK_API_URL: str = ENV.origins["SLACK_API_URL"]
globals().update({name: value for name, value in ENV.secrets.items() if name != "SECRET_KEY"})
GITHUB_APP_KEY_FILE = ENV.github_app_key_file

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = DEBUG

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]", *ENV.allowed_hosts]
if BIND_HOST not in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
    ALLOWED_HOSTS.append(BIND_HOST)
CSRF_TRUSTED_ORIGINS = ENV.trusted_origins
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if ENV.trusted_origins else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = bool(ENV.trusted_origins)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "manifest-src": [SELF],
    }
}

AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("admin:login")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "feedback.logs.Line", "format": "{levelname} {name} {message}", "style": "{"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "httpx": {"level": "WARNING"},
        "tweepy.client": {"level": "INFO"},  # at DEBUG it prints the bearer token
    },
}
