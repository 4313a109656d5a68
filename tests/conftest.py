"""What every test may use: the shipped book, the worked examples, and a migrated database to copy."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, configuration, settings

if TYPE_CHECKING:
    from policy_engine.policy.cases import Case
    from tests.shipped import (
        CASE_FILES,
        CASES,
        FILES,
        book_for,
        cases_in,
        each_case,
        judge_for,
        judge_of,
        shipped,
    )

collect_ignore = ["with_litellm"]
"""Runs in an environment of its own: `make test-gateways`."""

__all__ = [
    "CASES",
    "CASE_FILES",
    "FILES",
    "book_for",
    "cases_in",
    "each_case",
    "judge_for",
    "judge_of",
    "shipped",
]

# Before anything that prints is imported: the width of a console is settled when it is made.
os.environ["COLUMNS"] = "250"

# Modules are compiled once for all processes that tests start, and for the next run, also where the shell wants no
# bytecode left.
os.environ["PYTHONDONTWRITEBYTECODE"] = ""
os.environ["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / f"policy-engine-bytecode-{os.getuid()}")
if sys.dont_write_bytecode:
    sys.dont_write_bytecode, sys.pycache_prefix = False, os.environ["PYTHONPYCACHEPREFIX"]

# Whose shell has a service's settings in it would try that service here.
for _name in [name for name in os.environ if name.startswith("POLICY_ENGINE_")]:
    del os.environ[_name]

# Rule books and worked examples live as long as the process: looking through them for garbage took a tenth of its time.
gc.set_threshold(50_000, 20, 100)

configuration.set_hypothesis_home_dir(Path(__file__).parent.parent / ".hypothesis")
settings.register_profile(
    "suite", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.register_profile("search", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

ROOT: Final = Path(__file__).parent.parent
POLICIES: Final = ROOT / "policies"
SMALL_BOOK: Final = ROOT / "tests" / "books" / "small"
"""The folder of a rule book of eleven rules, for what takes the shipped one minutes."""


def __getattr__(name: str) -> object:
    """What reads rule books, imported when a test names it: a test of the domain alone starts without."""
    if name in __all__:
        return getattr(import_module("tests.shipped"), name)
    raise AttributeError(name)


def pytest_collection_finish() -> None:
    if "sqlalchemy" in sys.modules:
        import_module("tests.statements").share_compiled_statements()


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """The worked example that the test is given."""
    found: Case = import_module("tests.shipped").CASES.named(request.param)
    return found


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
    from policy_engine.app.builder import upgrade  # noqa: PLC0415  slow, and needed by some
    from policy_engine.app.settings import Settings  # noqa: PLC0415  slow, and needed by some

    path = tmp_path_factory.mktemp("migrated") / "empty.db"
    upgrade(Settings(database_url=f"sqlite:///{path}"))
    return path
