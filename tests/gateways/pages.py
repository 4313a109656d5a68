"""The configurations that the pages of the documentation print: what is tested is what a reader copies."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

PAGES: Final = Path(__file__).resolve().parents[2] / "docs" / "gateways"
_BLOCK: Final = re.compile(r"^```[a-z]+\n(?:#|//|--) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> dict[str, str]:
    """The blocks of a page that begin with the name of a file, by that name."""
    found: dict[str, str] = {}
    for match in _BLOCK.finditer(page.read_text()):
        assert match[1] not in found, f"{page.name} has two blocks `{match[1]}`"
        found[match[1]] = match[2]
    return found


_FENCED: Final = re.compile(r"^ *```[a-z]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def printed(page: str) -> list[str]:
    """What stands in the fences of a page, with or without a name."""
    return [match[1].strip() for match in _FENCED.finditer((PAGES / page).read_text())]


def command_of(page: str, words: str) -> list[str]:
    """The words of the only line of a page that begins so, without the program's name."""
    (line,) = (line for block in printed(page) for line in block.splitlines() if line.startswith(words))
    return shlex.split(line)[1:]


def put(text: str, **changes: str) -> str:
    """The text with each of the strings, which must stand in it, replaced: `put(text, A="1")` replaces `A`."""
    return put_all(text, changes)


def put_all(text: str, changes: dict[str, str]) -> str:
    """As `put`, for strings that are no names."""
    for old, new in changes.items():
        assert old in text, f"`{old}` does not stand in the configuration"
        text = text.replace(old, new)
    return text
