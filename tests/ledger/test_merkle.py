from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.ledger.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Frontier,
    InvalidProof,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    tree_root,
    verify_consistency,
    verify_inclusion,
)
from policy_engine.ledger.note import encode_base64
from policy_engine.ledger.tiles import WIDTH, TileHashes
from tests.ledger import reference
from tests.ledger.logs import VECTORS, Memory, entry, root_of, sealed, some

TREE = VECTORS["rfc6962_reference_tree"]
INPUTS = [bytes.fromhex(text) for text in TREE["leaf_inputs_hex"]]
ROOTS = [bytes.fromhex(text) for text in TREE["root_hashes_hex_by_size"]]
BIG = 257 * WIDTH  # one full tile of level 1, and a level 2


def unhex(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(map(bytes.fromhex, texts))


def hashes_of(entries: Sequence[bytes]) -> dict[tuple[int, int], bytes]:
    """Every complete subtree, by the definition."""
    return {
        (height, index): reference.mth(entries[index << height : (index + 1) << height])
        for height in range(len(entries).bit_length())
        for index in range(len(entries) >> height)
    }


@pytest.fixture(scope="module")
def big() -> Memory:
    return sealed(BIG)


@pytest.fixture(scope="module")
def leaves() -> list[bytes]:
    return [leaf_hash(entry(index)) for index in range(BIG)]


def test_hashes_are_those_of_the_published_hasher() -> None:
    for case in VECTORS["rfc6962_hasher"]:
        if "leaf_hex" in case:
            assert leaf_hash(bytes.fromhex(case["leaf_hex"])).hex() == case["hash_hex"]
        else:
            left, right = unhex([case["left_hex"], case["right_hex"]])
            assert node_hash(left, right).hex() == case["hash_hex"]


def test_a_record_hash_is_that_of_the_go_checksum_database() -> None:
    case = VECTORS["sumdb_tlog"]
    assert encode_base64(leaf_hash(b"hello world")) == case["record_hash_hello_world_b64"]


def test_leaves_nodes_and_roots_are_those_of_the_reference_tree() -> None:
    assert [leaf_hash(data).hex() for data in INPUTS] == TREE["leaf_hashes_hex"]
    read = hashes_of(INPUTS)
    for height in range(4):
        nodes = TREE["node_hashes_hex"][f"level{height}"]
        assert [read[height, index].hex() for index in range(8 >> height)] == nodes
    for size, root in enumerate(ROOTS):
        assert root_of(map(leaf_hash, INPUTS[:size])) == root
        assert tree_root(size, lambda height, index: read[height, index]) == root


def test_proofs_are_those_of_the_reference_tree_and_verify() -> None:
    read = hashes_of(INPUTS)
    for case in TREE["inclusion_proofs"]:
        index, size, proof = case["leaf_index"], case["tree_size"], unhex(case["proof_hex"])
        assert inclusion_proof(index, size, lambda height, at: read[height, at]) == proof
        verify_inclusion(leaf=leaf_hash(INPUTS[index]), index=index, size=size, proof=proof, root=ROOTS[size])
    for case in TREE["consistency_proofs"]:
        old, new, proof = case["size1"], case["size2"], unhex(case["proof_hex"])
        assert consistency_proof(old, new, lambda height, at: read[height, at]) == proof
        verify_consistency(old=old, old_root=ROOTS[old], new=new, new_root=ROOTS[new], proof=proof)


def test_every_root_and_proof_up_to_forty_leaves_is_that_of_the_recursive_definition() -> None:
    entries = some(40)
    table = hashes_of(entries)

    def read(height: int, index: int) -> bytes:
        return table[height, index]

    frontier = Frontier()
    roots = [reference.mth(entries[:size]) for size in range(41)]
    for new in range(41):
        assert frontier.root() == roots[new] == tree_root(new, read)
        assert frontier.size == new
        for index in range(new):
            proof = inclusion_proof(index, new, read)
            assert list(proof) == reference.path(index, entries[:new])
            verify_inclusion(leaf=leaf_hash(entries[index]), index=index, size=new, proof=proof, root=roots[new])
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, read)
            assert list(proof) == reference.proof(old, entries[:new])
            verify_consistency(old=old, old_root=roots[old], new=new, new_root=roots[new], proof=proof)
        if new < 40:
            frontier.append(leaf_hash(entries[new]))


