"""What looks like a vulnerability, a leaked key or a breach. Rather a false alarm than a true one
in public: a person says what it is.
"""

import re

from triage.tracking.redaction import has_secret

LOOKED_AT = 20_000  # characters

_SIGNS = (
    (
        "a vulnerability",
        r"vulnerab\w+|\bCVE-\d{4}-\d+|\bexploit(?:s|ed|able|ing)?\b|zero.?day|\b0.?day\b",
    ),
    (
        "an attack",
        r"\bXSS\b|cross.?site|\bCSRF\b|\bSSRF\b|\bRCE\b|remote code|code execution|\bIDOR\b|"
        r"(?:sql|command|code|html|script|prompt|template|header|ldap|xml|crlf) ?injection|\binject\w* (?:sql|code|"
        r"script|html|javascript)|path traversal|directory traversal|privilege escalation|"
        r"escalat\w+ (?:of )?(?:my |their |the )?privilege|open redirect|\bXXE\b|clickjack\w+|deseriali[sz]ation|"
        r"brute.?forc\w+|session (?:fixation|hijack\w*)|prototype pollution|<script\b|\bunescaped\b.*\bscript|"
        r"man.in.the.middle|\bDDoS\b|denial of service|backdoor|malware|ransom\w*|phishing",
    ),
    (
        "a way around the login",
        r"bypass\w*\b.{0,40}\b(?:auth\w*|log.?in|permission\w*|2fa|mfa|password|check\w*|access|paywall)|"
        r"(?:auth\w*|log.?in|permission\w*|2fa|mfa|access control)\b.{0,30}\bbypass\w*|"
        r"without (?:an?y? )?(?:auth\w+|logging in|log.?in|password|permission|token|credential)\b.{0,100}\b"
        r"(?:read|see|access|delete|download|list|get|view|fetch|change|edit)|"
        r"(?:read|see|access|delete|download|list|view|fetch|change|edit)\b.{0,100}\bwithout (?:an?y? )?"
        r"(?:auth\w+|logging in|log.?in|password|permission|token|credential)|unauthenticated|"
        r"log\w* in(?:to)? (?:as|to) (?:another|other|someone|any|somebody)",
    ),
    (
        "a breach",
        r"(?:data|security|account|privacy) breach|breach of|\bbreached\b|\bhacked\b|\bcompromised\b|"
        r"security (?:issue|problem|hole|flaw|bug|risk|report|concern|incident|researcher|disclosure)|"
        r"responsible(?:ly)? disclos\w+|bug bounty|hackerone|"
        r"(?:other|another|different|some(?:one|body) else)(?:'s|s'|s|’s)?\s(?:\w+\s)?(?:users?'?s?|users’|customers?'?s?|people'?s?|"
        r"tenants?'?s?|organi[sz]ations?'?s?|compan(?:y|ies)'?s?|accounts?'?s?|teams?'?s?|workspaces?'?s?)"
        r"\b.{0,40}\b(?:data|tasks?|boards?|files?|messages?|mails?|names?|information|invoices?|projects?|documents?|keys?|tokens?)|"
        r"(?:see|read|access|view|shows?|showing|get|open|visible)\b.{0,40}\b(?:someone|somebody) else(?:'s|’s)",
    ),
    (
        "a leaked secret",
        r"(?:key|token|secret|password|credential|cookie|session|hash|\.env|env file)\w*\b.{0,60}\b"
        r"(?:leak\w*|expos\w+|visible|public\w*|plain ?text|clear ?text|in the (?:url|log|logs|source|bundle|html|response)|readable|dumped|stolen)|"
        r"(?:leak\w*|expos\w+|dump\w*|steal\w*|stole|publish\w*|commit\w*|log(?:s|ged|ging)?|print\w*)\b.{0,60}\b"
        r"(?:api.?keys?|keys?|tokens?|secrets?|passwords?|credentials?|private data|personal data|customer data|user data|e.?mail addresses)\b|"
        r"plain ?text password|passwords? (?:in|as) plain",
    ),
)
_PATTERNS = tuple((what, re.compile(pattern, re.IGNORECASE)) for what, pattern in _SIGNS)
_NOT_MEANT = re.compile(
    r"memory leaks?|leaks? (?:memory|ram)|(?:keyboard|arrow|shortcut|enter|hot|escape|tab|space)[ -]?keys?|"
    r"reset (?:my |the )?password|password reset|forgot\w* (?:my )?password",
    re.IGNORECASE,
)


def looks_secure_matter(text: str) -> str:
    """Why a text looks like a security matter, or an empty string."""
    text = text[:LOOKED_AT]
    if has_secret(text):
        return "it holds what looks like a secret"
    meant = _NOT_MEANT.sub(" ", text)
    for what, pattern in _PATTERNS:
        if found := pattern.search(meant):
            return f"it speaks of {what}: “{' '.join(found[0].split())[:60]}”"
    return ""
