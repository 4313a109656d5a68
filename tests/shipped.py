"""The shipped book and the worked examples, read when a test asks for them: reading takes longer than most tests.

Tests import these names from `tests.conftest`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, overload

import pytest

from policy_engine.domain.rules import Book
from policy_engine.formats.documents import Node
from policy_engine.policy.cases import Case, read_case_files
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import BookReader, read_folder
from tests.conftest import POLICIES, ROOT

FILES: Final = read_folder(POLICIES)


CASE_FILES: Final = tuple(
    path
    for folder in (POLICIES / "cases", ROOT.parent / "shared" / "cases")
    if folder.is_dir()
    for path in sorted(folder.glob("*.yaml"))
)
"""The project's own worked examples, and those beside the checkout where they are present."""
_ID: Final = re.compile(r"^- id: (\S+)$", re.MULTILINE)


@cache
def cases_in(path: Path) -> dict[str, Case]:
    """The worked examples of one file, by their ids."""
    return {case.id: case for case in read_case_files({path.name: path.read_bytes()})}


class _Cases(Sequence[Case]):
    """Every worked example, each file read when an example of it is asked for. `ids` reads none: a test is collected
    without its example."""

    def __init__(self) -> None:
        self._files = {name: path for path in CASE_FILES for name in _ID.findall(path.read_text(encoding="utf-8"))}
        self.ids = tuple(self._files)

    def named(self, name: str) -> Case:
        return cases_in(self._files[name])[name]

    @overload
    def __getitem__(self, index: int) -> Case: ...
    @overload
    def __getitem__(self, index: slice) -> list[Case]: ...
    def __getitem__(self, index: int | slice) -> Case | list[Case]:
        found = self.ids[index]
        return self.named(found) if isinstance(found, str) else [self.named(name) for name in found]

    def __len__(self) -> int:
        return len(self.ids)


CASES: Final = _Cases()
each_case: Final = pytest.mark.parametrize("case", CASES.ids, indirect=True)
"""Once for each worked example, as `case`."""


_judges: dict[object, Judge] = {}


@cache
def shipped_reader() -> BookReader:
    return BookReader(FILES)


def book_for(enforcement: Mapping[str, str], catalogue: Node | None) -> Book:
    """The shipped book with a case's changes; what all such books have in common is read once."""
    return shipped_reader().book(enforcement=enforcement, extra_catalogue=catalogue)


@cache
def shipped() -> Book:
    """The shipped book."""
    return shipped_reader().book()


def judge_for(enforcement: Mapping[str, str], catalogue: Node | None) -> Judge:
    """A judge of the shipped book with a case's changes, built once for each."""
    key = (tuple(sorted(enforcement.items())), catalogue)
    if key not in _judges:
        _judges[key] = Judge(book_for(enforcement, catalogue))
    return _judges[key]


def judge_of(case: Case) -> Judge:
    """The judge of the book that a case asks for."""
    return judge_for(dict(case.enforcement), case.catalogue)
