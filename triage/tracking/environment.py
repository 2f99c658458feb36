"""What a text says of where it happened: versions, browser, operating system."""

import re

AT_MOST = 6  # of each kind

_NUMBER = r"(?:[ /]v?(\d{1,4}(?:\.\d{1,5}){0,3}))?"
_BROWSERS = re.compile(
    rf"\b(chrome|chromium|firefox|safari|edge|opera|brave|vivaldi|samsung internet)\b{_NUMBER}",
    re.IGNORECASE,
)
_SYSTEMS = re.compile(
    r"\b(windows|macos|mac os x|os x|ubuntu|debian|fedora|arch linux|linux mint|linux|ios|ipados|"
    rf"android|iphone|ipad|chromeos|wsl2?|raspberry pi)\b{_NUMBER}",
    re.IGNORECASE,
)
_RUNTIMES = re.compile(
    r"\b(node(?:\.?js)?|python|docker(?: compose)?|postgres(?:ql)?|redis|npm|java|php|ruby)\b"
    rf"{_NUMBER}",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"(?<![\w.])(?:version |release |v)(\d{1,4}(?:\.\d{1,4}){1,3}(?:-[\w.]{1,20})?)(?![\w.]*\d)",
    re.IGNORECASE,
)
_SPELT = {
    "macos": "macOS",
    "mac os x": "macOS",
    "os x": "macOS",
    "ios": "iOS",
    "ipados": "iPadOS",
    "iphone": "iPhone",
    "ipad": "iPad",
    "chromeos": "ChromeOS",
    "wsl": "WSL",
    "wsl2": "WSL2",
    "node": "Node.js",
    "nodejs": "Node.js",
    "node.js": "Node.js",
    "postgres": "PostgreSQL",
    "postgresql": "PostgreSQL",
    "npm": "npm",
    "php": "PHP",
}


def environment(texts: list[str]) -> dict[str, list[str]]:
    """What these texts name, by kind, in the order in which it was said."""
    together = "\n".join(texts)
    found = {
        "Version": [match[1] for match in _VERSION.finditer(together)],
        "Browser": _named(_BROWSERS, together),
        "System": _named(_SYSTEMS, together),
        # Without a number it says what somebody talks about, not what they run.
        "Runtime": [name for name in _named(_RUNTIMES, together) if name[-1].isdigit()],
    }
    return {kind: _distinct(names) for kind, names in found.items() if names}


def _named(pattern: re.Pattern[str], text: str) -> list[str]:
    named = []
    for match in pattern.finditer(text):
        name = " ".join(match[1].split()).casefold()
        spelt = _SPELT.get(name) or name.title()
        named.append(f"{spelt} {match[2]}" if match[2] else spelt)
    return named


def _distinct(names: list[str]) -> list[str]:
    """Each once; "Chrome" says nothing beside "Chrome 131"."""
    known = dict.fromkeys(names)
    return [n for n in known if not any(o.startswith(f"{n} ") for o in known)][:AT_MOST]
