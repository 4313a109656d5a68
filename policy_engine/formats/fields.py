"""One mapping of a document read field by field: every field is a typed value or a fault at its place.

Absent and `null` are the same. A reader answers `None` for a field that is absent and, after noting a fault, for one
that cannot be used: a document with a fault is refused as a whole, so neither can be taken for the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from policy_engine.domain.countries import is_country, suggest
from policy_engine.domain.instants import InstantError, Validity, format_instant, parse_instant
from policy_engine.formats.documents import MAX_NUMBER, Mapping, Node, Scalar, Sequence, as_written, is_null, kind_of
from policy_engine.formats.faults import Findings, one_of, quoted, whole
from policy_engine.formats.identifiers import identifier_fault, text_fault
from policy_engine.shapes.member_rows import RowField, ValueKind

MAX_TEXT: Final = 10_000
"""Characters of a free text."""
MAX_COUNT: Final = 2**63 - 1

_JOINERS: Final = str.maketrans("", "", "\u200c\u200d")  # orthography of Persian and of the scripts of India
_DECIMAL: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def name_fault(text: str) -> str | None:
    """What is wrong with an id or another name that is compared byte for byte; `None` if nothing."""
    if text != text.strip():
        return "begins or ends with a blank"
    return identifier_fault(text)


def free_text_fault(text: str) -> str | None:
    """What is wrong with a text for people to read; `None` if nothing."""
    if text.isprintable() and 0 < len(text) <= MAX_TEXT:
        return None
    if not 0 < len(text) <= MAX_TEXT:
        return f"must have 1 to {MAX_TEXT:,} characters"
    return text_fault(text.translate(_JOINERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A mapping and what it is called in messages."""

    node: Mapping
    what: str
    findings: Findings
    values: dict[str, Node]

    @staticmethod
    def of(node: Node, what: str, known: tuple[str, ...], findings: Findings) -> Fields | None:
        """The fields of the node, which must be a mapping; every field that is not known is a fault."""
        if not isinstance(node, Mapping):
            remedy = f"write it as {{{known[0]}: ...}}"
            findings.add(node.line, node.column, f"{what} must be a mapping and is {kind_of(node)}", remedy)
            return None
        values: dict[str, Node] = {}
        for key, value in node.entries:
            if key.text in known:
                values[key.text] = value
            else:
                message = f"unknown field {quoted(key.text)} in {what}"
                findings.add(key.line, key.column, message, one_of(key.text, known))
        return Fields(node=node, what=what, findings=findings, values=values)

    def node_of(self, name: str) -> Node | None:
        """The value as it stands in the document, when it is not null."""
        node = self.values.get(name)
        return None if node is None or is_null(node) else node

    def fault(self, name: str, message: str, remedy: str = "") -> None:
        """Note a fault at the field's value, or at the mapping when the field is absent."""
        node = self.values.get(name, self.node)
        self.findings.add(node.line, node.column, message, remedy)

    def _present(self, name: str, *, required: bool) -> Node | None:
        node = self.node_of(name)
        if node is None and required:
            self.fault(
                name, f"{quoted(name)} is missing in {self.what}", f"write {quoted(name)}; it may not be unknown"
            )
        return node

    def _mistyped(self, name: str, node: Node, wanted: str, remedy: str) -> None:
        text = kind_of(node)
        if isinstance(node, Scalar) and node.value is not None:
            text = f"{quoted(node.text)}, {text}"
        self.findings.add(node.line, node.column, f"{quoted(name)} must be {wanted} and is {text}", remedy)

    def _text_of(self, name: str, node: Node) -> str | None:
        if isinstance(node, Scalar) and isinstance(node.value, str):
            return node.value
        self._mistyped(name, node, "a text", "put quotes around it" if isinstance(node, Scalar) else "write one text")
        return None

    def text(self, name: str) -> str | None:
        """A text for people to read."""
        node = self.node_of(name)
        return None if node is None else self.text_of(name, node)

    def flag(self, name: str) -> bool | None:
        """True or false."""
        node = self.node_of(name)
        return None if node is None else self.flag_of(name, node)

    def count(self, name: str) -> int | None:
        """A whole number from 0."""
        node = self.node_of(name)
        return None if node is None else self.count_of(name, node)

    def instant(self, name: str) -> datetime | None:
        """An RFC 3339 instant with a zone, or a bare date."""
        node = self.node_of(name)
        return None if node is None else self.instant_of(name, node)

    def validity(self) -> Validity | None:
        """The half-open interval `[from, to)`; `None` only when a fault was noted."""
        before = len(self.findings.faults)
        start, end = self.instant("from"), self.instant("to")
        if len(self.findings.faults) > before:
            return None
        if start is not None and end is not None and end <= start:
            message = (
                f"the interval ends at {format_instant(end)}, which is not after its start at {format_instant(start)}"
            )
            self.fault("to", message, "write a `to` after `from`, or null for an open end")
            return None
        return Validity(start=start, end=end)

    def items(self, name: str, *, required: bool = False) -> tuple[Node, ...] | None:
        """The items of a list, not yet judged."""
        node = self._present(name, required=required)
        if node is None:
            return None
        if isinstance(node, Sequence):
            return node.items
        self._mistyped(name, node, "a list", "put brackets around it" if isinstance(node, Scalar) else "write a list")
        return None

    def value(self, member: RowField) -> object | None:
        """A field as it is declared: one plain value, or a list of them in which none stands twice."""
        if not member.many:
            node = self._present(member.name, required=member.required)
            return None if node is None else self._value_of(member, node)
        items = self.items(member.name, required=member.required)
        if items is None:
            return None
        found: dict[object, None] = {}
        for item in items:
            value = self._value_of(member, item)
            if value is None:
                continue
            if value in found:
                message = f"{quoted(member.name)} has {quoted(str(value))} twice"
                self.findings.add(item.line, item.column, message, "remove one of the two")
            found[value] = None
        return tuple(found)

    def _value_of(self, member: RowField, node: Node) -> object | None:
        if member.words is not None:
            word = self._word_of(member.name, node, member.words)
            return word.value if word is not None and member.many else word
        return _READERS[member.value](self, member.name, node)

    def text_of(self, name: str, node: Node) -> str | None:
        """A value of the field, or an item of it, as a text for people to read."""
        text = self._text_of(name, node)
        if text is None or (wrong := free_text_fault(text)) is None:
            return text
        remedy = "write it again" if text else "write null if it is not known"
        self.findings.add(node.line, node.column, f"{quoted(name)} {wrong}", remedy)
        return None

    def name_of(self, name: str, node: Node) -> str | None:
        """A value of the field, or an item of it, as a name that is compared byte for byte."""
        text = self._text_of(name, node)
        if text is None or (wrong := name_fault(text)) is None:
            return text
        stripped = text.strip()
        remedy = "write another"
        if name_fault(stripped) is None:
            told = whole(as_written(stripped))
            remedy = "remove the blanks around it" if told is None else f"write {told}"
        self.findings.add(node.line, node.column, f"{quoted(name)} {quoted(text)} {wrong}", remedy)
        return None

    def _word_of(self, name: str, node: Node, words: type[StrEnum]) -> StrEnum | None:
        text = self._text_of(name, node)
        if text is None:
            return None
        try:
            return words(text)
        except ValueError:
            message = f"{quoted(name)} cannot be {quoted(text)}"
            self.findings.add(node.line, node.column, message, one_of(text, tuple(words)))
            return None

    def country_of(self, name: str, node: Node) -> str | None:
        """An ISO 3166-1 alpha-2 code."""
        text = self._text_of(name, node)
        if text is None or is_country(text):
            return text
        meant = suggest(text)
        remedy = f"did you mean `{meant}`?" if meant else "write two capital letters such as DE"
        message = f"{quoted(name)} {quoted(text)} is not an ISO 3166-1 alpha-2 country"
        self.findings.add(node.line, node.column, message, remedy)
        return None

    def flag_of(self, name: str, node: Node) -> bool | None:
        """True or false."""
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self._mistyped(name, node, "true or false", "write true, false, or null if unknown")
        return None

    def count_of(self, name: str, node: Node) -> int | None:
        """A whole number from 0."""
        value = node.value if isinstance(node, Scalar) else None
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_COUNT:
            return value
        self._mistyped(name, node, "a whole number from 0", "write digits only, without quotes")
        return None

    def percent_of(self, name: str, node: Node) -> Decimal | None:
        """A percentage from 0 to 100, exact, quoted or not, with its sign or without."""
        if isinstance(node, Scalar) and len(node.text) <= MAX_NUMBER:
            written = node.text.removesuffix("%").removesuffix(" ")
            if _DECIMAL.fullmatch(written) and (value := Decimal(written)) <= 100:
                return value
        remedy = 'write digits with a point, such as "12.5", or null for an unknown share'
        self._mistyped(name, node, "a percentage from 0 to 100", remedy)
        return None

    def amount_of(self, name: str, node: Node) -> Decimal | None:
        """An exact decimal from 0, quoted or not."""
        if isinstance(node, Scalar) and len(node.text) <= MAX_NUMBER and _DECIMAL.fullmatch(node.text):
            return Decimal(node.text)
        self._mistyped(name, node, "an exact amount from 0", 'write digits with a point, such as "12.5"')
        return None

    def instant_of(self, name: str, node: Node) -> datetime | None:
        """An RFC 3339 instant with a zone, or a bare date."""
        remedy = "write 2026-06-12T21:21:00Z or 2026-06-12"
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            self._mistyped(name, node, "an instant", remedy)
            return None
        try:
            return parse_instant(node.value)
        except InstantError as error:
            reason = str(error).removeprefix(f"`{node.value}` ").partition(":")[0]
            self.findings.add(node.line, node.column, f"{quoted(name)} {quoted(node.value)} {reason}", remedy)
            return None


_READERS: Final[dict[ValueKind, Callable[[Fields, str, Node], object | None]]] = {
    ValueKind.ID: Fields.name_of,
    ValueKind.PARTY: Fields.name_of,
    ValueKind.NAME: Fields.name_of,
    ValueKind.TEXT: Fields.text_of,
    ValueKind.COUNTRY: Fields.country_of,
    ValueKind.FLAG: Fields.flag_of,
    ValueKind.COUNT: Fields.count_of,
    ValueKind.PERCENT: Fields.percent_of,
    ValueKind.AMOUNT: Fields.amount_of,
    ValueKind.INSTANT: Fields.instant_of,
}
