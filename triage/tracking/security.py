"""What looks like a vulnerability, a leaked key or a breach. Rather a false alarm than a true one
in public: a person says what it is.
"""

import re

from triage.tracking.redaction import has_secret

LOOKED_AT = 20_000  # characters


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


_OTHERS = (
    r"(?:other|another|different|some(?:one|body) else)(?:'s|s'|s|’s)?\s(?:\w+\s)?"
    r"(?:users?|customers?|people|tenants?|organi[sz]ations?|compan(?:y|ies)|accounts?|teams?|"
    r"workspaces?)(?:['’]s|s['’]|['’])?"
)
_THEIRS = (
    r"(?:data|tasks?|boards?|files?|messages?|mails?|names?|information|invoices?|projects?|"
    r"documents?|keys?|tokens?)"
)
_LOOK = r"(?:read|see|access|delete|download|list|view|fetch|change|edit)"
_NO_LOGIN = (
    r"without (?:an?y? )?(?:auth\w+|logging in|log.?in|password|permission|token|credential)"
)
_HIDDEN = (
    r"(?:api.?keys?|(?<![a-z])(?:keys?|tokens?|secrets?|passwords?|credentials?|cookies?|sessions?|"
    r"hash(?:es)?|env files?)|\.env)\b"
)
_OUT = (
    r"(?:leak\w*|expos\w+|visible|public\w*|plain ?text|clear ?text|readable|dumped|stolen|"
    r"in the (?:url|logs?|source|bundle|html|response))"
)
_LET_OUT = (
    r"\b(?:leak\w*|expos\w+|dump\w*|steal\w*|stole|publish\w*|commit\w*|logs|logged|logging|"
    r"print\w*)"
)
_SIGNS = (
    (
        "a vulnerability",
        _any(
            r"vulnerab\w+",
            r"\bCVE-\d{4}-\d+",
            r"\bexploit(?:s|ed|able|ing)?\b",
            r"\b(?:zero|0).?day\b",
        ),
    ),
    (
        "an attack",
        _any(
            r"\b(?:XSS|CSRF|SSRF|RCE|IDOR|XXE|DDoS)\b",
            r"cross.?site",
            r"remote code|code execution",
            r"\b(?:sql|command|code|html|script|prompt|template|header|ldap|xml|crlf) ?injection",
            r"\binject\w* (?:sql|code|script|html|javascript)",
            r"(?:path|directory) traversal",
            r"privilege escalation|escalat\w+ (?:of )?(?:my |their |the )?privilege",
            r"open redirect|clickjack\w+|deseriali[sz]ation|brute.?forc\w+|prototype pollution",
            r"session (?:fixation|hijack\w*)",
            r"<script\b|\bunescaped\b.{0,40}\bscript",
            r"man.in.the.middle|denial of service|backdoor|malware|ransom\w*|phishing",
        ),
    ),
    (
        "a way around the login",
        _any(
            r"bypass\w*\b.{0,40}\b(?:auth\w*|log.?in|permission\w*|2fa|mfa|password|check\w*|access)",
            r"(?:auth\w*|log.?in|permission\w*|2fa|mfa|access control)\b.{0,30}\bbypass\w*",
            rf"{_NO_LOGIN}\b.{{0,100}}\b{_LOOK}",
            rf"{_LOOK}\b.{{0,100}}\b{_NO_LOGIN}",
            r"unauthenticated",
            r"log\w* in(?:to)? (?:as|to) (?:another|other|someone|any|somebody)",
        ),
    ),
    (
        "a breach",
        _any(
            r"(?:data|security|account|privacy) breach|breach of|\bbreached\b",
            r"\bhacked\b|\bcompromised\b",
            r"security (?:issue|problem|hole|flaw|bug|risk|report|concern|incident|researcher)",
            r"responsibl[ey] disclos\w+|bug bounty|hackerone",
            rf"{_OTHERS}.{{0,40}}\b{_THEIRS}",
            r"(?:see|read|access|view|shows?|showing|get|open|visible)\b.{0,40}\b"
            r"(?:someone|somebody) else['’]s",
        ),
    ),
    (
        "a leaked secret",
        _any(
            rf"{_HIDDEN}.{{0,60}}\b{_OUT}",
            rf"{_LET_OUT}\b.{{0,60}}{_HIDDEN}",
            rf"{_LET_OUT}\b.{{0,60}}\b(?:private|personal|customer|user) data|e.?mail addresses",
            r"plain ?text password|passwords? (?:in|as) plain",
        ),
    ),
)
_NOT_MEANT = _any(
    r"memory leaks?|leaks? (?:memory|ram)",
    r"(?:keyboard|arrow|shortcut|enter|hot|escape|tab|space)[ -]?(?:shortcut )?keys?",
    r"reset (?:my |the )?password|password reset|forgot\w* (?:my )?password",
)


def looks_secure_matter(text: str) -> str:
    """Why a text looks like a security matter, or an empty string."""
    text = text[:LOOKED_AT]
    if has_secret(text):
        return "it holds what looks like a secret"
    meant = _NOT_MEANT.sub(" ", text)
    for what, pattern in _SIGNS:
        if found := pattern.search(meant):
            return f"it speaks of {what}: “{' '.join(found[0].split())[:60]}”"
    return ""
