"""The whole book: from the bytes of its files to a rule book, or every fault with file, line and column, sorted.

A book is a folder with `model.conf`, `catalogue.yaml`, `country_groups.yaml`, `parameters.yaml`, `settings.yaml` and
one `rules/<regime>.csv` for each regime, and beside them it may have a `CHANGELOG.csv`. It is read whole or not at all:
nothing of a book with a fault is used. A regime that the book is to be without is named in the settings (`without`):
a file that is missing, or that was saved under another name, would leave out every bar of its regime in silence. A list
of parties that a rule or a table names is declared (`lists` of the parameters), or it would bar nobody in silence. For
the same reason the folder has nothing but the files of a book, the folders `rules`, `cases` and `demo`, texts for
people (`*.md`) and what is hidden (`.*`).

The fingerprint is SHA-256 over the canonical content: the rows sorted by id without their lines, the matcher, the
tables, the settings and the names of the words used. Sorting a file, comments and white space between things leave it
as it is, and so does the changelog; whatever can change an answer or a text that is shown changes it.

Limits: `LARGEST_FILE` bytes for a rule file, `LARGEST_DOCUMENT` for one of the others, `LARGEST_BOOK` for all of them,
and `MOST_ROWS` rules in all the files.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec

from policy_engine.domain.rules import Book, BookSettings, Condition, Enforcement, Row, Tables
from policy_engine.formats.documents import Node, parse_document
from policy_engine.formats.faults import Fault, FaultsError, Findings, one_of, quoted
from policy_engine.policy.catalogue_file import CatalogueReader
from policy_engine.policy.changelog import CHANGELOG, read_changelog
from policy_engine.policy.conditions import hint, parse_condition
from policy_engine.policy.csv_reader import LARGEST_FILE
from policy_engine.policy.model import read_matcher
from policy_engine.policy.names import RULED, group_names, names_of
from policy_engine.policy.rule_files import FOLDER, SUFFIX, Progress, RuleRows, read_rules
from policy_engine.policy.tables import (
    EnforcementSetting,
    read_parameters,
    read_places,
    read_settings,
)

__all__ = ["CHANGELOG", "fingerprint_of", "gather", "parse_condition", "read_book", "read_folder"]

MODEL: Final = "model.conf"
CATALOGUE: Final = "catalogue.yaml"
COUNTRY_GROUPS: Final = "country_groups.yaml"
PARAMETERS: Final = "parameters.yaml"
SETTINGS: Final = "settings.yaml"
SINGLE_FILES: Final = (MODEL, CATALOGUE, COUNTRY_GROUPS, PARAMETERS, SETTINGS)

LARGEST_DOCUMENT: Final = 4 * 1024 * 1024
LARGEST_BOOK: Final = 128 * 1024 * 1024

EXTRA_CATALOGUE: Final = "extra catalogue"
OPERATOR: Final = "operator settings"

_NO_CHANGES: Final[Mapping[str, str]] = MappingProxyType({})
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def read_book(
    files: Mapping[str, bytes],
    *,
    enforcement: Mapping[str, str] = _NO_CHANGES,
    extra_catalogue: Node | None = None,
    progress: Progress | None = None,
    archived: bool = False,
) -> Book:
    """The book in files by their names relative to its folder.

    `enforcement` overrides that of rows by id, and what the settings file says; `extra_catalogue` has entries that
    replace or add to those of the catalogue file; `progress` is told how many rows of how many are read; `archived`
    says that the book was accepted once, when it could leave out regimes without naming them and name lists without
    declaring them. Raises `FaultsError` with every fault of all the files, the changelog included.
    """
    if enforcement or extra_catalogue is not None or progress is not None:
        reader = BookReader(files, archived=archived)
        return reader.book(enforcement=enforcement, extra_catalogue=extra_catalogue, progress=progress)
    return _read_last(files, archived=archived)


_KEPT: Final = 8
_last: Final[dict[tuple[bytes, bool], Book]] = {}
"""The books that were read last, by the digest of their files and whether they were read as archived ones: a first book
is read from its folder and then from the archive, and both are the same bytes."""
_last_lock: Final = threading.Lock()


def _read_last(files: Mapping[str, bytes], *, archived: bool) -> Book:
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{len(name)} {len(files[name])} {name}".encode())
        digest.update(files[name])
    key = (digest.digest(), archived)
    with _last_lock:
        # Where the strict reading finds no fault, the lenient one finds the same book.
        held = _last.get(key) or (_last.get((digest.digest(), False)) if archived else None)
    if held is not None:
        return held
    book = BookReader(files, archived=archived).book()
    with _last_lock:
        while len(_last) >= _KEPT:
            del _last[next(iter(_last))]
        _last[key] = book
    return book


class BookReader:
    """Files of which several books are read that differ in their enforcement, or in entries of the catalogue: what
    they have in common is read once."""

    def __init__(self, files: Mapping[str, bytes], *, archived: bool = False) -> None:
        self._files: Final = files
        self._archived: Final = archived
        self._faults: Final[list[Fault]] = []
        faults = self._faults
        read_changelog(files.get(CHANGELOG), faults)
        self._rule_files: Final = _sorted_out(files, faults)
        self._matcher: Final = read_matcher(files.get(MODEL, b""), _findings(MODEL, files, faults))
        self._catalogue: Final = _document(CATALOGUE, files, faults)
        places = _document(COUNTRY_GROUPS, files, faults)
        self._places: Final = read_places(places, _findings(COUNTRY_GROUPS, files, faults))
        self._groups: Final = None if places is None else group_names(self._places)
        self._parameters: Final = _document(PARAMETERS, files, faults)
        settings = _document(SETTINGS, files, faults)
        self._settings, self._filed, without = read_settings(settings, _findings(SETTINGS, files, faults))
        if not archived and not any(fault.source == SETTINGS for fault in faults) and SETTINGS in files:
            _refuse_missing(self._rule_files, without, faults)
        self._plain: tuple[Tables, RuleRows, tuple[Fault, ...]] | None = None

    def book_for(self, enforcement: Mapping[str, str], catalogue: Node | None) -> Book:
        """The book with what a worked example says of it: enforcement by rule, and entries of the catalogue."""
        return self.book(enforcement=enforcement, extra_catalogue=catalogue)

    def book(
        self,
        *,
        enforcement: Mapping[str, str] = _NO_CHANGES,
        extra_catalogue: Node | None = None,
        progress: Progress | None = None,
    ) -> Book:
        """As `read_book`."""
        if extra_catalogue is not None:
            tables, rules, found = self._ruled(extra_catalogue, progress)
        else:
            tables, rules, found = self._plain = self._plain or self._ruled(None, progress)
        faults = [*self._faults, *found]
        rows = _enforced(rules.rows, rules.ids, self._filed, enforcement, faults)
        if faults:
            raise FaultsError(faults)
        ordered = tuple(sorted(rows, key=lambda row: row.id))
        return Book(
            rows=ordered,
            tables=tables,
            settings=self._settings,
            matcher=self._matcher,
            fingerprint=fingerprint_of(ordered, tables, self._settings, self._matcher),
        )

    def _ruled(self, extra: Node | None, progress: Progress | None) -> tuple[Tables, RuleRows, tuple[Fault, ...]]:
        """The tables and the rules with entries added to the catalogue, and the faults of both."""
        files, faults = self._files, list[Fault]()
        catalogues = CatalogueReader()
        catalogues.add(self._catalogue, _findings(CATALOGUE, files, faults))
        if extra is not None:
            catalogues.add(extra, Findings(source=EXTRA_CATALOGUE, faults=faults))
        tables = read_parameters(
            self._parameters,
            _findings(PARAMETERS, files, faults),
            catalogue=catalogues.catalogue(),
            places=self._places,
            groups=self._groups,
            archived=self._archived,
        )
        names = names_of(
            tables,
            self._groups,
            catalogue=self._catalogue is not None,
            parameters=self._parameters is not None,
            archived=self._archived,
        )
        return tables, read_rules(self._rule_files, names, faults, progress), tuple(faults)


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a book by their names relative to its folder.

    Raises `FaultsError` when there is no such folder, a file cannot be read or is too large, a link leads out of the
    folder, or something stands in it that nothing reads.
    """
    faults: list[Fault] = []
    files = gather(folder, faults)
    if faults:
        raise FaultsError(faults)
    return files


