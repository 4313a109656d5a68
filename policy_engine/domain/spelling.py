"""Spellings that are one: of a person's id, and of words that English writes in two ways.

Two persons are asked where one could do harm, so two keys count as two persons only when nobody could take the one
name for the other: `dora`, `Dora`, `dora ` and the same in Cyrillic letters are one.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

PLAIN_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
"""What the id of a person may look like who is not on file under it."""

_LOOKS_LIKE: Final = str.maketrans(
    {
        **dict(zip("абвгԁеѕіјкӏмнорԛгтухѵԝһс", "abbrdesijklmhopqrtyxvwhc", strict=True)),
        **dict(zip("αβγδεικνορτυχωηϲϳ", "abyoeikvoptuxwncj", strict=True)),
        **dict(zip("ıɑɡɩʟʏοօսոհցԍ", "iagilyooungsg", strict=True)),
        "п": "n",
        "ԛ": "q",
    }
)


def skeleton(text: str) -> str:
    """The text as it looks: without case, blanks, invisible characters and accents, look-alikes of other scripts and
    compatibility forms as the Latin letters that they look like."""
    folded = unicodedata.normalize("NFKD", text).casefold().translate(_LOOKS_LIKE)
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(one for one in parts if unicodedata.category(one)[0] not in "MZC")


def one_spelling(text: str) -> str:
    """The text with `licence` where American English writes `license`. For words of closed lists alone: a name that
    somebody chose is what it is."""
    return text.replace("license", "licence").replace("LICENSE", "LICENCE")