def wrong_paths(proof: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Every proof that differs from a good one in a way that has been mistaken for good somewhere."""
    yield (*proof, b"\0" * 32)
    yield (*proof, EMPTY_ROOT)
    yield (b"\0" * 32, *proof)
    for at, one in enumerate(proof):
        yield proof[:at] + proof[at + 1 :]
        yield (*proof[:at], one, *proof[at:])
        yield (*proof[:at], bytes([one[0] ^ 1]) + one[1:], *proof[at + 1 :])
        yield (*proof[:at], one[:-1], *proof[at + 1 :])
        yield (*proof[:at], one + b"\0", *proof[at + 1 :])
        yield (*proof[:at], b"", *proof[at + 1 :])
        if at:
            yield (*proof[: at - 1], one, proof[at - 1], *proof[at + 1 :])


def test_an_inclusion_proof_that_is_wrong_in_anything_is_refused() -> None:
    entries = some(19)
    table = hashes_of(entries)
    roots = [reference.mth(entries[:size]) for size in range(20)]
    for size in range(1, 20):
        for index in range(size):
            leaf = leaf_hash(entries[index])
            proof = inclusion_proof(index, size, lambda height, at: table[height, at])
            good = {"leaf": leaf, "index": index, "size": size, "proof": proof, "root": roots[size]}
            bad: list[dict[str, object]] = [{"proof": other} for other in wrong_paths(proof)]
            bad += [{"index": other} for other in (-1, index - 1, index + 1, index ^ 2, size) if other != index]
            bad += [{"size": other} for other in (-1, 0, index, 2 * size, MAX_SIZE + 1)]
            bad += [{"root": other} for other in (EMPTY_ROOT, roots[size - 1], leaf[:31], b"", roots[size] + b"\0")]
            bad += [{"leaf": other} for other in (leaf_hash(b"other"), roots[size], leaf[:31], b"")]
            for change in bad:
                if change.get("root") == good["root"] or change.get("leaf") == leaf:
                    continue
                with pytest.raises(InvalidProof):
                    verify_inclusion(**{**good, **change})  # type: ignore[arg-type]


def test_a_consistency_proof_that_is_wrong_in_anything_is_refused() -> None:
    entries = some(19)
    table = hashes_of(entries)
    roots = [reference.mth(entries[:size]) for size in range(20)]
    for new in range(1, 20):
        for old in range(1, new + 1):
            proof = consistency_proof(old, new, lambda height, at: table[height, at])
            good = {"old": old, "old_root": roots[old], "new": new, "new_root": roots[new], "proof": proof}
            bad: list[dict[str, object]] = [{"proof": other} for other in wrong_paths(proof)]
            bad += [{"old": other} for other in (-1, 0, old - 1, new + 1)]
            bad += [{"new": other} for other in (-1, 0, old - 1, 2 * new, MAX_SIZE + 1)]
            bad += [{"proof": (*proof, root)} for root in (roots[old], roots[new])]
            bad += [{"proof": (root, *proof)} for root in (roots[old], roots[new])]
            if old != new:
                bad += [{"proof": ()}, {"old_root": roots[new], "new_root": roots[old]}, {"old": old ^ 2}]
            for root in (EMPTY_ROOT, leaf_hash(b"other"), roots[old][:31], b"", roots[new] + b"\0"):
                bad += [{"old_root": root}, {"new_root": root}]
            for change in bad:
                with pytest.raises(InvalidProof):
                    verify_consistency(**{**good, **change})  # type: ignore[arg-type]


def test_a_proof_longer_than_the_tree_is_high_is_refused_even_where_it_leads_to_the_root() -> None:
    one, other = leaf_hash(b"one"), leaf_hash(b"other")
    root = node_hash(one, other)
    with pytest.raises(InvalidProof, match="too long"):
        verify_inclusion(leaf=other, index=0, size=1, proof=[one], root=root)
    verify_inclusion(leaf=other, index=1, size=2, proof=[one], root=root)


def test_hashes_that_share_their_bytes_out_otherwise_are_refused_even_where_they_lead_to_the_root() -> None:
    one, other = leaf_hash(b"one"), leaf_hash(b"other")
    root = node_hash(one, other)
    for cut in (0, 31, 33):
        both = one + other
        with pytest.raises(InvalidProof, match="bytes instead of 32"):
            verify_inclusion(leaf=both[:cut], index=0, size=2, proof=[both[cut:]], root=root)
        with pytest.raises(InvalidProof, match="bytes instead of 32"):
            verify_consistency(old=1, old_root=both[:cut], new=2, new_root=root, proof=[both[cut:]])


def test_every_tree_begins_with_the_empty_one_by_an_empty_proof_only() -> None:
    root = reference.mth(some(5))
    verify_consistency(old=0, old_root=EMPTY_ROOT, new=5, new_root=root, proof=())
    verify_consistency(old=0, old_root=EMPTY_ROOT, new=0, new_root=EMPTY_ROOT, proof=())
    assert consistency_proof(0, 5, lambda *_: b"") == ()
    for old_root, proof in ((root, ()), (EMPTY_ROOT, (root,)), (EMPTY_ROOT, (EMPTY_ROOT,))):
        with pytest.raises(InvalidProof):
            verify_consistency(old=0, old_root=old_root, new=5, new_root=root, proof=proof)
    with pytest.raises(InvalidProof):
        verify_consistency(old=0, old_root=EMPTY_ROOT, new=0, new_root=root, proof=())


def test_proofs_outside_the_tree_are_not_made() -> None:
    for index, size in ((0, 0), (1, 1), (-1, 1)):
        with pytest.raises(ValueError, match="has no leaf"):
            inclusion_proof(index, size, lambda *_: b"")
    for old, new in ((2, 1), (-1, 1)):
        with pytest.raises(ValueError, match="cannot begin"):
            consistency_proof(old, new, lambda *_: b"")


def test_a_subtree_is_taken_only_where_it_can_begin() -> None:
    frontier = Frontier()
    frontier.append(leaf_hash(b"a"))
    with pytest.raises(ValueError, match="cannot begin"):
        frontier.append(leaf_hash(b"b"), 1)


@pytest.mark.slow
@given(size=st.integers(0, 200), cuts=st.data())
def test_a_frontier_fed_with_subtrees_has_the_root_of_its_leaves(size: int, cuts: st.DataObject) -> None:
    entries = some(size)
    frontier = Frontier()
    while frontier.size < size:
        at = frontier.size
        highest = min((size - at).bit_length() - 1, (at & -at).bit_length() - 1 if at else 8)
        height = cuts.draw(st.integers(0, highest))
        frontier.append(reference.mth(entries[at : at + (1 << height)]), height)
    assert frontier.root() == reference.mth(entries)


@pytest.mark.slow
@settings(max_examples=25)
@given(size=st.integers(1, 1100))
def test_every_index_of_a_tree_is_proven_from_its_tiles(size: int, big: Memory, leaves: list[bytes]) -> None:
    read = TileHashes(big, size)
    root = root_of(leaves[:size])
    assert tree_root(size, read) == root
    for index in range(size):
        proof = inclusion_proof(index, size, read)
        verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof, root=root)


@settings(max_examples=60)
@given(data=st.data())
def test_an_index_of_a_tree_of_three_levels_of_tiles_is_proven(
    data: st.DataObject, big: Memory, leaves: list[bytes]
) -> None:
    size = data.draw(st.sampled_from([WIDTH, WIDTH + 1, WIDTH**2 - 1, WIDTH**2, WIDTH**2 + 1, BIG]))
    index = data.draw(st.integers(0, size - 1))
    read = TileHashes(big, size)
    root = tree_root(size, read)
    proof = inclusion_proof(index, size, read)
    verify_inclusion(leaf=leaves[index], index=index, size=size, proof=proof, root=root)
    for other in wrong_paths(proof):
        with pytest.raises(InvalidProof):
            verify_inclusion(leaf=leaves[index], index=index, size=size, proof=other, root=root)


@settings(max_examples=100)
@given(sizes=st.tuples(st.integers(0, BIG), st.integers(0, BIG)).map(sorted))
def test_any_two_sizes_are_consistent_by_a_proof_from_tiles(sizes: list[int], big: Memory) -> None:
    old, new = sizes
    read = TileHashes(big, new)
    old_root, new_root = tree_root(old, read), tree_root(new, read)
    proof = consistency_proof(old, new, read)
    verify_consistency(old=old, old_root=old_root, new=new, new_root=new_root, proof=proof)
    for other in wrong_paths(proof):
        with pytest.raises(InvalidProof):
            verify_consistency(old=old, old_root=old_root, new=new, new_root=new_root, proof=other)


def test_the_root_of_tiles_is_the_root_of_leaves(big: Memory, leaves: list[bytes]) -> None:
    assert tree_root(BIG, TileHashes(big, BIG)) == root_of(leaves)
    with pytest.raises(ValueError, match="no complete subtree"):
        TileHashes(big, 5)(3, 0)