def gather(folder: Path, faults: list[Fault]) -> dict[str, bytes]:
    """As `read_folder`, with the faults added to a list; a file that cannot be read stands there without content."""
    root = folder.resolve()
    if not root.is_dir():
        message = "there is no such folder"
        Findings(source=str(folder), faults=faults).add(1, 1, message, "name the folder of a rule book")
        return {}
    _refuse_strays(folder, faults)
    rules = folder / FOLDER
    # A rule file whose name is spelt another way is read too, so that it is refused and not passed over.
    found = sorted(path for path in rules.iterdir() if _is_rule_file(path.name)) if rules.is_dir() else []
    single = [folder / name for name in (*SINGLE_FILES, CHANGELOG) if (folder / name).exists()]
    paths = {path.relative_to(folder).as_posix(): path for path in (*single, *found)}
    remedy = f"a book has at most {LARGEST_BOOK:,} bytes, a rule file {LARGEST_FILE:,}"
    largest = {name: LARGEST_FILE if name.endswith(SUFFIX) else LARGEST_DOCUMENT for name in paths}
    return read_files(paths, root, faults, room=LARGEST_BOOK, largest=largest, remedy=remedy)


def read_files(
    paths: Mapping[str, Path],
    root: Path,
    faults: list[Fault],
    *,
    room: int,
    largest: Mapping[str, int] = MappingProxyType({}),
    remedy: str,
) -> dict[str, bytes]:
    """The content of files by name, as long as there is room; one that cannot be read is a fault, and has none.

    `root` is the folder, resolved, out of which no link may lead, `largest` the bytes that single files may have, and
    `remedy` is for one that is too large.
    """
    files = dict.fromkeys(paths, b"")
    for name, path in paths.items():
        place = Findings(source=name, faults=faults)
        try:
            if not path.resolve().is_relative_to(root):
                place.add(1, 1, "the file is a link that leads out of the folder", "put the file itself there")
                continue
            size, most = path.stat().st_size, min(room, largest.get(name, room))
            if size > most:
                place.add(1, 1, f"the file has {size:,} bytes and there is room for {most:,}", remedy)
                continue
            room -= size
            files[name] = path.read_bytes()
        except (OSError, RuntimeError) as error:
            reason = (getattr(error, "strerror", None) or "the link leads nowhere").lower()
            place.add(1, 1, f"the file cannot be read: {reason}", "put a file there that the engine may read")
    return files


