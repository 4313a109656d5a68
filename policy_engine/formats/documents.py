"""Strict documents: YAML 1.2 (core schema) or JSON, from bytes to a tree of values that know their place.

A file has one meaning for every reader or it is refused:

- UTF-8, with or without a byte-order mark; no control characters, raw or escaped, no lone surrogates, none of the line
  breaks that YAML 1.1 knows and JSON does not.
- One document, no anchors and aliases, no tags, no merge keys, keys are texts and stand once.
- Plain words are what the core schema says: null, true, false and numbers, nothing else. `NO`, `on` and 2026-06-12 are
  texts. A number with a point or an exponent is an exact `Decimal`. NaN and infinities are refused.
- At most 32 levels, 100 characters in a number, and a limit of bytes that the reader states.

The tree is built from the events of libyaml's parser, so that nothing is expanded or constructed before it is checked.
"""

from __future__ import annotations

import bisect
import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from yaml import YAMLError
from yaml._yaml import CParser
from yaml.error import MarkedYAMLError
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from policy_engine.formats.faults import Fault, FaultsError, Findings, quoted

MAX_BYTES: Final = 256 * 1024 * 1024
MAX_DEPTH: Final = 32
MAX_NUMBER: Final = 100
"""Characters of a number; no figure of law, trade or training is longer."""
MAX_EXPONENT: Final = 999
_MAX_UNREADABLE: Final = 100

