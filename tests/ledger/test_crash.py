"""The sealer is cut short at every call of its store, and at every operation on a file; the next one goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from policy_engine.ledger.checkpoint import Checkpoint
from policy_engine.ledger.files import Directory
from policy_engine.ledger.sealer import HistoryDiffers, published
from policy_engine.ledger.tiles import LogFault, TileConflict, TileStore
from policy_engine.ledger.verify import verify_log
from tests.ledger.logs import KEY, Memory, grow

pytestmark = pytest.mark.slow

STEPS = ((0, 1), (1, 255), (255, 256), (0, 600), (300, 600), (511, 513), (600, 600))
STEPS_ON_DISK = ((0, 1), (254, 257))  # a flush takes its time


class Broken(OSError):
    """What a failing disk raises."""


class Died(BaseException):
    """The end of the process: nothing catches it."""


class Failing:
    """A store whose call number `at` does what `fail` does; counts its calls."""

    def __init__(self, store: TileStore, at: int, fail: Callable[[Failing, str, bytes | None], bytes | None]) -> None:
        self.store = store
        self.at = at
        self.fail = fail
        self.calls = 0

    def read(self, path: str) -> bytes | None:
        self.calls += 1
        return self.fail(self, path, None) if self.calls == self.at else self.store.read(path)

    def write(self, path: str, data: bytes) -> None:
        self.calls += 1
        if self.calls == self.at:
            self.fail(self, path, data)
        else:
            self.store.write(path, data)


def fails_before(_: Failing, path: str, __: bytes | None) -> bytes | None:
    raise Broken(path)


def fails_after(store: Failing, path: str, data: bytes | None) -> bytes | None:
    if data is not None:
        store.store.write(path, data)
    raise Broken(path)


def dies_before(_: Failing, path: str, __: bytes | None) -> bytes | None:
    raise Died(path)


def dies_after(store: Failing, path: str, data: bytes | None) -> bytes | None:
    if data is not None:
        store.store.write(path, data)
    raise Died(path)


def loses(store: Failing, path: str, data: bytes | None) -> bytes | None:
    """A write that is not done, or a read that finds nothing, without a word."""
    del store, path, data
    return None


def lies(store: Failing, path: str, data: bytes | None) -> bytes | None:
    """One bit is wrong in what is written or read."""
    right = store.store.read(path) if data is None else data
    wrong = right and right[:-1] + bytes([right[-1] ^ 1])
    if data is not None and wrong is not None:
        store.store.write(path, wrong)
    return wrong


def last(store: TileStore) -> Checkpoint | None:
    signed = published(store, KEY.verifier)
    return None if signed is None else signed.checkpoint


def made(kind: str, root: Path) -> TileStore:
    return Memory() if kind == "memory" else Directory(root)


def calls_of(begin: int, end: int) -> int:
    counting = Failing(_sealed(Memory(), begin), 0, fails_before)
    grow(counting, end)
    return counting.calls


def _sealed(store: TileStore, size: int) -> TileStore:
    if size:
        grow(store, size)
    return store


@pytest.mark.parametrize(
    ("kind", "begin", "end"),
    [*(("memory", *step) for step in STEPS), *(("directory", *step) for step in STEPS_ON_DISK)],
)
@pytest.mark.parametrize("fail", [fails_before, fails_after, dies_before, dies_after])
def test_a_sealer_cut_short_at_any_call_is_made_good_by_the_next(
    kind: str,
    fail: Callable[[Failing, str, bytes | None], bytes | None],
    begin: int,
    end: int,
    tmp_path: Path,
) -> None:
    cut = 0
    for at in range(1, calls_of(begin, end) + 1):
        root = tmp_path / str(at)
        store = _sealed(made(kind, root), begin)
        before = last(store)
        with pytest.raises((Broken, Died)):
            grow(Failing(store, at, fail), end)
        cut += 1
        # Whatever stands there now is either the old log or the new one, and both are whole.
        between = last(store)
        assert between in (before, grow(Memory(), end))
        if between is not None:
            verify_log(store, KEY.verifier)
        later = made(kind, root) if kind == "directory" else store
        assert grow(later, end + 3) == grow(Memory(), end + 3)
        known = [one for one in (before, between) if one is not None]
        assert verify_log(later, KEY.verifier, older=known).signed.checkpoint.size == end + 3
    assert cut == calls_of(begin, end)


@pytest.mark.parametrize(("begin", "end"), STEPS)
@pytest.mark.parametrize("fail", [loses, lies])
def test_a_store_that_lies_once_never_gets_a_wrong_log_signed(
    fail: Callable[[Failing, str, bytes | None], bytes | None], begin: int, end: int
) -> None:
    noticed = 0
    for at in range(1, calls_of(begin, end) + 1):
        store = _sealed(Memory(), begin)
        before = last(store)
        try:
            grow(Failing(store, at, fail), end)
        except (LogFault, TileConflict, HistoryDiffers):
            noticed += 1
        try:
            after = last(store)
        except LogFault:
            continue  # the lie was told of the checkpoint itself, and its signature does not hold
        assert after in (None, before, grow(Memory(), end))
    assert noticed > 0


SCRIPT = """
import os, sys
from pathlib import Path
from policy_engine.ledger.files import Directory
from policy_engine.ledger.sealer import seal
from policy_engine.ledger.verify import verify_log
from policy_engine.ledger.witness import FileWitness
from tests.ledger.logs import KEY, ORIGIN, grow, some, source

root, begin, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
EVENTS = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "fcntl.flock",
          "shutil.rmtree"}

def step(place, size):
    witness = FileWitness(place / "witness", origin=ORIGIN)
    store = Directory(place / "log")
    with store.exclusive():
        return seal(key=KEY, store=store, entries=source(some(size)), previous=witness.latest(),
                    approve=witness.check).signed.checkpoint

died = 0
for at in range(1, 10_000):
    place = root / str(at)
    FileWitness.create(place / "witness", origin=ORIGIN)
    if begin:
        step(place, begin)
    child = os.fork()
    if child == 0:
        left = at
        def hook(event, arguments):
            global left
            if event in EVENTS:
                left -= 1
                if left == 0:
                    os._exit(9)
        sys.addaudithook(hook)
        step(place, end)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        break
    assert code == 9, code
    died += 1
    store = Directory(place / "log")
    if begin:
        seen = verify_log(store, KEY.verifier).signed.checkpoint
        assert seen.size in (begin, end)
    witness = FileWitness(place / "witness", origin=ORIGIN).latest()
    assert witness.size in (begin, end)
    now = step(place, end + 2)
    assert verify_log(store, KEY.verifier, older=[witness]).signed.checkpoint == now
    assert FileWitness(place / "witness", origin=ORIGIN).latest() == now
    assert not list((place / "log" / ".staging").iterdir())
    assert sorted(one.name for one in place.iterdir()) == ["log", "witness", "witness.lock"]
print(died)
"""


@pytest.mark.parametrize(("begin", "end"), STEPS_ON_DISK)
def test_a_process_that_dies_at_any_operation_on_a_file_leaves_a_log_to_go_on_with(
    begin: int, end: int, tmp_path: Path
) -> None:
    done = subprocess.run(  # noqa: S603  this interpreter
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(begin), str(end)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