def _for_people(name: str, *, is_file: bool) -> bool:
    """Whether a text for people, or something hidden, is meant, which may stand everywhere and is not read."""
    last = name.rpartition("/")[2]
    return last.startswith(".") or (is_file and last.lower().endswith(".md"))


def refuse_strays(folder: Path, faults: list[Fault], read: Callable[[str], bool], remedy: Callable[[str], str]) -> None:
    """A fault for everything in a folder that `read` does not say is read, by its name, with the remedy for the name.

    Texts for people (`*.md`) and what is hidden (`.*`) may stand everywhere.
    """
    for path in sorted(folder.iterdir()):
        name = path.name
        if _for_people(name, is_file=path.is_file()) or read(name):
            continue
        what = "folder" if path.is_dir() else "file"
        message = f"nothing reads the {what} {quoted(name)}"
        Findings(source=f"{folder.name}/{name}", faults=faults).add(1, 1, message, remedy(name))


def _refuse_strays(folder: Path, faults: list[Fault]) -> None:
    single = (*SINGLE_FILES, CHANGELOG)
    known = {*single, *_FOLDERS}

    def remedy(name: str) -> str:
        meant = next((one for one in single if name.lower().startswith(one.partition(".")[0].lower())), None)
        return f"save it as {quoted(meant)}, or {_ELSEWHERE}" if meant is not None else _ELSEWHERE

    refuse_strays(folder, faults, known.__contains__, remedy)
    rules = folder / FOLDER
    if rules.is_dir():
        refuse_strays(rules, faults, _is_rule_file, _rule_file_remedy)
    refuse_stray_cases(folder / _CASES, faults)


