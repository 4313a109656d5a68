from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.formats.documents import (
    MAX_DEPTH,
    Mapping,
    Node,
    Scalar,
    Sequence,
    parse_document,
    plain,
    read_document,
)
from policy_engine.formats.faults import Fault, FaultsError


def value_of(text: str) -> object:
    return plain(read_document(text.encode("utf-8"), "a.yaml"))


def faults_of(data: bytes | str, *, max_bytes: int = 10**8) -> tuple[Fault, ...]:
    with pytest.raises(FaultsError) as raised:
        read_document(data.encode("utf-8") if isinstance(data, str) else data, "a.yaml", max_bytes=max_bytes)
    return raised.value.faults


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("null", None),
        ("Null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("False", False),
        ("12", 12),
        ("-0", 0),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("3.0e+25", Decimal("3.0e25")),
        ("1e26", Decimal("1e26")),
        (".5", Decimal("0.5")),
        ("5.", Decimal(5)),
        ("0.1", Decimal("0.1")),
    ],
)
def test_a_plain_word_is_what_the_core_schema_says(word: str, value: object) -> None:
    read = value_of(f"a: {word}")

    assert read == {"a": value}
    assert isinstance(read, dict)
    assert type(read["a"]) is type(value)


@pytest.mark.parametrize(
    "word",
    [
        *("NO", "no", "Yes", "on", "OFF", "y", "N", "tRUE", "None", "nil", "=", "2026-06-12", "2026-06-12T21:21:00Z"),
        *("12:30:45", "1_000", "0b11", "1e", "e5", ".", "+", "0x", "1.2.3"),
    ],
)
def test_every_other_plain_word_is_a_text(word: str) -> None:
    assert value_of(f"a: {word}") == {"a": word}


def test_a_quoted_word_is_a_text() -> None:
    assert value_of("""{a: "null", b: 'true', c: "12", d: "", e: ".nan"}""") == {
        "a": "null",
        "b": "true",
        "c": "12",
        "d": "",
        "e": ".nan",
    }


def test_a_node_knows_its_place_its_text_and_its_quotes() -> None:
    node = read_document("# c\nä: [x, '12', 1.50]\n".encode(), "a.yaml")

    assert isinstance(node, Mapping)
    items = node.get("ä")
    assert isinstance(items, Sequence)
    assert (items.line, items.column) == (2, 4)
    assert items.items == (
        Scalar(value="x", text="x", line=2, column=5, quoted=False),
        Scalar(value="12", text="12", line=2, column=8, quoted=True),
        Scalar(value=Decimal("1.50"), text="1.50", line=2, column=14, quoted=False),
    )
    assert node.get("b") is None
    assert node.key("ä") == Scalar(value="ä", text="ä", line=2, column=1, quoted=False)


def test_a_written_null_differs_from_an_absent_field_and_an_empty_list() -> None:
    node = read_document(b"{a: null, b: []}", "a.yaml")

    assert isinstance(node, Mapping)
    assert node.get("a") == Scalar(value=None, text="null", line=1, column=5, quoted=False)
    assert node.get("b") == Sequence(items=(), line=1, column=14)
    assert node.get("c") is None


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_place_does_not_depend_on_the_line_ending_or_the_byte_order_mark(ending: str) -> None:
    (fault,) = faults_of("\ufeff" + ending.join(["a: 1", "b: 2", "b: 3", ""]))

    assert (fault.line, fault.column) == (3, 1)


def json_values() -> st.SearchStrategy[object]:
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
    words = st.none() | st.booleans() | st.integers(-(10**20), 10**20) | text
    return st.recursive(
        words, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4), max_leaves=20
    )


@given(value=json_values(), indent=st.sampled_from([None, 0, 2, "\t"]))
def test_json_means_what_json_means(value: object, indent: int | str | None) -> None:
    assert value_of(json.dumps(value, indent=indent)) == value


def test_a_character_beyond_the_first_plane_may_be_written_as_json_writes_it() -> None:
    assert value_of('{"a": "x\\ud83d\\ude00y", "b": "\\\\ud83d"}') == {"a": "x😀y", "b": "\\ud83d"}


