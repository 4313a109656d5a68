"""Rule files: one sheet for each regime, named after it, one rule for each row.

The columns are those of `COLUMNS`, each once and in any order. A row says which regime it is of, and its file has to
agree; an id stands once in all the files, and those that begin with `ENGINE-` are the engine's own. Effects, codes and
yes and no are spelt exactly: a near miss is a fault with a suggestion, never a reading.

A row that could not be explained (no citation, no message) does not load, and neither does one that could not do what
it seems to do:

- a grant that asks nothing, since it would grant everything;
- a parameter that names nothing, since the row would never match;
- `unless` on anything but a bar; something in it that is no note, a note that is itself lifted, or one that reads which
  bars stand, since that is known only afterwards;
- a bar that reads whether its own regime bars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, TypeAlias, TypeVar

from policy_engine.domain.instants import ALWAYS, Validity
from policy_engine.domain.rules import (
    ANYTHING,
    FACETS,
    ROW_WORD,
    CodeRule,
    Condition,
    Effect,
    Enforcement,
    Obligation,
    PublicCode,
    Row,
    Term,
)
from policy_engine.domain.words import READS_BARS
from policy_engine.domain.words.parameters import Named
from policy_engine.formats.faults import Fault, Findings, one_of, quoted
from policy_engine.policy.cells import (
    Parsed,
    parse_codes,
    parse_interval,
    parse_obligations,
    parse_sentences,
    parse_suspensions,
)
from policy_engine.policy.conditions import RULE_ID, UNLESS, ConditionReading, Mistake, read_condition
from policy_engine.policy.csv_reader import MOST_ROWS, Sheet, SheetRow, like_date, like_number, read_sheet
from policy_engine.policy.idle import closed_terms, contrary
from policy_engine.policy.layers import asking_regimes, reached_from
from policy_engine.policy.names import RULED, Names, parameter_problem

COLUMNS: Final = (
    "id",
    "regime",
    "effect",
    "hold",
    "judges",
    *FACETS,
    "unless",
    "codes",
    "public_code",
    "obligations",
    "from",
    "to",
    "suspended",
    "enforcement",
    "citation",
    "message",
    "public_message",
)
"""The columns of a rule file, in the order in which the project writes them."""

OPTIONAL: Final = ("checked",)
"""Columns that a file may leave out, as the books of before did."""

FOLDER: Final = "rules/"
SUFFIX: Final = ".csv"
RESERVED: Final = "ENGINE-"

_MEANT: Final[Mapping[str, Mapping[str, str]]] = {
    "effect": {
        "allow": "permit",
        "grant": "permit",
        "forbid": "deny",
        "block": "deny",
        "bar": "deny",
        "remark": "note",
        "flag": "note",
    },
    "hold": {"true": "yes", "y": "yes", "1": "yes", "false": "no", "n": "no", "0": "no"},
    "checked": {"true": "yes", "y": "yes", "1": "yes", "false": "no", "n": "no", "0": "no"},
}
_HOLD: Final = {"": False, "no": False, "yes": True}
_JUDGES: Final = {"": False, "parties": False, "parties and host": True}
_CHECKED: Final[Mapping[str, bool | None]] = {"": None, "no": False, "yes": True}
_ENFORCEMENT: Final = {"": Enforcement.ENFORCED, **{kind.value: kind for kind in Enforcement}}
_EFFECTS: Final = {kind.value: kind for kind in Effect}
# What is no request was never judged by a rule.
_PUBLIC_CODES: Final = {kind.value: kind for kind in PublicCode if kind is not PublicCode.INVALID_REQUEST}
_TOLD_EVERY: Final = 1_000
_NOTHING: Final = ConditionReading(condition=ANYTHING, terms=(), mistakes=())

Progress: TypeAlias = Callable[[int, int], None]
"""Is told how much of how much is done."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRows:
    """The rows of every file; `ids` is `None` when there are rows of which not even the id could be read."""

    rows: tuple[Row, ...]
    ids: frozenset[str] | None


