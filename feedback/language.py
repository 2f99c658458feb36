"""Which language a text is in; the classifier was trained on English."""

import re
from functools import cache
from typing import Any

LETTERS = 24  # fewer tell nothing about a language written in Latin letters
LETTERS_READ = 1_000
SURE = 0.9
COMMON = (
    "en de fr es pt it nl sv da no fi pl cs ro hu tr ru uk bg el ar he fa hi ja zh ko vi id".split()
)
_NOISE = re.compile(r"https?://\S+|[@#]\w+|\[code\]|\W|\d|_")


def detect(text: str) -> str:
    """The ISO 639-1 code of a text's language; what is too short to tell counts as English."""
    words = " ".join(_NOISE.sub(" ", text[: LETTERS_READ * 2]).split())[:LETTERS_READ]
    letters = sum(character.isalpha() for character in words)
    foreign = sum(character.isalpha() and ord(character) > 0x250 for character in words)
    if not letters or (letters < LETTERS and foreign * 2 < letters):
        return "en"
    code, probability = _identifier().classify(words)
    return str(code) if code == "en" or probability >= SURE or foreign * 2 >= letters else "en"


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages(COMMON)
    return identifier
