"""What an identifier may look like, on the wire and in files alike.

Identity is exact bytes. So that two ids that look the same cannot be two, an id has no control or bidirectional
characters, is in Unicode normal form C, has no compatibility look-alikes (full-width letters, the Kelvin sign), and has
the letters of one script, or of those in which one of Chinese, Japanese and Korean is written beside Latin.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from policy_engine.domain.countries import is_country, suggest
from policy_engine.shapes.request import MAX_IDENTIFIER


def text_fault(text: str) -> str | None:
    """What is wrong with a text as such: lone surrogates and control or bidirectional characters; `None` if nothing."""
    for character in text:
        category = unicodedata.category(character)
        if category == "Cs":
            return "has a lone surrogate"
        if category == "Cc":
            return f"has the control character U+{ord(character):04X}"
        if category == "Cf":
            return f"has the invisible character U+{ord(character):04X}"
    return None


def identifier_fault(text: str) -> str | None:
    """What is wrong with an identifier, as the end of a sentence that begins with its name; `None` if nothing."""
    if text.isascii() and text.isprintable() and 0 < len(text) <= MAX_IDENTIFIER:
        return None
    if not 0 < len(text) <= MAX_IDENTIFIER:
        return f"must have 1 to {MAX_IDENTIFIER} characters"
    return text_fault(text) or _look_alike_fault(text)


def _look_alike_fault(text: str) -> str | None:
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode normal form C"
    if unicodedata.normalize("NFKC", text) != text:
        return "has characters that look like others (it changes under Unicode normal form KC)"
    scripts = {script for character in text if character.isalpha() and (script := _script(character)) is not None}
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return f"mixes letters of the scripts {' and '.join(sorted(scripts))}, so that it may look like another"
    return None


def _script(character: str) -> str | None:
    """The script of a letter, by the beginning of its name; `None` for one that every script uses."""
    first = unicodedata.name(character, "").partition(" ")[0].partition("-")[0]
    return None if first in _COMMON else first.capitalize()


_COMMON: Final = frozenset({"", "MODIFIER", "FEMININE", "MASCULINE", "KATAKANA-HIRAGANA", "DOUBLE"})
_TOGETHER: Final = (
    frozenset({"Latin", "Cjk", "Hiragana", "Katakana"}),
    frozenset({"Latin", "Cjk", "Hangul"}),
    frozenset({"Latin", "Cjk", "Bopomofo"}),
)
"""Scripts that one language is written in, with Latin letters: Unicode Technical Standard 39, "highly restrictive"."""


def shown(text: str, limit: int = 80) -> str:
    """The text as it may stand in a message: no line break, nothing invisible, and not longer than `limit`."""
    printable = "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}" for character in text[: limit + 1]
    )
    return printable if len(printable) <= limit else printable[:limit] + "…"


def country_fault(text: str) -> str | None:
    """What is wrong with the code of a country that is asked for, with the one that was meant; `None` if nothing."""
    if is_country(text):
        return None
    meant = suggest(text)
    remedy = f"did you mean `{meant}`?" if meant else "write its two capital letters, such as DE"
    return f"`{shown(text, _SHOWN)}` is not an ISO 3166-1 alpha-2 country; {remedy}"


_SHOWN: Final = 50
"""Characters of a text that is no country that are told."""