def read_rules(
    files: Mapping[str, bytes], names: Names, faults: list[Fault], progress: Progress | None = None
) -> RuleRows:
    """The rows of the rule files, by name of the file; what is wrong is added to `faults`.

    `progress` is told now and then how many rows of how many are read. Raises nothing of its own.
    """
    rule_files: list[_RuleFile | None] = []
    room = MOST_ROWS
    for name in sorted(files):
        rule_files.append(_open(name, files[name], faults, room))
        room -= sum(len(one.sheet.records) for one in rule_files[-1:] if one is not None)
    opened = [one for one in rule_files if one is not None]
    held: dict[str, str] = {}
    ids = set()
    for one in opened:
        for record in one.sheet.records:
            rule_id = record.cells[one.columns["id"]]
            ids.add(rule_id)
            first = held.setdefault(rule_id.upper(), f"{one.findings.source}, line {record.line}")
            if first != f"{one.findings.source}, line {record.line}":
                message = f"duplicate id {quoted(rule_id)}: it is in {first} already"
                one.add(record, "id", message, "a rule has one id for life: give the new one another")
    complete = len(opened) == len(rule_files) and all(one.sheet.complete for one in opened)
    known = frozenset(ids) if complete else None
    readers = _Cells(names if known is None else replace(names, known={**names.known, Named.RULE: known}))
    drafts = list(_drafts(opened, readers, progress))
    by_id = {draft.row.id: draft for draft in drafts}
    asking = asking_regimes(draft.row for draft in drafts)
    for draft in drafts:
        _check_lifting(draft, by_id)
        _check_circle(draft, asking)
    return RuleRows(rows=tuple(draft.row for draft in drafts), ids=known)


def _drafts(opened: list[_RuleFile], readers: _Cells, progress: Progress | None) -> Iterator[_Draft]:
    """The rows as far as they can be read, up to the row at which there are too many faults to go on."""
    total = sum(len(one.sheet.records) for one in opened)
    done = 0
    for one in opened:
        for record in one.sheet.records:
            draft = one.read(record, readers)
            if draft is not None:
                yield draft
            done += 1
            if progress is not None and (done % _TOLD_EVERY == 0 or done == total):
                progress(done, total)
            if one.findings.full:
                return


