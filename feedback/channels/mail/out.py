"""A reply as a mail: plain text and decent HTML, in its thread, under an id that we know."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr

from django.utils.html import escape, urlize

from feedback.channels.base import Reply
from feedback.channels.mail.config import Config

MARK_HEADER = "X-Feedback-Reply"
SUBJECT_LIMIT = 200
REFERENCES_LIMIT = 800  # characters: a line of a mail has at most 998
# A folded References is refused by some, and long ids would be folded into encoded words.
POLICY = SMTP.clone(max_line_length=990)
_ADDRESS = re.compile(r"[^\s<>()\[\],;:\\\"@\x00-\x1f]{1,64}@[\w-]+(?:\.[\w-]+)*")
_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,600}>")
_REPLIED = re.compile(r"^(?:re|aw|sv|antw|rif|res|r[eé]f)\s*(?:\[\d+\])?:", re.IGNORECASE)
HTML = (
    '<!DOCTYPE html><html><body style="font-family:sans-serif;font-size:15px;line-height:1.5">'
    '{text}<p style="color:#8a8a8a;font-size:11px">{mark}</p></body></html>'
)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail to hand over, and to whom."""

    recipient: str
    content: bytes


def digest(key: str) -> str:
    """What names a reply in its id, its header and its mark."""
    return hashlib.sha256(key.encode()).hexdigest()[:20]


def message_id(key: str, domain: str) -> str:
    """The id of the mail that this key sends."""
    return f"<feedback.{digest(key)}@{domain}>"


def letter(reply: Reply, config: Config) -> Outgoing:
    """The mail. Raises ValueError where nobody can be answered."""
    parent = reply.parent
    recipient = str(parent.get("reply_to") or parent.get("from") or "")
    if not _ADDRESS.fullmatch(recipient):
        raise ValueError("The mail names no address that could be answered. Answer another way.")
    if recipient == config.address:
        raise ValueError(f"{recipient} is the mailbox itself; a mail to it would come back here.")
    mark = digest(reply.key)
    mail = EmailMessage(policy=POLICY)
    mail["From"] = formataddr((config.name, config.address))
    mail["To"] = recipient
    mail["Subject"] = _subject(str(parent.get("subject") or reply.title))
    mail["Date"] = format_datetime(datetime.now(UTC))
    mail["Message-ID"] = message_id(reply.key, config.domain)
    for name, value in _thread(parent.get("id"), parent.get("references")).items():
        mail[name] = value
    if config.marks_address:
        local, _, domain = config.address.partition("@")
        mail["Reply-To"] = f"{local}+f.{mark}@{domain}"
    mail[MARK_HEADER] = mark
    if reply.is_automatic:
        mail["Auto-Submitted"] = "auto-replied"
        mail["X-Auto-Response-Suppress"] = "All"
    text = reply.text.replace("\r\n", "\n").strip()
    mail.set_content(f"{text}\n\n[ref:{mark}]\n")
    mail.add_alternative(_html(text, f"[ref:{mark}]"), subtype="html")
    return Outgoing(recipient, mail.as_bytes())


def _subject(subject: str) -> str:
    line = " ".join(subject.split())[:SUBJECT_LIMIT] or "Your message"
    line = "".join(c for c in line if c.isprintable())
    return line if _REPLIED.match(line) else f"Re: {line}"


def _thread(parent: object, above: object) -> dict[str, str]:
    """In-Reply-To and References; made-up ids of mails without one are left out."""
    id_ = str(parent or "")
    if not _ID.fullmatch(id_) or id_.endswith(("@no-message-id>", "@long-message-id>")):
        return {}
    ids = [one for one in above if _ID.fullmatch(str(one))] if isinstance(above, list) else []
    chain = [id_]
    for one in ids:  # nearest first
        if one not in chain and len(" ".join(chain)) + len(one) < REFERENCES_LIMIT:
            chain.append(one)
    return {"In-Reply-To": id_, "References": " ".join(reversed(chain))}


def _html(text: str, mark: str) -> str:
    paragraphs = [
        f"<p>{urlize(one, nofollow=False, autoescape=True)}</p>".replace("\n", "<br>")
        for one in re.split(r"\n{2,}", text)
    ]
    return HTML.format(text="".join(paragraphs), mark=escape(mark))
