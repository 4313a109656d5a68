"""What every test may use: the shipped book, the worked examples, and a migrated database to copy."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, configuration, settings

# Before anything that prints is imported: the width of a console is settled when it is made.
os.environ["COLUMNS"] = "250"

from policy_engine.formats.documents import Node
from policy_engine.policy.cases import Case, read_cases
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book, read_folder
from policy_engine.wiring import Settings, upgrade

# Whose shell has a service's settings in it would try that service here.
for _name in [name for name in os.environ if name.startswith("POLICY_ENGINE_")]:
    del os.environ[_name]

configuration.set_hypothesis_home_dir(Path(__file__).parent.parent / ".hypothesis")
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

ROOT: Final = Path(__file__).parent.parent
POLICIES: Final = ROOT / "policies"
FILES: Final = read_folder(POLICIES)


def all_cases() -> list[Case]:
    """The project's own worked examples, and those beside the checkout where they are present."""
    cases = read_cases(POLICIES / "cases")
    beside = ROOT.parent / "shared" / "cases"
    return cases + (read_cases(beside) if beside.is_dir() else [])


CASES: Final = all_cases()

_judges: dict[object, Judge] = {}


def judge_for(enforcement: Mapping[str, str], catalogue: Node | None) -> Judge:
    """A judge of the shipped book with a case's changes, built once for each."""
    key = (tuple(sorted(enforcement.items())), catalogue)
    if key not in _judges:
        _judges[key] = Judge(read_book(FILES, enforcement=enforcement, extra_catalogue=catalogue))
    return _judges[key]


def judge_of(case: Case) -> Judge:
    """The judge of the book that a case asks for."""
    return judge_for(dict(case.enforcement), case.catalogue)


@pytest.fixture(scope="session", autouse=True)
def working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which the tests run: an empty one, since the settings' defaults lead to files below it, and beside
    the checkout there may be a service's."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("working")
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(autouse=True)
def _nothing_is_left(working_folder: Path) -> Iterator[None]:
    yield
    left = sorted(path.name for path in working_folder.iterdir())
    assert not left, f"this test left {', '.join(left)} in the working folder: name every path in its settings"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database at the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    upgrade(Settings(database_url=f"sqlite:///{path}"))
    return path
