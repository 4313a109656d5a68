"""Checks an evidence pack offline with nothing but Python: python3 verify.py PACK.zip [--key KEY.vkey]...

It shares no code with the service that made the pack. What it checks:

1. every file is the one that the manifest names, and no other file is there;
2. every record and change stands in the log under a signed checkpoint (RFC 6962 inclusion, Ed25519);
3. the book of every record is in the pack, is the one that a change in the log put in force, and was proposed and
   approved by two persons where it came by proposal.

A key that comes with the pack proves only that the pack fits together: get the key from elsewhere, and pass it with
--key (once for each year). Whoever holds the signing key could have signed another history: compare the checkpoints
with ones that somebody else has kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zipfile
from datetime import datetime
from pathlib import Path

Point = tuple[int, int]
P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_ONE = pow(2, (P - 1) // 4, P)


def recovered(y: int, sign: int) -> Point:
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_ONE % P
    if (x * x - square) % P or y >= P or (x == 0 and sign):
        raise ValueError("no point of the curve")
    return (P - x if x & 1 != sign else x, y)


def added(one: Point, other: Point) -> Point:
    (a, b), (c, d) = one, other
    product = D * a * b * c * d % P
    x = (a * d + b * c) * pow(1 + product, P - 2, P)
    y = (b * d + a * c) * pow(1 - product, P - 2, P)
    return (x % P, y % P)


def multiplied(point: Point, number: int) -> Point:
    total = (0, 1)
    while number:
        if number & 1:
            total = added(total, point)
        point, number = added(point, point), number >> 1
    return total


def point_of(data: bytes) -> Point:
    number = int.from_bytes(data, "little")
    return recovered(number & (2**255 - 1), number >> 255)


ORDER = 2**252 + 27742317777372353535851937790883648493
BASE = recovered(4 * pow(5, P - 2, P) % P, 0)


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Ed25519 as in RFC 8032, section 5.1.7."""
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return multiplied(BASE, s) == added(point_of(signature[:32]), multiplied(point_of(public), k))


def opened(note: str, vkey: str) -> tuple[int, bytes]:
    """Size and root of a signed checkpoint of the log that the key is of."""
    name, key_id, encoded = vkey.strip().split("+", 2)
    key = base64.b64decode(encoded, validate=True)
    identity = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    text, _, lines = note.rpartition("\n\n")
    origin, size, root = (text + "\n").split("\n")[:3]
    for line in lines.splitlines():
        dash, signer, encoded = line.split(" ")
        blob = base64.b64decode(encoded, validate=True)
        of_the_log = (dash, signer, blob[:4], identity.hex(), origin) == ("\u2014", name, identity, key_id, name)
        if of_the_log and key[:1] == b"\x01" and signed(key[1:], (text + "\n").encode(), blob[4:]):
            return int(size), base64.b64decode(root, validate=True)
    raise ValueError("the checkpoint is not signed with the key of its log")


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def stands(entry: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162, section 2.1.3.2."""
    at, last, held = index, size - 1, hashlib.sha256(b"\x00" + entry).digest()
    for one in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            held = node(one, held)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            held = node(held, one)
        at, last = at >> 1, last >> 1
    return index < size and last == 0 and held == root


def check(pack: zipfile.ZipFile, trusted: list[str]) -> tuple[int, int, list[tuple[str, int, bytes]]]:
    """How many records, how many entries of the log at all, and the trees. Raises ValueError for what is wrong."""
    names = [name for name in pack.namelist() if name != "manifest.json"]
    manifest = json.loads(pack.read("manifest.json"))
    if len(set(names)) != len(names) or sorted(names) != sorted(manifest["files"]):
        raise ValueError("the files are not those that the manifest names")
    for name in names:
        if hashlib.sha256(pack.read(name)).hexdigest() != manifest["files"][name]:
            raise ValueError(f"{name}: is not the file that the manifest names")
    keys = {name[5:-5]: pack.read(name).decode().strip() for name in names if name.startswith("keys/")}
    if trusted and not set(keys.values()) <= set(trusted):
        raise ValueError("the pack has a key that is not among those that you trust")
    checkpoints = {year: pack.read(f"checkpoints/{year}.txt").decode() for year in keys}
    trees = {checkpoints[year]: (year, *opened(checkpoints[year], keys[year])) for year in keys}
    entries = {name: pack.read(name) for name in names if name.split("/")[0] in ("records", "changes")}
    for name, entry in entries.items():
        head, _, note = pack.read(f"receipts/{name[:-5]}.tlog-proof").decode().partition("\n\n")
        lines = head.split("\n")
        if lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("index ") or note not in trees:
            raise ValueError(f"{name}: the receipt is not one of a checkpoint of this pack")
        _, size, root = trees[note]
        proof = [base64.b64decode(line, validate=True) for line in lines[2:]]
        if not stands(entry, int(lines[1][6:]), size, proof, root):
            raise ValueError(f"{name}: is not proven to stand in the log")
    check_books(pack, names, entries)
    return len([name for name in entries if name.startswith("records/")]), len(entries), list(trees.values())


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162  a `Z` is not read before Python 3.11


def check_books(pack: zipfile.ZipFile, names: list[str], entries: dict[str, bytes]) -> None:
    changes = [json.loads(entry) for name, entry in entries.items() if name.startswith("changes/")]
    proposed = {one["event"]["proposal"]: one for one in changes if one["kind"] == "book.proposed"}
    archives: dict[str, list[tuple[datetime, str]]] = {}
    for change in changes:
        event = change["event"]
        if change["kind"] == "book.approved":
            before = proposed[event["proposal"]]
            same = all(before["event"][name] == event[name] for name in ("fingerprint", "archive"))
            persons = {before["actor"]["person"], change["actor"]["person"]}
            if not same or len(persons) != 2 or None in persons:
                raise ValueError(f"proposal {event['proposal']} was not approved as proposed, by another person")
        if change["kind"] in ("book.founded", "book.watched", "book.approved"):
            start = instant(event["in_force"] if change["kind"] == "book.approved" else change["at"])
            archives.setdefault(event["fingerprint"], []).append((start, event["archive"]))
    held = {f"sha256:{hashlib.sha256(pack.read(name)).hexdigest()}" for name in names if name.startswith("books/")}
    for name, entry in entries.items():
        if name.startswith("records/"):
            answer = json.loads(entry)["answer"]
            version, at = answer["policy_version"], instant(answer["decided_at"])
            in_force = (archive in held and start <= at for start, archive in archives.get(version, []))
            if version != "none" and not any(in_force):
                raise ValueError(f"{name}: its book is not in the pack, or no change had put it in force")


def main(arguments: list[str]) -> int:
    trusted = []
    while "--key" in arguments:
        at = arguments.index("--key")
        trusted.append(Path(arguments[at + 1]).read_text(encoding="utf-8").strip())
        arguments = arguments[:at] + arguments[at + 2 :]
    try:
        with zipfile.ZipFile(arguments[0]) as pack:
            records, entries, trees = check(pack, trusted)
    except (ValueError, KeyError, IndexError, TypeError, OSError, zipfile.BadZipFile) as error:
        sys.stdout.write(f"FAILED: {error}\n")
        return 1
    for year, size, root in trees:
        sys.stdout.write(f"checkpoint of {year}: size {size}, root {base64.b64encode(root).decode()}\n")
    sys.stdout.write(f"verified: {records} records and {entries - records} changes, each in the log\n")
    if not trusted:
        sys.stdout.write("the keys are those of the pack: pass --key with one that you have from elsewhere\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
