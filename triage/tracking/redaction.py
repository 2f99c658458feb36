"""What must not stand in public is taken out of a text: secrets, addresses, numbers, names.

Rather too much than too little: what was taken out is told by its kind, so that a person can see
that something is missing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

REGIONS = ("US", "GB", "DE", "FR", "IN")  # whose national numbers are known without a country code
LONGEST = 20_000  # characters that are looked at; the rest is not quoted at all

_VALUE = r"""["'`]?[^\s"'`,;&<>]{4,}["'`]?"""
_PREFIXES = (
    r"gh[pousr]_\w{16,}|github_pat_\w{20,}|glpat-[\w-]{16,}|sk-(?:proj-|ant-)?[\w-]{16,}|"
    r"[srp]k_(?:live|test)_\w{10,}|xox[abeoprs]-[\w-]{10,}|xapp-[\w-]{10,}|"
    r"(?:AKIA|ASIA|AROA)[A-Z0-9]{12,}|AIza[\w-]{30,}|ya29\.[\w-]{20,}|npm_\w{20,}|pypi-[\w-]{20,}|"
    r"hf_\w{20,}|SG\.[\w-]{16,}\.[\w-]{16,}|whsec_\w{10,}|dop_v1_\w{20,}|sq0\w{3}-[\w-]{20,}|"
    r"EAAC\w{20,}|shp(?:at|ss|ca|pa)_\w{20,}|lin_api_\w{20,}|ntn_\w{20,}|dckr_pat_[\w-]{20,}"
)
_NAMES_OF_SECRETS = (
    r"(?:password|passwd|pwd|passphrase|secret|token|api[_ -]?key|access[_ -]?key|"
    r"private[_ -]?key|credential|cookie|session[_ -]?id)"
)
_SECRETS = (
    re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|\Z)", re.DOTALL),
    re.compile(r"\bey[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # a JWT
    re.compile(rf"(?<![\w-])(?:{_PREFIXES})"),
    re.compile(r"https?://hooks\.[\w.-]+/\S+", re.IGNORECASE),
    re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"),
    re.compile(
        r"(?<=[?&])(?:[\w-]*(?:token|key|secret|sig|signature|password|code|session)[\w-]*)=[^\s&#]+",
        re.IGNORECASE,
    ),
    re.compile(rf"\bauthorization\s*:\s*(?:\w+\s+)?{_VALUE}", re.IGNORECASE),
    re.compile(r"\b(?:bearer|basic)\s+[\w.~+/=-]{12,}", re.IGNORECASE),
)
_NAMED = rf"\b[\w-]*{_NAMES_OF_SECRETS}[\w-]*[\"'`]?\s*(?:[:=]|=>|\bis\b)\s*"
_ASSIGNED = re.compile(_NAMED + _VALUE, re.IGNORECASE)
# "The token is invalid" tells no token; one has a digit.
_TOLD = re.compile(rf"{_NAMED}(?=[^\s,;&<>]*\d){_VALUE}", re.IGNORECASE)
_ADDRESS = re.compile(
    r"(?:mailto:)?[\w.+'-]+\s?(?:@|\(at\)|\[at\])\s?[\w-]+(?:\.[\w-]+)+", re.IGNORECASE
)
_IP = re.compile(
    r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w.]*\d)"
    r"|(?<![\w:])(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4}){1,4}(?![\w:])",
    re.IGNORECASE,
)
_HARMLESS_IP = re.compile(r"127\.|0\.0\.0\.0|255\.")
_HOME = re.compile(r"((?:/home|/Users|[A-Za-z]:\\+Users)[/\\]+)[^\s/\\:\"']+")
_CARD = re.compile(r"(?<![\w-])(?:\d[ -]?){13,19}(?![\w-])")
_PHONE_LIKE = re.compile(r"\d(?:[\s().-]{0,2}\d){6}")


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what is private, and the kinds of what was taken out."""

    text: str
    removed: tuple[str, ...] = ()


def redact(text: str, names: Iterable[str] = ()) -> Redacted:
    """Take out what is private; `names` are of people who did not write in public."""
    text, removed = text[:LONGEST], list[str]()

    def taken(kind: str) -> str:
        removed.append(kind)
        return f"[{kind}]"

    for pattern in (*_SECRETS, _ASSIGNED):
        text = pattern.sub(lambda _: taken("secret removed"), text)
    text = _ADDRESS.sub(lambda _: taken("address removed"), text)
    text = _IP.sub(
        lambda ip: ip[0] if _HARMLESS_IP.match(ip[0]) else taken("IP address removed"), text
    )
    text = _HOME.sub(lambda home: home[1] + taken("name removed"), text)
    text = _CARD.sub(lambda card: taken("number removed") if _luhn(card[0]) else card[0], text)
    text = _without_phones(text, removed)
    for name in _worth_hiding(names):
        text = re.sub(
            rf"(?<!\w){re.escape(name)}(?!\w)",
            lambda _: taken("name removed"),
            text,
            flags=re.IGNORECASE,
        )
    return Redacted(text, tuple(dict.fromkeys(removed)))


def has_secret(text: str) -> bool:
    """Whether a text holds what looks like a credential."""
    return any(pattern.search(text[:LONGEST]) for pattern in (*_SECRETS, _TOLD))


def _without_phones(text: str, removed: list[str]) -> str:
    """Without telephone numbers: by the library's knowledge, international and of some regions."""
    if not _PHONE_LIKE.search(text):
        return text
    import phonenumbers

    spans: set[tuple[int, int]] = set()
    for region in REGIONS:
        for match in phonenumbers.PhoneNumberMatcher(text, region):
            spans.add((match.start, match.end))
    for start, end in sorted(spans, reverse=True):
        if "removed]" in text[start:end]:
            continue  # overlaps one that is out already
        text = f"{text[:start]}[number removed]{text[end:]}"
        removed.append("number removed")
    return text


def _worth_hiding(names: Iterable[str]) -> list[str]:
    """Whole names and their parts, longest first; a part of two letters hides nothing."""
    parts = {part for name in names for part in (name, *re.split(r"[\s.@_+,-]+", name))}
    return sorted((part for part in parts if len(part) > 2), key=len, reverse=True)


def _luhn(card: str) -> bool:
    digits = [int(digit) for digit in card if digit.isdigit()][::-1]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
