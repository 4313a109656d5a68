"""What an identifier may look like, on the wire and in files alike.

Identity is exact bytes. So that two ids that look the same cannot be two, an id has no control or bidirectional
characters, is in Unicode normal form C, has no compatibility look-alikes (full-width letters, the Kelvin sign), and
does not mix Latin letters with Cyrillic or Greek ones.
"""

from __future__ import annotations

import unicodedata
from typing import Final

MAX_LENGTH: Final = 200
_LATIN_LIKE: Final = ("CYRILLIC", "GREEK")


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
    if text.isascii() and text.isprintable() and 0 < len(text) <= MAX_LENGTH:
        return None
    if not 0 < len(text) <= MAX_LENGTH:
        return f"must have 1 to {MAX_LENGTH} characters"
    return text_fault(text) or _look_alike_fault(text)


def _look_alike_fault(text: str) -> str | None:
    if unicodedata.normalize("NFC", text) != text:
        return "is not in Unicode normal form C"
    if unicodedata.normalize("NFKC", text) != text:
        return "has characters that look like others (it changes under Unicode normal form KC)"
    scripts = {unicodedata.name(character, "").split(" ")[0] for character in text if character.isalpha()}
    if "LATIN" in scripts and not scripts.isdisjoint(_LATIN_LIKE):
        return "mixes Latin letters with letters of another script that look like them"
    return None


def shown(text: str, limit: int = 80) -> str:
    """The text as it may stand in a message: no line break, nothing invisible, and not longer than `limit`."""
    printable = "".join(
        character if character.isprintable() else f"\\u{ord(character):04x}" for character in text[: limit + 1]
    )
    return printable if len(printable) <= limit else printable[:limit] + "…"
