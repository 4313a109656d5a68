"""What a book has of the law, with the source of each row and table and whether it was compared with that.

The page is made of the book and of two texts beside it: what is not encoded (`not-encoded.md`), and the open questions
of its handbook. Nothing on it is written by hand, so that it is true as long as it is what the command prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from policy_engine.domain.rules import ROW_WORD, Book, Condition, Effect, Enforcement, Row, Term
from policy_engine.policy.names import RULED

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
class EngineReading:
    """What the engine itself takes from the law, in the code of words: which words, what, from where, and whether it
    was compared with that."""

    words: tuple[str, ...]
    what: str
    source: str
    checked: bool


ENGINE_READINGS: Final = (
    EngineReading(
        words=("foreign-person", "us-person"),
        what="a US person is a citizen, a national, a lawful permanent resident, or one admitted or granted as 8 USC"
        " 1324b(a)(3) says; everybody else is a foreign person",
        source="15 CFR 772.1; 22 CFR 120.62, 120.63; 8 USC 1324b(a)(3)",
        checked=False,
    ),
    EngineReading(
        words=("deemed-covered", "deemed-known", "deemed-in", "deemed-within"),
        what="a release is deemed to go to the most recent country of citizenship or permanent residency; one to an"
        " organisation to where it is incorporated",
        source="15 CFR 734.13(b), 734.14(b)",
        checked=True,
    ),
    EngineReading(
        words=("itar-national", "itar-within"),
        what="every citizenship ever held counts, and every permanent residency held now",
        source="22 CFR 120.50(b)",
        checked=True,
    ),
    EngineReading(
        words=("foreign-organisation", "receives-abroad"),
        what="the territories of the United States are part of it",
        source="15 CFR 772.1; 22 CFR 120.60",
        checked=True,
    ),
    EngineReading(
        words=("owned", "owned-unresolved", "owned-minority", "captured-under"),
        what="shares of listed owners add up, and go down through every company that is captured; ownership and not"
        " control",
        source="31 CFR 587.406; OFAC FAQ 398 to 401; 90 FR 47201",
        checked=True,
    ),
    EngineReading(
        words=("holds", "holds-or-host", "organisation-holds"),
        what="an authorisation covers the persons, nationals and purposes that it names, and a licence the employees of"
        " its holder",
        source="15 CFR 750.7(a)",
        checked=True,
    ),
    EngineReading(
        words=("operations-reach", "operations-below", "operations-excluded"),
        what="of several generators the one with the most training operations counts; a derivative of published weights"
        " that adds little is left out",
        source="ECCN 4E091, technical notes",
        checked=True,
    ),
    EngineReading(
        words=("military",),
        what="a listed military end user, or a stated military end use, by items and countries",
        source="15 CFR 744.21",
        checked=False,
    ),
    EngineReading(
        words=("parent-headquartered-in", "ultimate-parent-in"),
        what="the ultimate parent is found upwards through whoever holds more than half",
        source="15 CFR 740.27, 772.1",
        checked=False,
    ),
)
"""The readings of law that stand in no file of a book."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """How many of a kind were compared with their source, of how many."""

    kind: str
    compared: int
    total: int

    @property
    def text(self) -> str:
        return f"{self.compared} of {self.total} {self.kind}"


def counts(book: Book) -> tuple[Checked, ...]:
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


def _counted(kind: str, compared: Iterable[bool]) -> Checked:
    found = list(compared)
    return Checked(kind=kind, compared=sum(found), total=len(found))


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


def terms_of(row: Row) -> tuple[Term, ...]:
    """Every term of the row's conditions, of what lifts it and of its codes."""
    conditions: tuple[Condition, ...] = (*row.facets, row.unless, *(code.condition for code in row.codes))
    return tuple(term for condition in conditions for term in condition.terms)


def groups_read(book: Book, row: Row) -> frozenset[str]:
    """The country groups that the row reads, itself or through a table of the parameters."""
    tables, found = book.tables, set[str]()
    for term in terms_of(row):
        found.update(_tokens(term.parameter))
        for entry in _entries_of(book, term):
            kind, _, name = entry.partition("/")
            if kind == "ownership":
                rule = tables.ownership[name]
                found.update(one for one in (rule.headquartered_in, rule.headquartered_outside) if one is not None)
            elif kind == "columns":
                found.update(tables.columns[name].covers)
            elif kind == "military":
                found.update(tables.military[name].any_item_countries)
                found.update(tables.military[name].supplement_countries)
        if term.word in _BY_VENDOR:
            found.update(name for name in tables.places.groups if name.startswith("VENDOR:"))
    return frozenset(found & tables.places.groups.keys())


_BY_VENDOR: Final = frozenset({"unsupported-place", "vendor-has-place-list"})
_BY_COLUMNS: Final = frozenset({"deemed-covered", "column-destination", "eccn-on-file"})
_TABLE_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "owned": "ownership",
        "owned-unresolved": "ownership",
        "owned-minority": "ownership",
        "operations-reach": "operations",
        "operations-below": "operations",
        "operations-excluded": "operations",
        "military": "military",
        "pattern": "patterns",
        "in-part": "parts",
        "unsupported-place": "parts",
    }
)


def _tokens(parameter: str) -> frozenset[str]:
    return frozenset(one for one in parameter.split(",") if ":" in one)


def _entries_of(book: Book, term: Term) -> tuple[str, ...]:
    """The entries of the parameters that a term reads."""
    if term.word == "captured-under":
        return (f"ownership/{term.parameter.partition('=')[2]}",)
    if term.word == "listed-reaching":
        return tuple(f"requirements/{one.text}" for one in book.tables.requirements.values())
    if term.word in _BY_COLUMNS:
        return (
            *(f"columns/{name}" for name in book.tables.columns),
            *(f"eccn/{name}" for name in book.tables.eccn_columns),
        )
    table = _TABLE_OF.get(term.word)
    return () if table is None else (f"{table}/{term.parameter.partition(',')[0]}",)


def entries_read(book: Book, row: Row) -> frozenset[str]:
    """The entries of the parameters that the row reads, as `table/entry`."""
    return frozenset(entry for term in terms_of(row) for entry in _entries_of(book, term))


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
            "| table | what it is | source | compared |",
            "|---|---|---|---|",
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
            "| table | what it is | source | compared |",
            "|---|---|---|---|",
        ]
        lines += [_group_line(book, name) for name in idle]
    return lines


def _readings() -> list[str]:
    lines = ["## What the engine itself takes from the law", "", "| words | what | source | compared |"]
    lines.append("|---|---|---|---|")
    lines += [
        _line(", ".join(f"`{word}`" for word in one.words), one.what, one.source, _yes(one.checked))
        for one in ENGINE_READINGS
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
                raise ValueError(f"{NOT_ENCODED}:{number}: `{name}` is no regime: write one of {', '.join(RULED)}")
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