def _open(name: str, data: bytes, faults: list[Fault], room: int) -> _RuleFile | None:
    findings = Findings(source=name, faults=faults)
    regime = name.removeprefix(FOLDER).removesuffix(SUFFIX)
    if regime not in RULED:
        findings.add(1, 1, f"{quoted(regime)} is not a regime", f"name the file after one: {one_of(regime, RULED)}")
    sheet = read_sheet(data, findings, most_rows=room)
    if sheet is None:
        return None
    columns = sheet.columns(findings, "a rule file", COLUMNS, OPTIONAL)
    if columns is None:
        return None
    if not sheet.records and not any(fault.source == name for fault in faults):
        findings.add(sheet.header.line, 1, "the file has no rules", "write rules, or take the file away")
    return _RuleFile(regime=regime, sheet=sheet, columns=columns, findings=findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A row with the place that it comes from; `asks` are its words about which bars stand, by column and offset."""

    row: Row
    file: _RuleFile
    record: SheetRow
    unless: ConditionReading
    asks: tuple[tuple[str, int, Term], ...]


class _Cells:
    """Reads cells, each text once: files have few different ones."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.condition = cache(self._condition)
        self.codes = cache(self._codes)
        self.obligations = cache(parse_obligations)
        self.suspensions = cache(parse_suspensions)
        self.instant = cache(lambda begin: parse_interval(begin, ""))
        """An instant as the beginning of an interval."""

    def _condition(self, text: str, column: str) -> ConditionReading:
        """A condition whose parameters name something, or with the mistakes that say which do not."""
        reading = read_condition(text, column)
        return replace(reading, mistakes=(*reading.mistakes, *self._unnamed(reading)))

    def _codes(self, text: str) -> Parsed[tuple[CodeRule, ...]]:
        parsed = parse_codes(text)
        unnamed = [mistake for reading in parsed.conditions for mistake in self._unnamed(reading)]
        return replace(parsed, mistakes=(*parsed.mistakes, *unnamed))

    def _unnamed(self, reading: ConditionReading) -> Iterator[Mistake]:
        if reading.mistakes:
            return
        for offset, term in reading.terms:
            problem = parameter_problem(term, self._names)
            if problem is not None:
                yield Mistake(offset=offset, message=problem.message, remedy=problem.remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class _RuleFile:
    """An open rule file, with its columns in the order of the header."""

    regime: str
    sheet: Sheet
    columns: dict[str, int]
    findings: Findings

    def add(self, record: SheetRow, column: str, message: str, remedy: str, offset: int = 0) -> None:
        """Note a fault at a cell."""
        told = f"in `{column}`: {message}"
        self.sheet.note(self.findings, record, self.columns[column], told, remedy, offset=offset)

    def read(self, record: SheetRow, cells: _Cells) -> _Draft | None:
        """The row in a record; what is wrong is noted, and the row is `None` when it is not even clear what it does."""
        if record.cells == self.sheet.header.cells:
            self.add(record, "id", "duplicate header line", "take it out")
            return None
        text = dict(zip(self.columns, record.cells, strict=True))
        self._check_identity(record, text)
        effect = self._one_of(record, text, "effect", _EFFECTS)
        hold = self._one_of(record, text, "hold", _HOLD) is True
        facets = [self._condition(record, text, facet, cells) for facet in FACETS]
        unless = self._condition(record, text, UNLESS, cells)
        codes = self._parsed(record, "codes", cells.codes(text["codes"]))
        obligations = self._parsed(record, "obligations", cells.obligations(text["obligations"]))
        suspended = self._parsed(record, "suspended", cells.suspensions(text["suspended"]))
        public_code = self._one_of(record, text, "public_code", _PUBLIC_CODES)
        for column in ("citation", "message", "public_message"):
            if not text[column]:
                self.add(record, column, "the cell is empty", "a rule that cannot be explained does not load")
            elif like_number(text[column]) or like_date(text[column]):
                message = f"{quoted(text[column])} is a number or a date, and explains nothing"
                self.add(record, column, message, "write the sentence; a spreadsheet may have replaced it")
        self._check_obligations(record, obligations, codes)
        judges_host = self._one_of(record, text, "judges", _JUDGES) is True
        enforcement = self._one_of(record, text, "enforcement", _ENFORCEMENT) or Enforcement.ENFORCED
        checked = self._one_of(record, text, "checked", _CHECKED) if "checked" in text else None
        given = tuple(dict.fromkeys(rule.code for rule in codes))
        told = self._parsed(record, "message", parse_sentences(text["message"], given))
        told_publicly = self._parsed(record, "public_message", parse_sentences(text["public_message"], given))
        valid = self._validity(record, text, cells)
        if effect is None:
            return None
        row = Row(
            id=text["id"],
            regime=text["regime"],
            effect=effect,
            hold=hold,
            judges_host=judges_host,
            facets=tuple(reading.condition for reading in facets),
            unless=unless.condition,
            codes=codes,
            public_code=public_code or PublicCode.UNDER_REVIEW,
            obligations=obligations,
            valid=valid,
            suspended=suspended,
            enforcement=enforcement,
            citation=text["citation"],
            message=told.otherwise,
            public_message=told_publicly.otherwise,
            messages=told.of_codes,
            public_messages=told_publicly.of_codes,
            checked=checked,
            line=record.line,
        )
        self._check_effect(record, row, public_code)
        code_conditions = cells.codes(text["codes"]).conditions
        columns = [
            *zip((*FACETS, UNLESS), (*facets, unless), strict=True),
            *(("codes", one) for one in code_conditions),
        ]
        asks = tuple(
            (column, offset, term)
            for column, reading in columns
            for offset, term in reading.terms
            if term.word in READS_BARS
        )
        return _Draft(row=row, file=self, record=record, unless=unless, asks=asks)

    def _check_identity(self, record: SheetRow, text: Mapping[str, str]) -> None:
        rule_id = text["id"]
        if like_number(rule_id) or like_date(rule_id):
            message = f"{quoted(rule_id)} is a number or a date to a spreadsheet, which may rewrite it"
            self.add(record, "id", message, "write an id that has a word in it")
        elif not RULE_ID.fullmatch(rule_id):
            message = f"{quoted(rule_id)} is not an id" if rule_id else "the cell is empty"
            remedy = "write capital letters, digits, dots and hyphens"
            meant = "-".join(rule_id.upper().replace("_", " ").split())
            near = RULE_ID.fullmatch(meant)
            self.add(record, "id", message, remedy if near is None else f"did you mean {quoted(meant)}? {remedy}")
        elif rule_id.startswith(RESERVED):
            self.add(record, "id", f"{quoted(rule_id)} is one of the engine's own ids", "choose another beginning")
        if text["regime"] != self.regime and self.regime in RULED:
            message = f"{quoted(text['regime'])} is not the regime of this file"
            self.add(record, "regime", message, f"write `{self.regime}`, or move the row to the file of its regime")

    def _one_of(self, record: SheetRow, text: Mapping[str, str], column: str, kinds: Mapping[str, T]) -> T | None:
        written = text[column]
        if written in kinds:
            return kinds[written]
        choices = tuple(kind for kind in kinds if kind)
        meant = _MEANT.get(column, {}).get(written.lower())
        remedy = (
            one_of(written, choices) if meant is None else f"did you mean `{meant}`? write one of {', '.join(choices)}"
        )
        self.add(record, column, f"{quoted(written)} is not known" if written else "the cell is empty", remedy)
        return None

    def _condition(self, record: SheetRow, text: Mapping[str, str], column: str, cells: _Cells) -> ConditionReading:
        if not text[column]:
            return _NOTHING
        reading = cells.condition(text[column], column)
        for mistake in reading.mistakes:
            self.add(record, column, mistake.message, mistake.remedy, mistake.offset)
        return reading

    def _parsed(self, record: SheetRow, column: str, parsed: Parsed[T]) -> T:
        for mistake in parsed.mistakes:
            self.add(record, column, mistake.message, mistake.remedy, mistake.offset)
        return parsed.value

    def _validity(self, record: SheetRow, text: Mapping[str, str], cells: _Cells) -> Validity:
        if not text["from"] and not text["to"]:
            return ALWAYS
        start = self._parsed(record, "from", cells.instant(text["from"])).start
        end = self._parsed(record, "to", cells.instant(text["to"])).start
        if start is not None and end is not None and end <= start:
            message = f"the end {quoted(text['to'])} is not after the beginning {quoted(text['from'])}"
            self.add(record, "to", message, "a rule is in force from the one until just before the other")
        return Validity(start=start, end=end)

    def _check_obligations(
        self, record: SheetRow, obligations: tuple[Obligation, ...], codes: tuple[CodeRule, ...]
    ) -> None:
        given = {rule.code for rule in codes}
        for obligation in obligations:
            for code in obligation.codes:
                if code not in given:
                    message = f"the obligation {quoted(obligation.id)} is for {quoted(code)}, which the row never gives"
                    self.add(record, "obligations", message, "name codes of the column `codes`")

    def _check_effect(self, record: SheetRow, row: Row, public_code: PublicCode | None) -> None:
        is_bar = row.effect is Effect.DENY
        if public_code is not None and is_bar == (public_code is PublicCode.ALLOWED):
            remedy = "write another code" if is_bar else "write `ALLOWED`"
            self.add(record, "public_code", f"`{public_code}` does not go with `{row.effect}`", remedy)
        if not is_bar and row.unless.alternatives:
            self.add(
                record, "unless", f"a `{row.effect}` cannot be lifted", "only a `deny` has `unless`: empty the cell"
            )
        if not is_bar and row.hold:
            self.add(record, "hold", f"a `{row.effect}` opens no review", "only a `deny` holds: write `no`")
        if row.effect is Effect.PERMIT and all(map(_asks_nothing, row.facets)):
            self.add(
                record, "effect", "the row asks nothing, so it grants everything", "say what it grants, and to whom"
            )


def _asks_nothing(facet: Condition) -> bool:
    """Whether the facet holds for everybody: empty, or with a closed word and its contrary as ways of their own."""
    alone = (way[0] for way in facet.alternatives if len(way) == 1)
    return not facet.alternatives or contrary(closed_terms(alone))


def _check_circle(draft: _Draft, asking: Mapping[str, frozenset[str]]) -> None:
    """A bar that asks about bars that, themselves or through others, ask about those of its own regime is a fault."""
    if draft.row.effect is not Effect.DENY:
        return
    own = draft.row.regime
    for column, offset, term in draft.asks:
        for regime in term.parameter.split(","):
            if regime == own:
                message, remedy = f"a bar of `{own}` asks whether `{own}` bars", "name other regimes"
            elif own in reached_from(regime, asking):
                message = f"bars of `{own}` ask whether `{regime}` bars, and `{regime}` in turn asks about `{own}`"
                remedy = "neither can be judged first: have only the one ask about the other"
            else:
                continue
            draft.file.add(draft.record, column, message, remedy, offset)


def _check_lifting(draft: _Draft, by_id: Mapping[str, _Draft]) -> None:
    for offset, term in draft.unless.terms:
        lifter = by_id.get(term.parameter) if term.word == ROW_WORD else None
        if lifter is None:
            continue
        name = quoted(term.parameter)
        if lifter.row.effect is not Effect.NOTE:
            message, remedy = f"{name} is a `{lifter.row.effect}`", "what lifts is a row of effect `note`"
        elif lifter.row.unless.alternatives:
            message, remedy = f"{name} has an `unless` of its own", "what lifts is never lifted itself"
        elif lifter.asks:
            message, remedy = f"{name} reads which bars stand", "what lifts is judged before the bars"
        else:
            continue
        draft.file.add(draft.record, "unless", message, remedy, offset)