def test_joined_escapes_do_not_move_the_places_behind_them() -> None:
    text = '{"a":\n "\\ud83d\\ude00", "b": "\\ud83d\\ude00\\ud83d\\ude00", "a": 1}'

    (fault,) = faults_of(text)

    assert (fault.line, fault.column) == (2, text.splitlines()[1].rindex('"a"') + 1)


def test_in_plain_yaml_such_escapes_stay_the_letters_that_they_are() -> None:
    assert value_of("a: \\ud83d\\ude00") == {"a": "\\ud83d\\ude00"}


@pytest.mark.parametrize(
    ("data", "line", "column", "message", "remedy"),
    [
        (b"", 1, 1, "is empty", "{}"),
        (b"# nothing\n", 1, 1, "is empty", "{}"),
        (b"a: 1\nb: \xff", 2, 4, "byte 0xff is not UTF-8", "save the file as UTF-8"),
        ("a: é\n".encode("latin-1"), 1, 4, "byte 0xe9 is not UTF-8", "save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), 1, 1, "byte 0xff is not UTF-8", "save the file as UTF-8"),
        (b'a: "\xed\xa0\x80"', 1, 5, "byte 0xed is not UTF-8", "save the file as UTF-8"),
        (b"a: 1\nb: x\x00y", 2, 5, "U+0000", "remove it"),
        (b"a: \x07", 1, 4, "U+0007", "remove it"),
        ("a: x\u2028y".encode(), 1, 5, "U+2028", "remove it"),
        ("a: x\u0085y".encode(), 1, 5, "U+0085", "remove it"),
        ("a: x\ufeffy".encode(), 1, 5, "U+FEFF", "remove it"),
        (b'a: "\\0"', 1, 4, "U+0000", "remove the escape"),
        (b'{"a": "\\u0007"}', 1, 7, "U+0007", "remove the escape"),
        (b'{"a": "\\ud83d"}', 1, 10, "escape", "lone surrogate"),
        (b'{"a": "\\ude00\\ud83d"}', 1, 10, "escape", "lone surrogate"),
        (b"a: 1\nb: 2\na: 3", 3, 1, "duplicate key `a`, first on line 1", "keep one"),
        (b'{"a": 1, "\\u0061": 2}', 1, 10, "duplicate key `a`", "keep one"),
        (b"a: &x 1", 1, 4, "the anchor `&x`", "write the value"),
        (b"a: &x [1]", 1, 4, "the anchor `&x`", "write the value"),
        (b"a: *x", 1, 4, "the alias `*x`", "write the value itself"),
        (b"a: !!str 12", 1, 4, "the tag `tag:yaml.org,2002:str`", "quote a value that is a text"),
        (b"a: ! 12", 1, 4, "the tag `!`", "remove it"),
        (b"a: !!python/object/apply:os.system [x]", 1, 4, "the tag `tag:yaml.org,2002:python/object", "remove it"),
        (b"%TAG ! tag:x,2000:\n---\na: 1", 1, 1, "%TAG", "remove it"),
        (b"%YAML 1.1\n---\na: NO", 1, 1, "YAML 1.1", "write YAML 1.2"),
        (b"a: 1\n---\nb: 2", 2, 1, "second document", "one document for each file"),
        (b'{"a": 1}\n{"b": 2}', 2, 1, "not YAML or JSON", "one document for each file"),
        (b"1: a", 1, 1, "a key must be a text and `1` is a number", "put quotes around it"),
        (b"true: a", 1, 1, "`true` is true or false", "put quotes around it"),
        (b"{~: a}", 1, 2, "is null", "put quotes around it"),
        (b"? [a]\n: b", 1, 3, "a list is here", "put quotes around it"),
        (b"a: {<<: {b: 1}}", 1, 5, "a merge key", "write the fields themselves"),
        (b"a: .nan", 1, 4, "`.nan` is not a number", "write null"),
        (b'{"a": NaN}', 1, 7, "`NaN` is not a number", "write null"),
        (b'{"a": -Infinity}', 1, 7, "`-Infinity` is not a number", "write null"),
        (b"a: -.INF", 1, 4, "`-.INF` is not a number", "write null"),
        (b"a: " + b"1" * 101, 1, 4, "is too long", "at most 100 characters"),
        (b"a: " + b"9" * 5000, 1, 4, "is too long", "at most 100 characters"),
        (b"a: 0x" + b"f" * 5000, 1, 4, "is too long", "at most 100 characters"),
        (b"a: 1e" + b"9" * 5000, 1, 4, "is too long", "at most 100 characters"),
        (b"a: 1e1000", 1, 4, "is out of bounds", "exponents up to 999"),
        (b"a: b: c", 1, 5, "not YAML or JSON", "colon"),
        (b"a:\n\t- b", 2, 1, "not YAML or JSON", "indent with blanks"),
        (b'a: "b', 1, 6, "not YAML or JSON", "close the quote"),
        (b"a:\n  - [b, c", 3, 1, "that begins on line 2", "close the bracket"),
    ],
)
def test_a_fault_of_form_is_told_with_its_place_and_remedy(
    data: bytes, line: int, column: int, message: str, remedy: str
) -> None:
    faults = faults_of(data)

    assert len(faults) == 1
    assert (faults[0].line, faults[0].column) == (line, column)
    assert message in faults[0].message
    assert remedy in faults[0].remedy


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "a:\n"])
def test_two_thousand_levels_are_refused_at_the_thirty_third(opening: str) -> None:
    text = "".join(f"{' ' * depth}a:\n" for depth in range(2000)) if opening == "a:\n" else opening * 2000

    (fault,) = faults_of(text)

    assert "nested deeper than 32" in fault.message
    assert fault.column == (1 + len(opening) * MAX_DEPTH if opening != "a:\n" else 1 + MAX_DEPTH)


