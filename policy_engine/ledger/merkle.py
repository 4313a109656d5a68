"""The Merkle tree of RFC 6962 section 2.1 over SHA-256: hashes, roots, and proofs that a stranger can check.

1. The hash of the empty tree is SHA-256 of nothing; of a leaf, of 0x00 and the entry; of a node, of 0x01 and its two
   children. A tree of n > 1 leaves splits at the largest power of two below n.
2. A proof is verified as RFC 9162 sections 2.1.3.2 and 2.1.4.2 say. It is refused when it is too long or too short,
   when any hash is not 32 bytes long, and when sizes or indices are out of range. `InvalidProof` names the reason;
   nothing returned means that it holds.
3. Every tree is consistent with the empty tree, by an empty proof (c2sp.org/tlog-witness). A tree is consistent with
   itself by an empty proof and an equal root.
4. A proof ties roots, and sizes only as far as the shape of the tree tells them apart: 60 and 61 leaves may be one
   shape to a proof from 50. A size and its root belong together because they were signed together, in a checkpoint.
5. Proofs are made from the hashes of complete subtrees, whoever keeps them: a `HashReader` gives the hash of the
   subtree of 2**height leaves that begins at leaf index * 2**height.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

HASH_SIZE: Final = 32
"""Bytes of a hash."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""The root of the tree without leaves."""

MAX_SIZE: Final = 2**63 - 1
"""The largest tree size that other implementations of the formats can hold."""

HashReader = Callable[[int, int], bytes]
"""Takes height and index of a complete subtree, gives its hash."""


class InvalidProof(ValueError):
    """The proof does not prove what it is for."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of a node over its two children (RFC 6962 section 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def full_root(hashes: bytes) -> bytes:
    """The root over concatenated hashes whose number is a power of two; the fast path of a full tile."""
    while len(hashes) > HASH_SIZE:
        hashes = b"".join(
            [sha256(b"\x01" + hashes[at : at + 2 * HASH_SIZE]).digest() for at in range(0, len(hashes), 2 * HASH_SIZE)]
        )
    return hashes


class Frontier:
    """The right edge of a growing tree: one hash for each complete subtree, at most one of every height."""

    __slots__ = ("_peaks", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._peaks: list[bytes] = []

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def append(self, node: bytes, height: int = 0) -> None:
        """Add a leaf hash, or the hash of a complete subtree of 2**height leaves.

        Raises `ValueError` where such a subtree cannot begin at the end of this tree.
        """
        if self._size % (1 << height):
            raise ValueError(f"a subtree of height {height} cannot begin at leaf {self._size}")
        self._size += 1 << height
        # After the addition, the trailing zero bits above `height` are the carries: as many subtrees were completed.
        while not self._size >> height & 1:
            node = node_hash(self._peaks.pop(), node)
            height += 1
        self._peaks.append(node)

    def root(self) -> bytes:
        """The root of the tree as it is now."""
        return _joined(self._peaks)


def _joined(peaks: Sequence[bytes]) -> bytes:
    """The root over complete subtrees, the largest first."""
    if not peaks:
        return EMPTY_ROOT
    root = peaks[-1]
    for peak in reversed(peaks[:-1]):
        root = node_hash(peak, root)
    return root


def tree_root(size: int, read: HashReader) -> bytes:
    """The root over the first `size` leaves."""
    return _range_root(0, size, read)


def inclusion_proof(index: int, size: int, read: HashReader) -> tuple[bytes, ...]:
    """The proof that a leaf is in the tree of that size (RFC 6962 section 2.1.1), from the leaf's sibling upwards.

    Raises `ValueError` for an index outside the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has no leaf {index}")
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    return tuple(reversed(proof))


def consistency_proof(old: int, new: int, read: HashReader) -> tuple[bytes, ...]:
    """The proof that the tree of the new size begins with that of the old one (RFC 6962 section 2.1.2).

    Empty for an old size of 0 and for equal sizes. Raises `ValueError` when the old size is the larger.
    """
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves cannot begin with one of {old}")
    if old in (0, new):
        return ()
    proof: list[bytes] = []
    start, end = 0, new
    while end != old:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_root(middle, end, read))
            end = middle
        else:
            proof.append(_range_root(start, middle, read))
            start = middle
    if start:  # the old tree is no subtree of the new one, so the verifier needs its last piece
        proof.append(_range_root(start, end, read))
    return tuple(reversed(proof))


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash stands at the index of the tree of that size and root (RFC 9162 section 2.1.3.2).

    Raises `InvalidProof`.
    """
    _require_hashes([leaf, root, *proof])
    if not 0 <= index < size <= MAX_SIZE:
        raise InvalidProof(f"a tree of {size} leaves has no leaf {index}")
    computed = leaf
    for sibling, is_left in _siblings(index, size - 1, proof):
        computed = node_hash(sibling, computed) if is_left else node_hash(computed, sibling)
    if computed != root:
        raise InvalidProof("the proof leads to another root")


def verify_consistency(*, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of the new size and root begins with the old one (RFC 9162 section 2.1.4.2).

    Raises `InvalidProof`.
    """
    _require_hashes([old_root, new_root, *proof])
    if not 0 <= old <= new <= MAX_SIZE:
        raise InvalidProof(f"a tree of {new} leaves cannot begin with one of {old}")
    for size, root in ((old, old_root), (new, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise InvalidProof("the root is not that of the empty tree")
    if old in (0, new):
        if proof:
            raise InvalidProof("the proof must be empty")
        if old == new and old_root != new_root:
            raise InvalidProof(f"there are two roots for {new} leaves")
        return
    if not proof:
        raise InvalidProof("the proof is too short")
    # Where the old size is a power of two, the old tree is itself a subtree of the new one, and the proof omits it.
    path = proof if old & (old - 1) else [old_root, *proof]
    old_computed, new_computed = _climb(old - 1, new - 1, path)
    if old_computed != old_root:
        raise InvalidProof("the proof leads to another old root")
    if new_computed != new_root:
        raise InvalidProof("the proof leads to another new root")


def _climb(at: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a consistency proof leads to (RFC 9162 section 2.1.4.2, steps 3 to 6)."""
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = path[0]
    for sibling, is_left in _siblings(at, last, path[1:]):
        if is_left:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
        else:
            new = node_hash(new, sibling)
    return old, new


def _siblings(at: int, last: int, path: Sequence[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Each hash of a path from a node up to the root, and whether it stands to the left there. Raises `InvalidProof`
    for a path that is too long, and after the last hash for one that is too short."""
    for sibling in path:
        if last == 0:
            raise InvalidProof("the proof is too long")
        is_left = bool(at & 1) or at == last
        if is_left:
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        yield sibling, is_left
        at, last = at >> 1, last >> 1
    if last:
        raise InvalidProof("the proof is too short")


def _require_hashes(hashes: Iterable[bytes]) -> None:
    for one in hashes:
        if len(one) != HASH_SIZE:
            raise InvalidProof(f"a hash has {len(one)} bytes instead of {HASH_SIZE}")


def _split(size: int) -> int:
    """The largest power of two below a size above 1."""
    return 1 << (size - 1).bit_length() - 1


def _range_root(start: int, end: int, read: HashReader) -> bytes:
    """The root over the leaves from `start`, a multiple of every complete subtree in the range, up to `end`."""
    peaks: list[bytes] = []
    while start < end:
        height = (end - start).bit_length() - 1
        peaks.append(read(height, start >> height))
        start += 1 << height
    return _joined(peaks)