_UTF8_MARK: Final = b"\xef\xbb\xbf"
_OTHER_BEGINNINGS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"PK\x03\x04", "a spreadsheet or another archive"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet of an old Excel"),
    (b"\x1f\x8b", "compressed"),
)
_LOOKED_AT: Final = 400
_UNREADABLE: Final = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_LINE_BREAK: Final = re.compile("\r\n|\r|\n")
_SURROGATE_PAIR: Final = re.compile(r"(?<!\\)((?:\\\\)*)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_PAIR_LENGTH: Final = 12
_INTEGER: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_A_NUMBER: Final = re.compile(r"\.nan|\.NaN|\.NAN|NaN|[-+]?(?:\.inf|\.Inf|\.INF|Infinity)")
_WORDS: Final[dict[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_NUMBER_BEGINS: Final = frozenset("0123456789+-.NI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scalar:
    """One value. `text` is what was written, after unescaping; `quoted` says that it could be nothing but a text."""

    value: str | int | bool | Decimal | None
    text: str
    line: int
    column: int
    quoted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """A list, with the place where it begins."""

    items: tuple[Node, ...]
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """Names and values in the order of the file; every key is a text and stands once."""

    entries: tuple[tuple[Scalar, Node], ...]
    line: int
    column: int

    def get(self, name: str) -> Node | None:
        """The value under the name; `None` when the name does not stand here (a written null is a `Scalar`)."""
        for key, node in self.entries:
            if key.text == name:
                return node
        return None

    def key(self, name: str) -> Scalar | None:
        """The key itself, for its place."""
        for key, _ in self.entries:
            if key.text == name:
                return key
        return None


Node: TypeAlias = Scalar | Sequence | Mapping


def is_null(node: Node) -> bool:
    """Whether the node is a null, written or left empty."""
    return isinstance(node, Scalar) and node.value is None


def kind_of(node: Node) -> str:
    """What the node is, in a word for a message."""
    if isinstance(node, Sequence):
        return "a list"
    if isinstance(node, Mapping):
        return "a mapping"
    if node.value is None:
        return "null"
    if isinstance(node.value, str):
        return "a text"
    return "true or false" if isinstance(node.value, bool) else "a number"


def plain(node: Node) -> object:
    """The node as Python's own dict, list, str, int, `Decimal`, bool or `None`, without places."""
    if isinstance(node, Scalar):
        return node.value
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return {key.text: plain(value) for key, value in node.entries}


def jsonable(node: Node) -> object:
    """The node as JSON has it: as `plain` gives it, with a number that is not whole as its text."""
    if isinstance(node, Scalar):
        return node.value if isinstance(node.value, str | int | bool | None) else str(node.value)
    if isinstance(node, Sequence):
        return [jsonable(item) for item in node.items]
    return {key.text: jsonable(value) for key, value in node.entries}


def read_document(data: bytes, source: str, *, max_bytes: int = MAX_BYTES) -> Node:
    """The document in the bytes; `source` names it in faults.

    Raises `FaultsError` with every fault of the document's form. A fault of syntax ends the reading, so what stands
    behind it is not judged.
    """
    faults: list[Fault] = []
    node = parse_document(data, source, faults, max_bytes=max_bytes)
    if faults or node is None:
        raise FaultsError(faults)
    return node


def as_written(text: str) -> str:
    """A text as it is written in a document, so that it reads as itself wherever it stands: plain where that can be,
    and else in quotation marks."""
    faults: list[Fault] = []
    read = parse_document(f"[{text}]".encode("utf-8", "surrogatepass"), "", faults)
    if not faults and isinstance(read, Sequence) and len(read.items) == 1:
        item = read.items[0]
        if isinstance(item, Scalar) and isinstance(item.value, str) and item.value == text and not item.quoted:
            return text
    return json.dumps(text, ensure_ascii=False)


def parse_document(data: bytes, source: str, faults: list[Fault], *, max_bytes: int = MAX_BYTES) -> Node | None:
    """As `read_document`, with the faults added to a list: for a reader that goes on to judge what the document says.

    `None` when there is no tree. In the tree of a faulty document what cannot stand for anything (an alias, an endless
    number) is a null at its place, and of two equal keys the first counts.
    """
    findings = Findings(source=source, faults=faults)
    data = data.removeprefix(_UTF8_MARK)
    if len(data) > max_bytes:
        message = f"the document has {len(data):,} bytes and the limit is {max_bytes:,}"
        findings.add(1, 1, message, "split it into several files")
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place_in(data[: error.start].decode("utf-8"))
        byte = data[error.start]
        other = other_encoding(data)
        what = in_windows_1252(byte) if other is None else f": it is {other}"
        findings.add(line, column, f"byte 0x{byte:02x} is not UTF-8{what}", "save the file as UTF-8")
        return None
    other = other_encoding(data)
    if other is not None:
        findings.add(1, 1, f"the file is not UTF-8: it is {other}", "save the file as UTF-8")
        return None
    if _refuse_unreadable(text, findings):
        return None
    joined = _join_surrogate_pairs(text)
    if joined is None:
        return _Builder(findings=findings).build(data)
    return _Builder(findings=findings, shifts=joined.shifts).build(joined.text.encode("utf-8"))


def other_encoding(data: bytes) -> str | None:
    """What a file is that is not UTF-8, by its first bytes: the end of a sentence that begins with "it is"."""
    for beginning, name in _OTHER_BEGINNINGS:
        if data.startswith(beginning):
            return name
    start = data[:_LOOKED_AT]
    for first, name in (
        (1, "UTF-16 (little-endian) without a byte-order mark"),
        (0, "UTF-16 (big-endian) without a byte-order mark"),
    ):
        # In a text that is mostly Latin letters every other byte of UTF-16 is a NUL.
        if (
            len(start) > 1
            and 2 * start[first::2].count(0) > len(start[first::2])
            and not start[1 - first :: 2].count(0)
        ):
            return name
    return None


def in_windows_1252(byte: int) -> str:
    """The character that a byte is in Windows-1252, as the end of a sentence; empty where it is none."""
    character = bytes([byte]).decode("cp1252", "ignore")
    return (
        f", as if it were Windows-1252 or Latin-1, where it is `{character}`"
        if character.isprintable() and character
        else ""
    )


def _place_in(before: str) -> tuple[int, int]:
    """The line and column of what follows the text, counted as the parser counts them."""
    line, begins = 1, 0
    for found in _LINE_BREAK.finditer(before):
        line, begins = line + 1, found.end()
    return line, len(before) - begins + 1


def _refuse_unreadable(text: str, findings: Findings) -> bool:
    count = 0
    for found in _UNREADABLE.finditer(text):
        line, column = _place_in(text[: found.start()])
        code = ord(found[0])
        findings.add(line, column, f"the character U+{code:04X} may not stand in a document", "remove it")
        count += 1
        if count == _MAX_UNREADABLE:
            break
    return count > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Joined:
    """A JSON text whose escaped surrogate pairs became characters, and per line the columns just behind those."""

    text: str
    shifts: dict[int, list[int]]


def _join_surrogate_pairs(text: str) -> _Joined | None:
    r"""JSON writes a character beyond U+FFFF as two escapes (`\ud83d\ude00`), which YAML does not know.

    They are joined only where the whole text is JSON, since in a plain YAML text they would be twelve characters.
    `None` when there is nothing to join.
    """
    if "\\u" not in text or _SURROGATE_PAIR.search(text) is None:
        return None
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        return None
    pieces: list[str] = []
    shifts: dict[int, list[int]] = {}
    line, column, copied = 1, 1, 0
    for found in _SURROGATE_PAIR.finditer(text):
        code = 0x10000 + ((int(found[2], 16) - 0xD800) << 10) + int(found[3], 16) - 0xDC00
        before = text[copied : found.start()] + found[1]
        piece = before + chr(code)
        copied = found.end()
        pieces.append(piece)
        lines, end = _place_in(piece)
        line, column = (line, column + len(piece)) if lines == 1 else (line + lines - 1, end)
        shifts.setdefault(line, []).append(column)
    pieces.append(text[copied:])
    return _Joined(text="".join(pieces), shifts=shifts)


@dataclass(slots=True, kw_only=True)
class _Open:
    """A list or mapping whose end has not come yet; of a mapping, the key that waits for its value."""

    line: int
    column: int
    is_mapping: bool
    items: list[Node] = field(default_factory=list)
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)
    names: dict[str, Scalar] = field(default_factory=dict)
    key: Scalar | None = None
    awaits_value: bool = False


class _StopReadingError(Exception):
    """A fault behind which nothing can be read."""


@dataclass(slots=True, kw_only=True)
class _Builder:
    """Turns parser events into one tree; a stack, so that depth costs no recursion."""

    findings: Findings
    shifts: dict[int, list[int]] = field(default_factory=dict)
    stack: list[_Open] = field(default_factory=list)
    root: Node | None = None
    documents: int = 0

    def build(self, data: bytes) -> Node | None:
        parser = CParser(data)
        try:
            while not isinstance(event := parser.get_event(), StreamEndEvent):
                if event is not None:
                    self._take(event)
        except MarkedYAMLError as error:
            self._refuse_syntax(error)
            return None
        except YAMLError as error:
            self.findings.add(1, 1, f"this is not YAML or JSON: {' '.join(str(error).split())}")
            return None
        except _StopReadingError:
            return None
        if self.root is None:
            self.findings.add(1, 1, "the document is empty", "write `{}` for a document that says nothing")
        return self.root

    def _take(self, event: Event) -> None:
        if isinstance(event, ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._begin(event)
        elif isinstance(event, CollectionEndEvent):
            self._end()
        elif isinstance(event, AliasEvent):
            line, column = self._place(event)
            message = f"the alias {quoted(f'*{event.anchor}')} is not allowed"
            self.findings.add(line, column, message, "write the value itself")
            self._add(Scalar(value=None, text="", line=line, column=column, quoted=False))
        elif isinstance(event, DocumentStartEvent):
            self._begin_document(event)

    def _place(self, event: Event) -> tuple[int, int]:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        return (line, self._shifted(line, column)) if self.shifts else (line, column)

    def _shifted(self, line: int, column: int) -> int:
        behind = bisect.bisect_right(self.shifts.get(line, []), column)
        return column + behind * (_PAIR_LENGTH - 1)

    def _begin_document(self, event: DocumentStartEvent) -> None:
        self.documents += 1
        line, column = self._place(event)
        if self.documents > 1:
            self.findings.add(line, column, "a second document begins here", "write one document for each file")
            raise _StopReadingError
        if event.version not in {None, (1, 2)}:
            version = ".".join(str(part) for part in event.version)
            message = f"the document says that it is YAML {version}, where words such as `NO` mean something else"
            self.findings.add(line, column, message, "write YAML 1.2 and remove the directive")
        if event.tags:
            self.findings.add(line, column, "a %TAG directive is not allowed", "remove it")

    def _refuse_marks(self, event: ScalarEvent | CollectionStartEvent, line: int, column: int) -> None:
        if event.anchor is not None:
            message = f"the anchor {quoted(f'&{event.anchor}')} is not allowed"
            self.findings.add(line, column, message, "remove it and write the value wherever it is needed")
        if event.tag is not None:
            message = f"the tag {quoted(event.tag)} is not allowed"
            self.findings.add(line, column, message, "remove it; quote a value that is a text")

    def _begin(self, event: CollectionStartEvent) -> None:
        line, column = self._place(event)
        if len(self.stack) == MAX_DEPTH:
            self.findings.add(line, column, f"the document is nested deeper than {MAX_DEPTH}", "flatten it")
            raise _StopReadingError
        if event.anchor is not None or event.tag is not None:
            self._refuse_marks(event, line, column)
        self.stack.append(_Open(line=line, column=column, is_mapping=isinstance(event, MappingStartEvent)))

    def _end(self) -> None:
        done = self.stack.pop()
        if done.is_mapping:
            self._add(Mapping(entries=tuple(done.entries), line=done.line, column=done.column))
        else:
            self._add(Sequence(items=tuple(done.items), line=done.line, column=done.column))

    def _take_scalar(self, event: ScalarEvent) -> None:
        line, column = self._place(event)
        if event.anchor is not None or event.tag is not None:
            self._refuse_marks(event, line, column)
        text: str = event.value
        is_quoted = event.style is not None and event.style != ""
        if not text.isprintable() and (control := _CONTROL.search(text)) is not None:
            message = f"the text has the control character U+{ord(control[0]):04X}"
            self.findings.add(line, column, message, "remove the escape")
        value = text if is_quoted else self._resolved(text, line, column)
        self._add(Scalar(value=value, text=text, line=line, column=column, quoted=is_quoted))

    def _resolved(self, text: str, line: int, column: int) -> str | int | bool | Decimal | None:
        """What a plain word is in the core schema of YAML 1.2 (chapter 10.3)."""
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMBER_BEGINS:
            return text
        if _NOT_A_NUMBER.fullmatch(text) is not None:
            self.findings.add(
                line, column, f"{quoted(text)} is not a number", "write null, or quote it if it is a text"
            )
            return None
        if _OCTAL_OR_HEX.fullmatch(text) is None and _FLOAT.fullmatch(text) is None:
            return text
        return self._number(text, line, column)

    def _number(self, text: str, line: int, column: int) -> int | Decimal | None:
        if len(text) > MAX_NUMBER:
            message, remedy = f"the number {quoted(text)} is too long", f"write at most {MAX_NUMBER} characters"
            self.findings.add(line, column, message, f"{remedy}, or quote it if it is a text")
            return None
        if _INTEGER.fullmatch(text) is not None:
            return int(text)
        if text[1] in "ox":
            return int(text, 0)
        exponent = text.lower().partition("e")[2]
        if exponent and abs(int(exponent)) > MAX_EXPONENT:
            message, remedy = f"the number {quoted(text)} is out of bounds", f"write exponents up to {MAX_EXPONENT}"
            self.findings.add(line, column, message, f"{remedy}, or quote it if it is a text")
            return None
        return Decimal(text)

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if not top.is_mapping:
            top.items.append(node)
        elif top.awaits_value:
            if top.key is not None:
                top.entries.append((top.key, node))
            top.awaits_value, top.key = False, None
        else:
            top.awaits_value, top.key = True, self._checked_key(node, top)

    def _checked_key(self, node: Node, mapping: _Open) -> Scalar | None:
        """The key, or `None` when it and its value cannot count."""
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            what = f"{quoted(node.text)} is {kind_of(node)}" if isinstance(node, Scalar) else f"{kind_of(node)} is here"
            self.findings.add(node.line, node.column, f"a key must be a text and {what}", "put quotes around it")
            return None
        if node.text == "<<" and not node.quoted:
            self.findings.add(node.line, node.column, "a merge key is not allowed", "write the fields themselves")
            return None
        first = mapping.names.get(node.text)
        if first is not None:
            message = f"duplicate key {quoted(node.text)}, first on line {first.line}"
            self.findings.add(node.line, node.column, message, "keep one of the two")
            return None
        mapping.names[node.text] = node
        return node

    def _refuse_syntax(self, error: MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        if self.shifts:
            column = self._shifted(line, column)
        problem = str(error.problem or error.context or "it cannot be read")
        context = f" {error.context}" if error.problem and error.context else ""
        if error.context_mark is not None and error.context_mark.line + 1 != line:
            context = f"{context} that begins on line {error.context_mark.line + 1}"
        self.findings.add(line, column, f"this is not YAML or JSON: {problem}{context}", _syntax_remedy(problem))


def _syntax_remedy(problem: str) -> str:
    for part, remedy in _SYNTAX_REMEDIES:
        if part in problem:
            return remedy
    return ""


_SYNTAX_REMEDIES: Final = (
    ("Unicode character escape", "a lone surrogate is not a character; write the character itself"),
    ("cannot start any token", "indent with blanks, and quote a text that begins with a sign such as @, ` or %"),
    ("mapping values are not allowed", "quote a text that contains a colon, and check the indentation"),
    ("expected ',' or", "close the bracket, and put a comma between entries"),
    ("expected key", "check the indentation, and that nothing follows a closing quote"),
    ("unexpected end of stream", "close the quote"),
    ("document start", "write one document for each file, and nothing behind it"),
    ("undefined tag", "remove the tag"),
    ("incompatible YAML", "write YAML 1.2"),
    ("unknown directive", "remove the directive"),
    ("expected ':'", "put a colon and a blank behind the key"),
)