def test_thirty_two_levels_are_read() -> None:
    assert value_of("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None


def test_a_billion_laughs_are_refused_without_being_expanded() -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]

    faults = faults_of("\n".join(lines))

    assert len(faults) == 10 + 9 * 9
    assert {"anchor" in fault.message or "alias" in fault.message for fault in faults} == {True}


def test_a_document_above_the_limit_is_refused_unread() -> None:
    (fault,) = faults_of(b"a: " + b"x" * 100, max_bytes=50)

    assert fault.message == "the document has 103 bytes and the limit is 50"
    assert fault.remedy == "split it into several files"


def test_every_fault_of_form_is_told_at_once() -> None:
    faults = faults_of("a: *x\nb: !t 1\nb: 2\n3: 4\nc: .inf\n")

    assert [fault.line for fault in faults] == [1, 2, 3, 4, 5]


def test_a_binary_file_does_not_fill_the_report() -> None:
    assert len(faults_of(b"\x00" * 10_000)) == 100


def test_what_is_faulty_in_form_can_still_be_judged_by_its_content() -> None:
    faults: list[Fault] = []

    node = parse_document(b"a: 1\na: 2\nb: *x\n", "a.yaml", faults)

    assert node is not None
    assert plain(node) == {"a": 1, "b": None}
    assert [fault.line for fault in faults] == [2, 3]


def _depth(node: Node) -> int:
    if isinstance(node, Scalar):
        return 0
    children = node.items if isinstance(node, Sequence) else [value for _, value in node.entries]
    return 1 + max((_depth(child) for child in children), default=0)


@given(data=st.binary(max_size=60) | st.text(st.sampled_from("ab:- \n\t[]{},'\"#&*!|>%@`?~1.\\u\x00é"), max_size=40))
def test_any_bytes_are_a_document_or_told_faults(data: bytes | str) -> None:
    raw = data if isinstance(data, bytes) else data.encode("utf-8")
    faults: list[Fault] = []

    node = parse_document(raw, "a.yaml", faults)

    assert node is not None or faults
    assert node is None or _depth(node) <= MAX_DEPTH
    assert all(fault.line >= 1 and fault.column >= 1 for fault in faults)
