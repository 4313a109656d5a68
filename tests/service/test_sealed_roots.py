"""The root that an answer names is the one that a checkpoint of the same origin and size had, at every size."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest

from policy_engine.service.sealing.sealed_roots import SealedTrees, Tree
from tests.service.test_sealing import IN_2026, IN_2027, ORIGIN, Log, opened
from tests.store.conftest import Store


@pytest.fixture
def log(sqlite_store: Store, tmp_path: Path) -> Log:
    return opened(sqlite_store, tmp_path)


def sealed_step_by_step(log: Log) -> dict[int, Tree]:
    """What the checkpoint said at each size at which the log was sealed, over the turn of a year."""
    told: dict[int, Tree] = {}
    for count, at in ((1, IN_2026), (2, IN_2026), (255, IN_2026), (20, IN_2026), (1, IN_2027), (6, IN_2027)):
        log.commit(count, at)
        sealed = log.sealing().seal()
        assert sealed is not None
        checkpoint = sealed.signed.checkpoint
        told[sealed.end] = Tree(
            log_size=sealed.end,
            origin=f"{ORIGIN}/{at.year}",
            size=checkpoint.size,
            root=b64encode(checkpoint.root).decode(),
        )
    return told


def test_every_size_has_the_root_that_its_checkpoint_had(log: Log) -> None:
    told = sealed_step_by_step(log)
    trees = SealedTrees(log.sealing(), log.sealing().sealed)

    assert {size: trees(size) for size in told} == told
    newest = trees(None)
    assert newest == told[285]
    assert (newest.log_size, newest.size) == (285, 7)
    # In between there was no checkpoint, and there is a root all the same.
    between = trees(100)
    assert between is not None
    assert (between.origin, between.size) == (f"{ORIGIN}/2026", 100)
    for outside in (0, 286, 10**12):
        assert trees(outside) is None


def test_a_log_that_is_not_sealed_has_no_trees(log: Log) -> None:
    log.commit(3)
    assert SealedTrees(log.sealing(), log.sealing().sealed)(None) is None
    assert SealedTrees(log.sealing(), log.sealing().sealed)(2) is None


@pytest.mark.parametrize("lost", [False, True])
def test_hashes_that_do_not_lead_to_the_signed_root_give_none(log: Log, lost: bool) -> None:
    told = sealed_step_by_step(log)
    tile = log.tile("tile/0/000")
    if lost:
        tile.unlink()
    else:
        data = bytearray(tile.read_bytes())
        data[40] ^= 1
        tile.chmod(0o644)
        tile.write_bytes(bytes(data))
    trees = SealedTrees(log.sealing(), log.sealing().sealed)
    assert trees(100) is None
    # The checkpoints themselves are signed.
    assert trees(278) == told[278]
    assert trees(None) == told[285]
