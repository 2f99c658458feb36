"""Mails read part by part: text, quotations, files, marks, and who wrote them."""

import base64
import io
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from feedback import files
from feedback.channels.mail import big
from feedback.channels.mail.attached import safe_name
from feedback.channels.mail.parse import Mail, parse
from feedback.channels.mail.posts import Origin, Ours, read_kept
from feedback.channels.mail.quotes import own_words
from tests.mail_server import make_mail


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("Yes.\n\nOn Mon, 3 Nov 2025 at 10:00, Eve <eve@x.org> wrote:\n> No?\n", "Yes."),
        ("Ja.\n\nAm 03.11.2025 um 10:00 schrieb Eve <eve@x.org>:\n> Nein?\n", "Ja."),
        ("Oui.\n\nLe lun. 3 nov. 2025 à 10:00, Eve <eve@x.org> a\nécrit :\n\n> Non ?", "Oui."),
        ("Top.\n\n> quoted\n\nBelow.\n", "Top.\n\nBelow."),
        ("On Monday Eve wrote:\n> No?\n\nBelow.\n", "Below."),
        ("Text.\n\n-----Original Message-----\nFrom: Eve\nSent: today\n\nOld.", "Text."),
        ("Text.\n\n________________________________\nFrom: Eve\nSent: now\n\nOld.", "Text."),
        ("Text.\n\nFrom: Eve <e@x>\nSent: Monday\nTo: Ann\nSubject: x\n\nOld.", "Text."),
        ("Text.\n\n-- \nAnn\n+1 555", "Text."),
        ("Text.\n\nSent from my iPhone", "Text."),
        ("2.1\n\nOn Thursday support wrote:\n> Which?\n", "2.1"),
        ("He wrote:\nan error: 5\nand more", "He wrote:\nan error: 5\nand more"),
        ("> all quoted", "> all quoted"),
        ("", ""),
    ],
)
def test_quotations_and_signatures_are_cut(text: str, own: str) -> None:
    assert own_words(text) == own


def html(body: str) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "ann@example.org", "HTML"
    mail.set_content(f"<html><head><style>p {{}}</style></head><body>{body}</body></html>", "html")
    return mail.as_bytes()


def test_html_is_text_without_scripts_and_its_quotation_is_kept_apart() -> None:
    mail = parse(
        html("<p>Hello</p><script>x()</script><div class=gmail_quote>Old <b>text</b></div>")
    )
    assert mail.own == "Hello"
    assert "Old text" in mail.whole
    assert "x()" not in mail.whole


def test_html_nested_deep_and_after_its_end_is_still_read() -> None:
    assert parse(html("<div>" * 300 + "Deep" + "</div>" * 300)).own == "Deep"
    raw = html("First").replace(b"</html>", b"</html><p>Second, a longer text by far.</p>")
    assert "Second" in parse(raw).own


def test_parts_nested_without_end_are_an_error_of_that_mail_alone() -> None:
    head = b"From: a@b.c\nSubject: s\n"
    raw = head + b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(2_000)
    )
    with pytest.raises(RecursionError):
        parse(raw)


def test_dates_without_sense_are_when_it_came() -> None:
    came = datetime(2026, 1, 2, tzinfo=UTC)
    for date in ("nonsense", "Mon, 1 Jan 2120 00:00:00 +0000", "1 Jan 1970 00:00 +0000", None):
        assert parse(make_mail(date=date), came).at == came


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.txt", "a.txt"),
        ("con.txt", "_con.txt"),
        ("...", "file"),
        ("a\r\nb\x00.png", "a_b_.png"),
        ("Rechnung März (2).pdf", "Rechnung März (2).pdf"),
        ("<img src=x>.gif", "_img src_x_.gif"),
        ("x" * 300 + ".pdf", "x" * 96 + ".pdf"),
    ],
)
def test_names_of_files_are_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_files_are_counted_and_weighed() -> None:
    mail = EmailMessage()
    mail["From"] = "a@b.c"
    mail.set_content("x")
    for number in range(30):
        mail.add_attachment(b"%d" % number, maintype="a", subtype="b", filename=f"{number}.bin")
    found = parse(mail.as_bytes()).attached
    assert [bool(one.kept) for one in found] == [True] * 20 + [False] * 10
    assert files.read(found[3].kept, 100) == b"3"


def marked(kind: str, text: str = "x") -> Mail:
    return parse(f"From: a@b.c\nSubject: s\nContent-Type: {kind}\n\n{text}".encode())