def refuse_stray_cases(folder: Path, faults: list[Fault], *, of_book: bool = True) -> None:
    """A fault for everything in a folder of worked examples, where there is one, that is no case file by its name.

    In a folder that is not the book's own, other things may stand; a case file under another ending may not.
    """

    def remedy(name: str) -> str:
        return f"save it as {quoted(name.partition('.')[0] + CASE_SUFFIX)}, or take it out of the folder"

    def passed(name: str) -> bool:
        is_case = name.endswith(CASE_SUFFIX) and not (folder / name).is_dir()
        return is_case or not (of_book or {".yaml", ".yml"}.intersection(Path(name.lower()).suffixes))

    if folder.is_dir():
        refuse_strays(folder, faults, passed, remedy)


def _rule_file_remedy(name: str) -> str:
    regime = next((one for one in RULED if name.lower().startswith(one)), None)
    if regime is None:
        return _ELSEWHERE
    return f"save the sheet as `CSV UTF-8` under {quoted(f'{regime}{SUFFIX}')}, or {_ELSEWHERE}"


CASE_SUFFIX: Final = ".yaml"
_CASES: Final = "cases"
_FOLDERS: Final = ("rules", _CASES, "demo")
_ELSEWHERE: Final = "take it out of the folder of the book"


def _refuse_missing(rule_files: Mapping[str, bytes], without: Collection[str], faults: list[Fault]) -> None:
    # Without any rule file at all there is one fault already.
    for regime in RULED if rule_files else ():
        name = f"{FOLDER}{regime}{SUFFIX}"
        if name not in rule_files and regime not in without:
            message = f"the regime {quoted(regime)} has no file, so that none of its rules would hold"
            remedy = f"put the file there, or write `without: [{regime}]` in {SETTINGS} for a book without that regime"
            Findings(source=name, faults=faults).add(1, 1, message, remedy)


