"""A mail source's settings: where the mailbox is, how to get in, who we are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from feedback.channels.base import SourceStopped
from feedback.channels.mail import oauth
from feedback.channels.mail.imap import Login
from feedback.channels.mail.posts import Ours
from feedback.credentials import named_secret

LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """One source's table in the playbook, checked."""

    host: str
    port: int
    tls: bool
    user: str
    password_env: str
    mailboxes: tuple[str, ...]
    address: str
    name: str
    reads_sent: bool
    sent: str
    copies: bool
    marks_address: bool
    lists: frozenset[str]
    backfill: timedelta
    oauth: Mapping[str, str]
    team: frozenset[str]

    @classmethod
    def of(cls, table: Mapping[str, Any], team: frozenset[str]) -> "Config":
        """Raises SourceStopped."""
        host, user = str(table.get("host") or ""), str(table.get("user") or "")
        if not host or not user:
            raise SourceStopped("Email: name the host and the user of the mailbox.")
        tls = bool(table.get("tls", True))
        if not tls and host not in LOOPBACK:
            raise SourceStopped("Email: tls = false is for a server on this machine alone.")
        boxes = table.get("mailbox") or "INBOX"
        address = str(table.get("address") or user).casefold()
        if "@" not in address:
            raise SourceStopped(f'Email: "{user}" is no address. Write address = "…@…" too.')
        return cls(
            host=host,
            port=int(table.get("port") or 993),
            tls=tls,
            user=user,
            password_env=str(table.get("password_env") or ""),
            mailboxes=tuple([boxes] if isinstance(boxes, str) else map(str, boxes)),
            address=address,
            name=str(table.get("from_name") or ""),
            reads_sent=bool(table.get("read_sent", True)),
            sent=str(table.get("sent") or ""),
            copies=bool(table.get("copy_to_us", True)),
            marks_address=bool(table.get("mark_address", False)),
            lists=frozenset(str(one).strip("<>").casefold() for one in table.get("lists") or []),
            backfill=timedelta(seconds=int(str(table.get("backfill") or "86400s").strip("s"))),
            oauth={k: str(v) for k, v in table.items() if k.startswith("oauth_") and v},
            team=team | {address},
        )

    @property
    def domain(self) -> str:
        """Of the ids of what we send."""
        return self.address.rpartition("@")[2]

    def ours(self) -> Ours:
        """What tells a mail of ours from others."""
        return Ours(addresses=self.team, domain=self.domain, lists=self.lists)

    def login(self) -> Login:
        """Where to log in and as whom, the secret read anew. Raises ChannelError."""
        token_env = self.oauth.get("oauth_token_env", "")
        secret = named_secret(token_env or self.password_env)
        token = oauth.access_token(self.oauth, secret) if self.oauth else ""
        if not token and not secret:
            name = token_env or self.password_env or "password_env"
            raise SourceStopped(f"{name} is not set: it is the password of {self.user}.")
        return Login(
            host=self.host,
            port=self.port,
            tls=self.tls,
            user=self.user,
            password="" if token else secret,
            token=token,
            secret_name=self.oauth.get("oauth_refresh_token_env") or token_env or self.password_env,
        )