def test_encrypted_signed_and_invitations_are_marked() -> None:
    assert marked("multipart/encrypted; boundary=b").marks == ["encrypted"]
    assert marked("application/pkcs7-mime; smime-type=enveloped-data").marks == ["encrypted"]
    assert marked("application/pkcs7-mime; smime-type=signed-data").marks == ["signed"]
    assert marked("multipart/signed; boundary=b").marks == ["signed"]
    assert marked("text/plain", "-----BEGIN PGP MESSAGE-----\nx").marks == ["encrypted"]
    calendar = marked("text/calendar; method=REQUEST", "BEGIN:VCALENDAR")
    assert (calendar.marks, calendar.automatic) == (["invitation"], "invitation")


@pytest.mark.parametrize(
    ("headers", "why"),
    [
        ({"auto_submitted": "auto-replied"}, "reply"),
        ({"auto_submitted": "no"}, ""),
        ({"precedence": "bulk"}, "reply"),
        ({"list_id": "<news.example.org>"}, "list"),
        ({"list_id": "Ours <support.genericcorp.com>"}, ""),
        ({"from": "no-reply@shop.example"}, "reply"),
        ({"from": "no-reply@form.example", "reply_to": "Ann <ann@example.org>"}, ""),
        ({"from": "MAILER-DAEMON@x.org", "subject": "Undelivered Mail"}, "bounce"),
        ({"subject": "Automatische Antwort: Ihre Frage"}, "reply"),
        ({"subject": "Out of memory error"}, ""),
        ({"subject": "Auto-reply does not work in your app"}, "reply"),
        ({"x_failed_recipients": "a@b.c"}, "bounce"),
        ({"return_path": "<>"}, "reply"),
    ],
)
def test_automatic_mail_is_told_apart(headers: dict[str, str], why: str) -> None:
    mail = parse(make_mail(**headers), lists=frozenset(["support.genericcorp.com"]))
    assert mail.automatic == why


def test_our_own_mail_sent_back_without_any_sign_is_a_bounce() -> None:
    ours = "<feedback.0123456789abcdef0123@genericcorp.com>"
    mail = parse(make_mail(f"We could not do it.\n\n  Message-ID: {ours}\n".replace("  ", "")))
    assert (mail.automatic, mail.references) == ("bounce", [ours])


def mail_with(content: bytes, encoding: str) -> bytes:
    """A mail with a text, a file in an encoding, and one more part."""
    body = {
        "base64": base64.encodebytes(content),
        "quoted-printable": b"=41" * len(content),
        "8bit": content,
    }[encoding]
    return (
        b'From: ann@example.org\r\nSubject: Big\r\nContent-Type: multipart/mixed; boundary="b"'
        b"\r\n\r\npreamble\r\n--b\r\nContent-Type: text/plain\r\n\r\nHello.\r\n--b\r\n"
        b"Content-Type: application/zip; name=a.zip\r\nContent-Disposition: attachment\r\n"
        b"X-Feedback-Spilled: forged\r\n"
        b"Content-Transfer-Encoding: " + encoding.encode() + b"\r\n\r\n" + body + b"\r\n--b\r\n"
        b"Content-Type: text/plain; name=b.txt\r\n\r\nsmall\r\n--b--\r\n"
    )


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit"])
def test_a_big_mail_is_read_by_lines_and_its_files_are_whole(encoding: str) -> None:
    content = b"A" * 1_500_000 if encoding == "quoted-printable" else b"AB\r\n" * 400_000
    raw = mail_with(content, encoding)
    small, spilled = big.slim(io.BytesIO(raw))
    assert len(small) < 3_000
    assert len(spilled) == 1
    kept = files.keep(raw, packed=True)
    ours = Ours(addresses=frozenset(), domain="x")
    mail = read_kept(kept, Origin(box="INBOX", uid=1), ours)
    assert mail.own == "Hello."
    assert [one.name for one in mail.attached] == ["a.zip", "b.txt"]
    with files.opened(mail.attached[0].kept) as file:
        assert file.read().rstrip() == content.rstrip()


@hypothesis_settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["", "From: a@b.c\n", "Subject: =?utf-8?q?"]))
def test_no_bytes_stop_the_parser(content: bytes, head: str) -> None:
    mail = parse(head.encode() + content)
    assert mail.id.startswith("<")
    assert "\0" not in mail.whole


PIECES = (
    b"--b\r\n",
    b"--b--\r\n",
    b"--c\n",
    b"--c--\n",
    b"\r\n",
    b'Content-Type: multipart/mixed; boundary="c"\r\n',
    b"Content-Type: application/zip\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"x" * 300_000 + b"\r\n",
    b"text\r\n",
)


@hypothesis_settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(PIECES), max_size=8))
def test_no_structure_stops_the_reader_of_big_mails(pieces: list[bytes]) -> None:
    head = b'From: a@b.c\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    small, spilled = big.slim(io.BytesIO(head + b"".join(pieces)))
    parse(small, spilled=spilled)
