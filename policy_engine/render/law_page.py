"""What a book has of the law, with the source of each row and table and whether it was compared with that.

The page is made of the book and of two texts beside it: what is not encoded (`not-encoded.md`), and the open questions
of its handbook. Nothing on it is written by hand, so that it is true as long as it is what the command prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from policy_engine.domain.rules import ROW_WORD, Book, Effect, Enforcement, Row
from policy_engine.domain.words import VOCABULARY
from policy_engine.domain.words.parameters import Named
from policy_engine.domain.words.word import HOUSE, Clause, ItemPart, Looks
from policy_engine.policy.names import RULED, names_in

NOT_ENCODED: Final = "not-encoded.md"
HANDBOOK: Final = "README.md"
OTHER_LAWS: Final = "other laws"

TITLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "us-order": "the order of June 2026",
        "us-itar": "International Traffic in Arms Regulations (22 CFR parts 120 to 130)",
        "us-ear": "Export Administration Regulations (15 CFR parts 730 to 774)",
        "us-ofac": "sanctions of the Office of Foreign Assets Control (31 CFR chapter V)",
        "vendor": "terms of the vendors",
        "consortium": "terms of Project Glasswing",
        "operator": "the operator's own rules",
        "cn-blocking": "blocking rules of China",
    }
)

_TABLE_HEAD: Final = ("| table | what it is | source | compared |", "|---|---|---|---|")
_QUESTIONS: Final = "## Open questions"


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCount:
    """How many of a kind were compared with their source, of how many."""

    kind: str
    compared: int
    total: int

    @property
    def text(self) -> str:
        return f"{self.compared} of {self.total} {self.kind}"


def counts(book: Book) -> tuple[ComparedCount, ...]:
    """How much of the book was compared with its sources, by each kind that it has; what says nothing of that counts as
    not compared."""
    places, sources = book.tables.places, book.tables.sources
    found = (
        _counted("rules", (row.checked is True for row in book.rows)),
        _counted("country groups", (group.checked for group in places.groups.values())),
        _counted("places read as others", (places.compared.get(one) is True for one in places.treat_as)),
        _counted(
            "entries of parameters.yaml",
            (name in sources and sources[name].checked for name in entries(book)),
        ),
    )
    return tuple(one for one in found if one.total)


def _counted(kind: str, compared: Iterable[bool]) -> ComparedCount:
    found = list(compared)
    return ComparedCount(kind=kind, compared=sum(found), total=len(found))


def entries(book: Book) -> tuple[str, ...]:
    """Every entry of the parameters of law, as `table/entry`."""
    tables = book.tables
    kinds: tuple[tuple[str, Iterable[str]], ...] = (
        ("ownership", tables.ownership),
        ("operations", tables.operations),
        ("columns", tables.columns),
        ("eccn", tables.eccn_columns),
        ("requirements", (one.text for one in tables.requirements.values())),
        ("military", tables.military),
        ("patterns", tables.patterns),
        ("parts", tables.parts),
    )
    return tuple(f"{kind}/{name}" for kind, names in kinds for name in names)


# --- which tables a row reads -----------------------------------------------------------------------------------------


_TABLES: Final[Mapping[Named, str]] = MappingProxyType(
    {
        Named.OWNERSHIP: "ownership",
        Named.OPERATIONS: "operations",
        Named.MILITARY: "military",
        Named.PATTERN: "patterns",
        Named.PARTS: "parts",
    }
)
"""The tables of the parameters of law whose entries a parameter names."""


def groups_read(book: Book, row: Row) -> frozenset[str]:
    """The country groups that the row reads, itself or through a table of the parameters."""
    tables, found = book.tables, set(names_in(row.terms, Named.PLACE))
    for entry in entries_read(book, row):
        kind, _, name = entry.partition("/")
        if kind == "ownership":
            rule = tables.ownership[name]
            found.update(one for one in (rule.headquartered_in, rule.headquartered_outside) if one is not None)
        elif kind == "columns":
            found.update(tables.columns[name].covers)
        elif kind == "military":
            found.update(tables.military[name].any_item_countries)
            found.update(tables.military[name].supplement_countries)
    if ItemPart.VENDOR_PLACES in _parts_of_item(row):
        found.update(name for name in tables.places.groups if name.startswith("VENDOR:"))
    return frozenset(found & tables.places.groups.keys())


def _parts_of_item(row: Row) -> frozenset[ItemPart]:
    """What of the item the words of the row look at; what a word sees through other rows stands beside those."""
    reads = (VOCABULARY[word].reads for word in row.words - {ROW_WORD})
    return frozenset(one.item for one in reads if one.looks is Looks.AT_FACTS)


def entries_read(book: Book, row: Row) -> frozenset[str]:
    """The entries of the parameters that the row reads, as `table/entry`."""
    tables, parts = book.tables, _parts_of_item(row)
    found = {f"{table}/{name}" for named, table in _TABLES.items() for name in names_in(row.terms, named)}
    if ItemPart.REQUIREMENTS in parts:
        found.update(f"requirements/{one.text}" for one in tables.requirements.values())
    if ItemPart.COLUMNS in parts:
        found.update(f"columns/{name}" for name in tables.columns)
        found.update(f"eccn/{name}" for name in tables.eccn_columns)
    return frozenset(found)


# --- the page ---------------------------------------------------------------------------------------------------------


def law_page(book: Book, not_encoded: str, handbook: str) -> str:
    """The page in Markdown. Raises `ValueError` where one of the texts has not the form that is read."""
    gaps = gaps_of(not_encoded)
    lines = [
        "# The law as the book has it",
        "",
        "Made by `policy-engine policy law` from the files of `policies/`; `policy law --verify docs/law.md` says"
        " whether it still is what they say. Every row and table names its source and whether it was compared with it:"
        " `yes` is compared with a stored copy of the text, `no` is from memory or from an account of it. Neither is"
        " legal advice, and counsel signs what decides.",
        "",
        "Compared with their source: " + ", ".join(one.text for one in counts(book)) + ".",
        "",
        "| regime | rules | bars | compared | not compared |",
        "|---|---|---|---|---|",
    ]
    for regime in RULED:
        rows = _rows_of(book, regime)
        bars = sum(row.effect is Effect.DENY for row in rows)
        compared = sum(row.checked is True for row in rows)
        lines.append(f"| {regime} | {len(rows)} | {bars} | {compared} | {len(rows) - compared} |")
    for regime in RULED:
        lines += ["", *_section(book, regime, gaps.get(regime, ()))]
    lines += ["", "## Other laws", "", *(f"- {one}" for one in gaps.get(OTHER_LAWS, ()))]
    lines += ["", *_shared_tables(book)]
    lines += ["", *_readings()]
    lines += ["", "## What counsel has to decide", "", *questions_of(handbook)]
    return "\n".join(lines) + "\n"


def _rows_of(book: Book, regime: str) -> list[Row]:
    return [row for row in book.rows if row.regime == regime]


def _section(book: Book, regime: str, gaps: Sequence[str]) -> list[str]:
    rows = _rows_of(book, regime)
    lines = [f"## {regime}: {TITLES[regime]}", ""]
    if not rows:
        lines += ["The book has no rule of this regime.", ""]
    else:
        lines += ["| rule | what it does | when | source | compared |", "|---|---|---|---|---|"]
        lines += [
            _line(f"`{row.id}`", f"{_effect(row)}: {row.message}", _when(row), row.citation, _yes(row.checked))
            for row in rows
        ]
    read = sorted({name for row in rows for name in groups_read(book, row)})
    tables = sorted({name for row in rows for name in entries_read(book, row)})
    if read or tables:
        lines += [
            "",
            "Tables that these rules read:",
            "",
            *_TABLE_HEAD,
        ]
        lines += [_group_line(book, name) for name in read]
        lines += [_entry_line(book, name) for name in tables]
    lines += ["", "Not encoded:", "", *(f"- {gap}" for gap in gaps)]
    return lines


def _effect(row: Row) -> str:
    if row.effect is Effect.PERMIT:
        told = "grants"
    elif row.effect is Effect.NOTE:
        told = "notes"
    else:
        told = "bars, and a person looks" if row.hold else "bars"
    if row.unless.alternatives:
        told += f" (lifted by {_lifters(row)})"
    return told if row.enforcement is Enforcement.ENFORCED else f"{told}; advisory, so that it decides nothing"


def _lifters(row: Row) -> str:
    names = (term.text for term in row.unless.terms if term.word == ROW_WORD or len(row.unless.terms) == 1)
    return ", ".join(f"`{name}`" for name in dict.fromkeys(names)) or f"`{row.unless.text}`"


def _when(row: Row) -> str:
    start, end = row.valid.start, row.valid.end
    told = [] if start is None else [f"from {start:%Y-%m-%d}"]
    told += [] if end is None else [f"to {end:%Y-%m-%d}"]
    for one in row.suspended:
        begin = "" if one.start is None else f" from {one.start:%Y-%m-%d}"
        finish = "" if one.end is None else f" to {one.end:%Y-%m-%d}"
        told.append(f"suspended{begin}{finish}")
    return ", ".join(told) or "always"


def _group_line(book: Book, name: str) -> str:
    group = book.tables.places.groups[name]
    return _line(f"group `{name}`", group.label, group.source, _yes(group.checked))


def _entry_line(book: Book, name: str) -> str:
    source = book.tables.sources.get(name)
    kind, _, entry = name.partition("/")
    told = f"{kind} `{entry}`" if len(entry) <= _LONG else f"{kind} `{entry[:_LONG]}…`"
    what = _ENTRIES[kind]
    if source is None:
        return _line(told, what, "not stated", "no")
    return _line(told, what, source.text, _yes(source.checked))


_LONG: Final = 60
_ENTRIES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ownership": "when owners capture a company",
        "operations": "counted training operations",
        "columns": "a column of the Commerce Country Chart, or of an entry itself",
        "eccn": "the columns of a classification",
        "requirements": "what a narrower licence requirement reaches",
        "military": "military end use and users",
        "patterns": "an aggregate pattern",
        "parts": "barred parts of a country",
    }
)


def _shared_tables(book: Book) -> list[str]:
    """What every regime reads: places that a law reads as others, and groups that no rule reads."""
    places = book.tables.places
    by_source: dict[tuple[str, str, str, str], list[str]] = {}
    for one in places.treat_as:
        key = (one.law, one.read_as, one.source, _yes(places.compared.get(one)))
        by_source.setdefault(key, []).append(one.country)
    lines = ["## Places that a law reads as others", "", "| law | places | read as | source | compared |"]
    lines.append("|---|---|---|---|---|")
    lines += [
        _line(law, ", ".join(sorted(countries)), read_as, source, checked)
        for (law, read_as, source, checked), countries in sorted(by_source.items())
    ]
    read = {name for row in book.rows for name in groups_read(book, row)}
    idle = sorted(places.groups.keys() - read)
    if idle:
        lines += [
            "",
            "## Groups that no rule reads",
            "",
            *_TABLE_HEAD,
        ]
        lines += [_group_line(book, name) for name in idle]
    return lines


def _readings() -> list[str]:
    """What stands in no file of a book: the clauses of the words, in the order of the vocabulary."""
    lines = ["## What the engine itself takes from the law", "", "| words | what | source | compared |"]
    lines.append("|---|---|---|---|")
    by_clause: dict[Clause, list[str]] = {}
    for word in VOCABULARY.values():
        if word.clause != HOUSE:
            by_clause.setdefault(word.clause, []).append(f"`{word.name}`")
    lines += [
        _line(", ".join(words), clause.what, clause.source, _yes(clause.checked)) for clause, words in by_clause.items()
    ]
    return lines


def gaps_of(text: str) -> dict[str, tuple[str, ...]]:
    """What is not encoded, by regime. Raises `ValueError` with the line that is at fault."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("## "):
            name = line.removeprefix("## ").strip()
            if name not in (*RULED, OTHER_LAWS):
                raise ValueError(f"{NOT_ENCODED}:{number}: `{name}` is not a regime: write one of {', '.join(RULED)}")
            current = found.setdefault(name, [])
        elif line.startswith("- ") and current is not None:
            current.append(line.removeprefix("- ").strip())
        elif line.strip() and current is not None:
            raise ValueError(f"{NOT_ENCODED}:{number}: write every gap in one line that begins with `- `")
    bare = next((name for name in (*RULED, OTHER_LAWS) if not found.get(name)), None)
    if bare is not None:
        raise ValueError(f"{NOT_ENCODED}:1: `{bare}` has no entry: say what is left out, or that nothing is")
    return {name: tuple(gaps) for name, gaps in found.items()}


def questions_of(handbook: str) -> tuple[str, ...]:
    """The table of open questions of the handbook. Raises `ValueError` where there is none."""
    _, heading, rest = handbook.partition(_QUESTIONS)
    lines: list[str] = []
    for line in rest.splitlines():
        if line.startswith("|"):
            lines.append(line.replace("](../docs/", "]("))
        elif lines:
            break
    if not heading or len(lines) < 3:
        raise ValueError(f"{HANDBOOK}:1: there is no table under `{_QUESTIONS}`: put the open questions there")
    return tuple(lines)


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _yes(checked: bool | None) -> str:
    return "yes" if checked else "no"
