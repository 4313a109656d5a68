"""A roster's tables as the text of a membership document, for a service that reads documents, with the way back.

Every value stands on a line of its own, so that a fault on a line of the text is a fault of one cell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from policy_engine.formats.documents import Mapping, Node, Scalar, Sequence
from policy_engine.formats.faults import Fault, Findings

_LINE: Final = re.compile(r"\bline ([0-9]+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableText:
    """The text (JSON), and of each of its lines the row and column that it comes from."""

    text: str
    places: tuple[tuple[int, int], ...]
    findings: Findings

    def at_cell(self, fault: Fault) -> Fault:
        """A fault of the text where it is in the table."""
        found: list[Fault] = []
        line, column = self._place(fault.line)
        message = _LINE.sub(lambda other: self.findings.where(self._place(int(other[1]))[0]), fault.message)
        replace(self.findings, faults=found).add(line, column, message, fault.remedy)
        return found[0]

    def _place(self, line: int) -> tuple[int, int]:
        return self.places[min(max(line, 1), len(self.places)) - 1]


def table_text(document: Mapping, findings: Findings) -> TableText:
    """The document that `read_tables` gave, as text."""
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for text, line, column in _lines(document, before="", after=""):
        lines.append(text)
        places.append((line, column))
    return TableText(text="\n".join(lines) + "\n", places=tuple(places), findings=findings)


def _lines(node: Node, *, before: str, after: str) -> Iterator[tuple[str, int, int]]:
    if isinstance(node, Scalar):
        yield before + _written(node) + after, node.line, node.column
        return
    opening, closing = ("[", "]") if isinstance(node, Sequence) else ("{", "}")
    yield before + opening, node.line, node.column
    named: tuple[tuple[str, Node], ...]
    if isinstance(node, Sequence):
        named = tuple(("", item) for item in node.items)
    else:
        named = tuple((f"{json.dumps(key.text)}: ", value) for key, value in node.entries)
    for number, (name, value) in enumerate(named, start=1):
        yield from _lines(value, before=name, after="," if number < len(named) else "")
    yield closing + after, node.line, node.column


def _written(node: Scalar) -> str:
    return str(node.value) if isinstance(node.value, Decimal) else json.dumps(node.value)
