"""Typed reading of a document's nodes: whatever is wrong is noted with its place, and reading goes on.

A reader of one value gives `None` for a node that is absent or null, and for one that it has reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from policy_engine.domain.instants import ALWAYS, InstantError, Validity, parse_instant
from policy_engine.formats.documents import Mapping, Node, Scalar, Sequence, is_null, kind_of
from policy_engine.formats.faults import Findings, one_of, quoted
from policy_engine.formats.identifiers import identifier_fault, text_fault
from policy_engine.policy.cells import counts_days, instant_remedy
from policy_engine.policy.names import NameProblem, country_problem

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")

_DECIMAL: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?")


class BookFields:
    """The fields of one mapping, each asked for once; `finish` refuses those that nobody asked for."""

    def __init__(self, values: Values, node: Node | None, what: str) -> None:
        self._values = values
        self._what = what
        self._asked: list[str] = []
        self._mapping = values.mapping(node, what)

    def optional(self, name: str) -> Node | None:
        """The value, or `None` where it is absent or null."""
        self._asked.append(name)
        node = None if self._mapping is None else self._mapping.get(name)
        return None if node is None or is_null(node) else node

    def written(self, name: str) -> Node | None:
        """As `optional`, for a field that may be null and may not be left out."""
        node = self.optional(name)
        if self._mapping is not None and self._mapping.get(name) is None:
            self._values.add(self._mapping, f"{self._what} has no field `{name}`", "write it, as null if there is none")
        return node

    def required(self, name: str) -> Node | None:
        """The value of a field that has to have one."""
        node = self.optional(name)
        if self._mapping is not None and node is None:
            self._values.add(self._mapping, f"{self._what} has no `{name}`", "write the field with a value")
        return node

    def finish(self) -> None:
        """Refuse every field that was not asked for."""
        for key, _ in () if self._mapping is None else self._mapping.entries:
            if key.text not in self._asked:
                message = f"{self._what} has no field {quoted(key.text)}"
                self._values.add(key, message, one_of(key.text, tuple(sorted(self._asked))))


class Values:
    """Reads nodes as values of one type; faults go to the findings of the document's source."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings

    def add(self, node: Node, message: str, remedy: str) -> None:
        """Note a fault at the node."""
        self.findings.add(node.line, node.column, message, remedy)

    def mapping(self, node: Node | None, what: str) -> Mapping | None:
        if node is None or isinstance(node, Mapping):
            return node
        self.add(node, f"{what} is {kind_of(node)}", "write names and values")
        return None

    def entries(self, node: Node | None, what: str) -> tuple[tuple[Scalar, Node], ...]:
        """The names and values of a table."""
        mapping = self.mapping(node, what)
        return () if mapping is None else mapping.entries

    def items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        """The places of a list; none for a node that is absent or null."""
        if node is None or is_null(node):
            return ()
        if isinstance(node, Sequence):
            return node.items
        self.add(node, f"{what} is {kind_of(node)}", "write a list in square brackets")
        return ()

    def each(self, node: Node | None, what: str, read: Callable[[Node], T | None]) -> tuple[T, ...]:
        """The values of a list, which may not name one twice."""
        found: dict[T, None] = {}
        for item in self.items(node, what):
            value = read(item)
            if value is None:
                if is_null(item):
                    self.add(item, f"{what} has an empty entry", "write a value, or take the entry out")
            elif value in found:
                self.add(item, f"{what} names {quoted(str(value))} twice", "name it once")
            else:
                found[value] = None
        return tuple(found)

    def text(self, node: Node | None) -> str | None:
        """A text without unseen characters and not empty; a number is refused, since its spelling may be lost."""
        if node is None or is_null(node):
            return None
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            spelling = f"{quoted(node.text)} is " if isinstance(node, Scalar) else ""
            remedy = f'quote it: "{node.text}"' if isinstance(node, Scalar) else "write a text"
            self.add(node, f"a text is wanted here and {spelling}{kind_of(node)}", remedy)
            return None
        wrong = text_fault(node.value) if node.value.strip() else "is empty"
        if wrong is not None:
            self.add(node, f"the text {wrong}", "write it again")
            return None
        return node.value

    def identifier(self, node: Node | None) -> str | None:
        """An identifier such as a request may name."""
        text = self.text(node)
        wrong = None if text is None else identifier_fault(text)
        if node is not None and text is not None and wrong is not None:
            self.add(node, f"the name {quoted(text)} {wrong}", "choose another")
            return None
        return text

    def checked(self, node: Node | None, problem: Callable[[str], NameProblem | None]) -> str | None:
        """A text that has no problem."""
        text = self.text(node)
        found = None if text is None else problem(text)
        if node is not None and found is not None:
            self.add(node, found.message, found.remedy)
            return None
        return text

    def names(self, node: Node | None, what: str, problem: Callable[[str], NameProblem | None]) -> tuple[str, ...]:
        """The texts of a list that have no problem, none of them twice."""
        return self.each(node, what, lambda item: self.checked(item, problem))

    def country(self, node: Node | None) -> str | None:
        """An ISO 3166-1 alpha-2 code."""
        return self.checked(node, country_problem)

    def choice(self, node: Node | None, kinds: type[E]) -> E | None:
        """One of the values of an enumeration, spelt exactly."""
        text = self.text(node)
        if node is None or text is None:
            return None
        choices = tuple(kind.value for kind in kinds)
        if text not in choices:
            self.add(node, f"there is no {quoted(text)} here", one_of(text, choices))
            return None
        return kinds(text)

    def boolean(self, node: Node | None) -> bool | None:
        if node is None or is_null(node):
            return None
        if isinstance(node, Scalar) and isinstance(node.value, bool):
            return node.value
        self.add(node, f"true or false is wanted here and this is {kind_of(node)}", "write true or false")
        return None

    def number(self, node: Node | None) -> Decimal | None:
        """A number from 0, exactly as written."""
        if node is None or is_null(node):
            return None
        if isinstance(node, Scalar) and isinstance(node.value, int | Decimal) and not isinstance(node.value, bool):
            if node.value >= 0:
                return Decimal(node.value)
            self.add(node, f"{quoted(node.text)} is less than 0", "write a number from 0")
            return None
        self.add(node, f"a number is wanted here and this is {kind_of(node)}", "write a number such as 1.0e+26")
        return None

    def whole(self, node: Node | None) -> int | None:
        """A whole number from 1."""
        number = self.number(node)
        if node is None or number is None:
            return None
        if number != number.to_integral_value() or number < 1:
            self.add(node, f"{number} is not a whole number from 1", "write a whole number")
            return None
        return int(number)

    def exact(self, node: Node | None, most: int) -> Decimal | None:
        """A decimal from 0 to `most`, in quotation marks so that no program on its way rounds it."""
        text = self.text(node)
        if node is None or text is None:
            return None
        value = Decimal(text) if _DECIMAL.fullmatch(text) else None
        if value is None or value > most:
            self.add(node, f"{quoted(text)} is not a decimal from 0 to {most}", 'write one such as "0.5"')
            return None
        return value

    def instant(self, node: Node | None) -> datetime | None:
        """An RFC 3339 instant, or a bare date."""
        if isinstance(node, Scalar) and counts_days(node.text):
            self.add(node, f"{quoted(node.text)} is not an instant", instant_remedy(node.text))
            return None
        text = self.text(node)
        if node is None or text is None:
            return None
        try:
            return parse_instant(text)
        except InstantError:
            self.add(node, f"{quoted(text)} is not an instant", instant_remedy(text))
            return None

    def validity(self, fields: BookFields) -> Validity:
        """The interval between the fields `from` and `to`."""
        start_node, end_node = fields.optional("from"), fields.optional("to")
        start, end = self.instant(start_node), self.instant(end_node)
        if end_node is not None and start is not None and end is not None and end <= start:
            self.add(end_node, "the end is not after the beginning", "write the earlier instant under `from`")
            return ALWAYS
        return Validity(start=start, end=end)
