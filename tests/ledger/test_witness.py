from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_engine.ledger.checkpoint import Checkpoint
from policy_engine.ledger.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, tree_root
from policy_engine.ledger.tiles import WIDTH, TileHashes
from policy_engine.ledger.witness import FileWitness, WitnessRefuses, WitnessUnreadable
from tests.ledger.logs import ORIGIN, Memory, sealed

SIZE = 70


@pytest.fixture(scope="module")
def log() -> Memory:
    return sealed(WIDTH)  # a full tile, of which every size is the beginning


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "witness"


def show(witness: FileWitness, log: Memory, size: int) -> None:
    """Show the witness the log at that size, with the proof from what it has seen."""
    read = TileHashes(log, size)
    old = min(witness.latest().size, size)
    witness.check(size, tree_root(size, read), consistency_proof(old, size, read))


def test_a_witness_begins_with_the_empty_log_and_only_once(path: Path) -> None:
    witness = FileWitness.create(path, origin=ORIGIN)
    assert witness.latest() == Checkpoint(origin=ORIGIN, size=0, root=EMPTY_ROOT)
    with pytest.raises(FileExistsError):
        FileWitness.create(path, origin=ORIGIN)


def test_a_witness_remembers_beyond_its_process(path: Path, log: Memory) -> None:
    FileWitness.create(path, origin=ORIGIN)
    for size in (0, 1, 1, 2, 64, SIZE):
        show(FileWitness(path, origin=ORIGIN), log, size)
        root = tree_root(size, TileHashes(log, size))
        assert FileWitness(path, origin=ORIGIN).latest() == Checkpoint(origin=ORIGIN, size=size, root=root)
    assert path.read_bytes() == Checkpoint(origin=ORIGIN, size=SIZE, root=root).encode()


@given(sizes=st.lists(st.integers(0, SIZE), min_size=1, max_size=8))
def test_a_witness_never_goes_back(sizes: list[int], log: Memory, tmp_path_factory: pytest.TempPathFactory) -> None:
    witness = FileWitness.create(tmp_path_factory.mktemp("witness") / "file", origin=ORIGIN)
    largest = 0
    for size in sizes:
        if size < largest:
            with pytest.raises(WitnessRefuses, match=f"a log of {largest} entries was seen before"):
                show(witness, log, size)
        else:
            show(witness, log, size)
            largest = size
        assert witness.latest().size == largest


def test_another_history_is_refused_and_not_remembered(path: Path, log: Memory) -> None:
    witness = FileWitness.create(path, origin=ORIGIN)
    show(witness, log, 50)
    before = path.read_bytes()
    read = TileHashes(log, 60)
    root, proof = tree_root(60, read), consistency_proof(50, 60, read)
    for size, new_root, new_proof in (
        (50, root, ()),
        (60, leaf_hash(b""), proof),
        (60, root, ()),
        (60, root, proof[:-1]),
        (60, root, (*proof, root)),
        (65, root, proof),
        (60, root, consistency_proof(49, 60, read)),
        (60, root[:31], proof),
        (-1, root, ()),
        (0, EMPTY_ROOT, ()),
    ):
        with pytest.raises(WitnessRefuses):
            witness.check(size, new_root, new_proof)
        assert path.read_bytes() == before
    witness.check(60, root, proof)
    assert witness.latest().size == 60


def test_a_witness_that_lost_its_file_refuses(path: Path, log: Memory) -> None:
    with pytest.raises(WitnessUnreadable, match="missing"):
        FileWitness(path, origin=ORIGIN).latest()
    witness = FileWitness.create(path, origin=ORIGIN)
    path.unlink()
    for _ in range(2):
        with pytest.raises(WitnessUnreadable, match="missing"):
            witness.check(1, tree_root(1, TileHashes(log, 1)), ())
    assert not path.exists()


def test_a_witness_whose_file_is_damaged_or_another_ones_refuses(path: Path, log: Memory) -> None:
    witness = FileWitness.create(path, origin=ORIGIN)
    show(witness, log, 5)
    good = path.read_bytes()
    for cut in range(len(good)):
        path.write_bytes(good[:cut])
        with pytest.raises(WitnessUnreadable):
            witness.check(5, tree_root(5, TileHashes(log, 5)), ())
        assert path.read_bytes() == good[:cut]
    for bad in (b"\xff" + good, good + b"\n", good * 10_000):
        path.write_bytes(bad)
        with pytest.raises(WitnessUnreadable):
            witness.latest()
    path.write_bytes(good)
    with pytest.raises(WitnessUnreadable, match="another log"):
        FileWitness(path, origin="other.example").latest()


def test_many_who_ask_at_once_are_answered_one_after_the_other(path: Path, log: Memory) -> None:
    FileWitness.create(path, origin=ORIGIN)
    accepted: list[int] = []
    barrier = threading.Barrier(8)

    def ask(first: int) -> None:
        witness = FileWitness(path, origin=ORIGIN)
        barrier.wait()
        for size in range(first, SIZE + 1, 8):
            read = TileHashes(log, size)
            seen = witness.latest().size
            try:
                witness.check(size, tree_root(size, read), consistency_proof(min(seen, size), size, read))
            except WitnessRefuses:
                continue
            accepted.append(size)

    threads = [threading.Thread(target=ask, args=(first,)) for first in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(accepted) == len(set(accepted))
    final = FileWitness(path, origin=ORIGIN).latest()
    assert final.size == max(accepted)
    assert final.root == tree_root(final.size, TileHashes(log, final.size))


def test_of_two_histories_shown_at_once_one_is_refused(path: Path) -> None:
    for _ in range(20):
        path.unlink(missing_ok=True)
        witness = FileWitness.create(path, origin=ORIGIN)
        barrier = threading.Barrier(2)
        answers: list[str] = []

        def ask(
            root: bytes,
            witness: FileWitness = witness,
            barrier: threading.Barrier = barrier,
            answers: list[str] = answers,
        ) -> None:
            barrier.wait()
            try:
                witness.check(1, root, ())
            except WitnessRefuses:
                answers.append("refused")
            else:
                answers.append("accepted")

        threads = [threading.Thread(target=ask, args=(leaf_hash(entry),)) for entry in (b"one", b"other")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == ["accepted", "refused"]