def book_files(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Of the files of a folder those that make up the book; worked examples and notes are kept beside it."""
    return {name: data for name, data in files.items() if name in SINGLE_FILES or name.startswith(FOLDER)}


def _line(*content: object) -> bytes:
    return _ENCODER.encode(content) + b"\n"


def canonical_lines(rows: Iterable[Row]) -> bytes:
    """What the fingerprint of a book has of its rows."""
    lines: list[bytes] = []
    texts: dict[int, str] = {}

    def text(condition: Condition) -> str:
        # Rows share the conditions that are spelt alike, and spelling them out costs more than all the rest.
        held = texts.get(id(condition))
        if held is None:
            held = texts[id(condition)] = condition.text
        return held

    def take(*content: object) -> None:
        lines.append(_line(*content))

    for row in sorted(rows, key=lambda one: one.id):
        take(
            row.id,
            row.regime,
            row.effect,
            row.hold,
            row.judges_host,
            [text(condition) for condition in row.facets],
            text(row.unless),
            [(rule.code, text(rule.condition), rule.on_unknown, rule.beside) for rule in row.codes],
            row.public_code,
            row.obligations,
            row.valid,
            row.suspended,
            row.enforcement,
            row.citation,
            row.message,
            row.public_message,
        )
        if row.messages or row.public_messages:
            take("sentences", row.id, row.messages, row.public_messages)
        if row.checked is not None:
            take("checked", row.id, row.checked)
    return b"".join(lines)


def fingerprint_of(
    rows: tuple[Row, ...], tables: Tables, settings: BookSettings, matcher: str, *, lines: bytes | None = None
) -> str:
    """`sha256:` and 64 hex digits over the canonical content; `lines` are what `canonical_lines` has of these rows,
    where somebody has them already."""
    digest = hashlib.sha256()

    def take(*content: object) -> None:
        digest.update(_line(*content))

    # Only the words that are used: a release with more of them reads the books of before under their own fingerprints.
    take("vocabulary", sorted({word for row in rows for word in row.words}))
    take("matcher", matcher)
    take("settings", settings)
    take("places", tables.places.groups, tables.places.treat_as)
    take("catalogue", tables.catalogue.entries)
    take("ownership", tables.ownership)
    take("operations", tables.operations)
    take("columns", tables.columns)
    take("eccn", tables.eccn_columns)
    take("military", tables.military)
    take("patterns", tables.patterns)
    take("parts", tables.parts)
    # What books of before could not say is not in their fingerprints.
    for name, table in (
        ("programmes", tables.programmes),
        ("requirements", tables.requirements),
        ("sources", tables.sources),
        ("compared", tuple(tables.places.compared.items())),
    ):
        if table:
            take(name, table)
    digest.update(canonical_lines(rows) if lines is None else lines)
    return f"sha256:{digest.hexdigest()}"


def _is_rule_file(name: str) -> bool:
    return name.lower().endswith(SUFFIX) and not name.startswith(".")


def _sorted_out(files: Mapping[str, bytes], faults: list[Fault]) -> dict[str, bytes]:
    """The rule files among the files, once it is clear that nothing is missing and nothing is there for no purpose."""
    rule_files = {}
    for name, data in files.items():
        stem = name.removeprefix(FOLDER).removesuffix(SUFFIX)
        if name == f"{FOLDER}{stem}{SUFFIX}" and "/" not in stem:
            rule_files[name] = data
        elif name not in (*SINGLE_FILES, CHANGELOG) and not _for_people(name, is_file=True):
            message = f"{quoted(name)} is not a file of a rule book"
            remedy = one_of(name, (*SINGLE_FILES, CHANGELOG, f"{FOLDER}<regime>{SUFFIX}"))
            Findings(source=name, faults=faults).add(1, 1, message, remedy)
    for name in SINGLE_FILES:
        if name not in files:
            Findings(source=name, faults=faults).add(1, 1, "the file is missing", "a book has one")
    if not rule_files:
        remedy = f"write {FOLDER}<regime>{SUFFIX}"
        Findings(source=FOLDER, faults=faults).add(1, 1, "there is no rule file, so nothing is granted", remedy)
    return rule_files


def _findings(name: str, files: Mapping[str, bytes], faults: list[Fault]) -> Findings:
    """Where faults of a file go; those that follow from its absence go nowhere, since that is one fault already."""
    return Findings(source=name, faults=faults if name in files else [])


def _document(name: str, files: Mapping[str, bytes], faults: list[Fault]) -> Node | None:
    data = files.get(name)
    return None if data is None else parse_document(data, name, faults, max_bytes=LARGEST_DOCUMENT)


def _enforced(
    rows: tuple[Row, ...],
    ids: frozenset[str] | None,
    filed: tuple[EnforcementSetting, ...],
    chosen: Mapping[str, str],
    faults: list[Fault],
) -> list[Row]:
    """The rows with the enforcement of the settings file, and over that the operator's."""
    changes: dict[str, Enforcement] = {}
    for setting in filed:
        changes[setting.rule] = setting.enforcement
        if ids is not None and setting.rule not in ids:
            message = f"there is no rule {quoted(setting.rule)}"
            Findings(source=SETTINGS, faults=faults).add(
                setting.node.line, setting.node.column, message, hint(setting.rule, ids)
            )
    operator = Findings(source=OPERATOR, faults=faults)
    kinds = {kind.value: kind for kind in Enforcement}
    for rule, enforcement in sorted(chosen.items()):
        if ids is not None and rule not in ids:
            operator.add(1, 1, f"there is no rule {quoted(rule)}", hint(rule, ids))
        if enforcement not in kinds:
            message = f"{quoted(enforcement)} is not an enforcement of {quoted(rule)}"
            operator.add(1, 1, message, one_of(enforcement, tuple(kinds)))
        else:
            changes[rule] = kinds[enforcement]
    return [replace(row, enforcement=changes[row.id]) if row.id in changes else row for row in rows]
