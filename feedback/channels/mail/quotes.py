"""What the author of a mail wrote, without what they quote and without their signature."""

import re

_WROTE = (
    "wrote|writes|schrieb|a\\s+écrit|escribió|ha\\s+scritto|schreef|skrev|escreveu|napisał(?:\\(a\\))?|"
    "napsal\\(?a?\\)?|kirjoitti|írta|a scris|написал\\(?а?\\)?|пишет|yazdı|написа|viết"
)
_BEGINS = (
    r"On|Am|Le|El|Il|Op|Den|Em|W dniu|Dne|На|\d{4}[-/.]\d\d|"
    r"\d{1,2}[./ ](?:\d{1,2}[./ ]|[^\W\d]{3,12}[., ])"
)
_INTRODUCED = re.compile(
    rf"^[ \t]*(?:{_BEGINS})[^\n]{{0,200}}(?:\n[ \t]*\S[^\n]{{0,200}}){{0,2}}?"
    rf"(?:{_WROTE})[^\n]{{0,120}}?:[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_DIVIDED = re.compile(
    r"^[ \t]*(?:[-_]{3,}[ \t]*(?:original message|ursprüngliche nachricht|message d'origine|"
    r"mensaje original|messaggio originale|mensagem original|forwarded message|"
    r"oorspronkelijk bericht|oprindelig meddelelse|original-nachricht)[ \t]*[-_]*|_{20,})[ \t]*$",
    re.MULTILINE | re.IGNORECASE,
)
_BLOCK = re.compile(
    r"^[ \t*]*(?:From|Von|De|Da|Van|Fra|Från|Od|Lähettäjä|От)[ \t*]*:[^\n]+\n"
    r"(?:[^\n]*\n){0,2}?[ \t*]*(?:Sent|Date|Gesendet|Datum|Envoyé|Enviado|Enviada|Inviato|Data|"
    r"Verzonden|Sendt|Skickat|Wysłano|Lähetetty|Отправлено)[ \t*]*:",
    re.MULTILINE | re.IGNORECASE,
)
_SIGNED = re.compile(
    r"^(?:--[ \t]?|—|[ \t]*(?:Sent from my |Sent from Mail|Get Outlook for |Von meinem .{1,30} "
    r"gesendet|Envoyé de mon |Enviado desde mi |Enviado do meu |Inviato da |"
    r"Verzonden vanaf )[^\n]*)$",
    re.MULTILINE | re.IGNORECASE,
)
_QUOTED = re.compile(r"^[ \t]*>.*(?:\n|\Z)", re.MULTILINE)


def own_words(text: str) -> str:
    """The author's own words; the whole text where nothing else is left."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    own = _SIGNED.split(_without_quotes(text), maxsplit=1)[0]
    own = re.sub(r"\n{3,}", "\n\n", own).strip()
    return own or text.strip()


def _without_quotes(text: str) -> str:
    match = _first(text)
    if match is None:
        return _QUOTED.sub("", text)
    before, after = text[: match.start()], text[match.end() :]
    # Answers below or between the lines of a quotation stand in a text that marks its quotations.
    below = _QUOTED.sub("", after) if _QUOTED.match(after.lstrip("\n")) else ""
    return f"{_QUOTED.sub('', before)}\n{below}"


def _first(text: str) -> re.Match[str] | None:
    found = [match for p in (_INTRODUCED, _DIVIDED, _BLOCK) if (match := p.search(text))]
    return min(found, key=lambda match: match.start(), default=None)
