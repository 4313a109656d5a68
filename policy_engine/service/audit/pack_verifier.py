"""Checks an evidence pack offline with nothing but Python: python3 verify.py PACK.zip [--key KEY.vkey]...

It uses no code of the service that made the pack. What it checks:

1. every file is the one that the manifest names, and no other file is there;
2. every record and change stands in the log under a signed checkpoint (RFC 6962 inclusion, Ed25519), and its file is
   named by its own id and by its number in the log;
3. the book of every record is in the pack under its own SHA-256, is the one that a change in the log put in force, and
   was proposed and approved by two persons where it came by proposal;
4. report.html is, byte for byte, the page that these records and changes give: it is drawn anew here.

Before anything is unpacked it refuses a pack that is compressed, or whose files have more bytes than it has.

Then it prints a line for each decision, out of its record. What the manifest says of the query, and by whom and when it
was asked, is the word of whoever made the pack. Whoever alters a pack can alter this program in it too: run a copy that
you trust, of another pack or of the release (its file policy_engine/service/audit/pack_verifier.py).

A key that comes with the pack proves only that the pack fits together: get the key from elsewhere, and pass it with
--key (once for each year). Whoever holds the signing key could have signed another history: compare the checkpoints
with ones that somebody else has kept.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import unicodedata
import zipfile
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

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


def check(pack: zipfile.ZipFile, trusted: list[str]) -> tuple[list[str], int, list[tuple[str, int, bytes]]]:
    """A line for each record, how many changes, and the trees. Raises ValueError for what is wrong."""
    require_stored(pack)
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
    entries = {name: pack.read(name) for name in sorted(names) if name.split("/")[0] in ("records", "changes")}
    places: dict[str, int] = {}
    first: dict[str, int] = {}
    for name, entry in entries.items():
        head, _, note = pack.read(f"receipts/{name[:-5]}.tlog-proof").decode().partition("\n\n")
        lines = head.split("\n")
        if lines[0] != "c2sp.org/tlog-proof@v1" or not lines[1].startswith("index ") or note not in trees:
            raise ValueError(f"{name}: the receipt is not one of a checkpoint of this pack")
        year, size, root = trees[note]
        places[name] = int(lines[1][6:])
        proof = [base64.b64decode(line, validate=True) for line in lines[2:]]
        if not stands(entry, places[name], size, proof, root):
            raise ValueError(f"{name}: is not proven to stand in the log")
        number, _, own = name.split("/")[1][:-5].partition("-")
        if own != file_name(own_id(name, json.loads(entry))):
            raise ValueError(f"{name}: is the entry of another id than its name says")
        # The numbers of a year begin somewhere; that they begin at one place for all of them binds each to its own.
        if first.setdefault(year, int(number) - places[name]) != int(number) - places[name]:
            raise ValueError(f"{name}: has another number in the log than its name says")
    check_books(pack, names, entries)
    check_report(pack, manifest["asked"], entries, places, trees)
    records = {name: json.loads(entry) for name, entry in entries.items() if name.startswith("records/")}
    lines = [line_of(number_in(name), record) for name, record in records.items()]
    return lines, len(entries) - len(records), list(trees.values())


def require_stored(pack: zipfile.ZipFile) -> None:
    """Raises ValueError for a pack that would unpack to more than it is: a small file that fills memory or disk."""
    for one in pack.infolist():
        if one.compress_type != zipfile.ZIP_STORED or one.compress_size != one.file_size:
            raise ValueError(f"{one.filename!r} is compressed: a pack is made without, and nothing else is unpacked")
    whole = sum(one.file_size for one in pack.infolist())
    if whole > pack.start_dir:
        raise ValueError(f"its files have {whole:,} bytes by its directory, and it has room for {pack.start_dir:,}")


def own_id(name: str, entry: dict[str, Any]) -> str:
    return str(entry["answer"]["decision_id"] if name.startswith("records/") else entry["id"])


def number_in(name: str) -> int:
    return int(name.split("/")[1].partition("-")[0])


def file_name(own: str) -> str:
    """An id as part of a file's name: ids of the service are as they are, anything else is harmless."""
    return "".join(one if one.isascii() and one.isalnum() else "-" for one in own)[:80]


def check_report(
    pack: zipfile.ZipFile,
    asked: dict[str, Any],
    entries: dict[str, bytes],
    places: dict[str, int],
    trees: dict[str, tuple[str, int, bytes]],
) -> None:
    """The page is drawn anew, and has to be the one in the pack."""
    records = {name: entry for name, entry in entries.items() if name.startswith("records/")}
    held = {str(json.loads(entry)["answer"]["decision_id"]) for entry in records.values()}
    if asked["ids"] is not None and set(asked["ids"]) != held:
        raise ValueError("the decisions are not those that the manifest says were asked for")
    drawn = page(
        asked,
        [told_tree(note.split("\n")[0], size, root) for note, (_, size, root) in sorted(trees.items(), key=_by_year)],
        [told_record(number_in(name), places[name], entry) for name, entry in records.items()],
        [told_change(entry) for name, entry in entries.items() if name.startswith("changes/")],
    )
    if drawn.encode() != pack.read("report.html"):
        raise ValueError("report.html: is not the page that the records and changes give")


def _by_year(tree: tuple[str, tuple[str, int, bytes]]) -> str:
    return tree[1][0]


# --- the page ---------------------------------------------------------------------------------------------------------

STYLE = """
@page { size: A4; margin: 16mm 14mm 18mm;
  @bottom-right { font: 8pt sans-serif; content: "page " counter(page) " of " counter(pages) } }
body { font: 9.5pt/1.35 sans-serif; color: #111; max-width: 66em; margin: 1em auto; padding: 0 1em }
h1 { font-size: 15pt; margin: 1em 0 .4em } h2 { font-size: 11pt; margin: 1.4em 0 .3em; border-top: 1px solid #999;
  padding-top: .5em } h3 { font-size: 9.5pt; margin: .7em 0 .2em } h1, h2, h3 { break-after: avoid }
dl { display: grid; grid-template-columns: 12em 1fr; margin: .3em 0; gap: .1em .8em }
dt { color: #555 } dd { margin: 0; overflow-wrap: anywhere }
.allow { color: #064 } .deny { color: #900 }
table { border-collapse: collapse; width: 100%; margin: .3em 0; font-size: 8.5pt } thead { display: table-header-group }
tr { break-inside: avoid }
td, th { border: 1px solid #bbb; padding: .15em .4em; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th, td:first-child, td.allow, td.deny, td.whole { overflow-wrap: normal }
table.decisions { font-size: 7.5pt } table.decisions td { overflow-wrap: break-word }
table.decisions td:not(.whole) { max-width: 16em }
@media print { body { margin: 0; max-width: none; padding: 0 } table.decisions { font-size: 6.5pt } }
"""

# Fixed here, since what counts as printable differs between versions of Python: the page has to be the same for all.
UNSEEN = (
    (0x00, 0x1F), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x1680, 0x1680),
    (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x206F), (0x3000, 0x3000),
    (0x3164, 0x3164), (0xD800, 0xF8FF), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB),
    (0xE0000, 0x10FFFF),
)  # fmt: skip


def plain(value: object) -> str:
    """Without characters that cannot be seen, or that make a text look like another one."""
    return "".join(
        f"\\u{ord(one):04x}" if any(low <= ord(one) <= high for low, high in UNSEEN) else one for one in str(value)
    )


def many(count: int, one: str) -> str:
    return f"{count} {one if count == 1 else one + 's'}"


def text(value: object) -> str:
    """Harmless in HTML too."""
    return escape(plain(value))


def pairs(*given: tuple[str, object]) -> str:
    rows = (f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in given if value not in (None, "", {}, []))
    return f"<dl>{''.join(rows)}</dl>"


def table(heads: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    head = "".join(f"<th>{text(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{text(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def shown(value: object) -> str:
    """A value of a record as a phrase; what is null was looked for and is not on file."""
    if value is None:
        return "not on file"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {shown(value[name])}" for name in sorted(value))
    if isinstance(value, list):
        separator = "; " if any(isinstance(one, dict) for one in value) else ", "
        return separator.join(shown(one) for one in value) or "none"
    return str(value)


def stated(value: object) -> object:
    return None if value in (None, "", {}, []) else shown(value)


def party(subject: Any) -> str | None:
    return None if subject is None else f"{subject['type']}:{subject['id']}"


def deciding(answer: dict[str, Any]) -> str:
    return " ".join(one["rule"] for one in answer["findings"] if one["state"] == "deciding")


def organisations(record: dict[str, Any]) -> str:
    named = dict.fromkeys(one["organisation"] for one in record["facts"] if one["organisation"])
    return ", ".join(named)


def line_of(number: int, record: dict[str, Any]) -> str:
    """A decision on a line of the terminal, out of its record."""
    answer, request = record["answer"], record["request"]
    decision = answer["decision"].upper() + (" (held)" if answer["hold"] else "")
    cells = (
        answer["decision_id"],
        answer["decided_at"],
        decision,
        party(request.get("subject")),
        answer["model"]["id"],
    )
    told = "  ".join(plain(cell) for cell in (number, *cells, request.get("action"), deciding(answer)) if cell)
    return told.encode("ascii", "backslashreplace").decode()


def told_record(number: int, place: int, body: bytes) -> tuple[str, str]:
    """The row of a decision in the first table of the page, and its section."""
    record = json.loads(body)
    answer, request, caller = record["answer"], record["request"], record["caller"]
    decision = "allow" if answer["allowed"] else "deny"
    asked = party(request.get("subject")) or "request by its digest alone"
    cells = (asked, organisations(record), answer["model"]["id"], request.get("action") or "", deciding(answer))
    instant = text(answer["decided_at"]).replace("T", "T<wbr>")
    row = (
        f'<tr><td>{number}</td><td class="whole">{text(answer["decision_id"])}</td>'
        f'<td class="{decision}">{decision.upper()}</td><td class="whole">{instant}</td>'
        f"{''.join(f'<td>{text(cell)}</td>' for cell in cells)}</tr>"
    )
    held = ", held for a review" if answer["hold"] else ""
    properties = (request.get("subject") or {}).get("properties")
    section = [
        f'<section><h2>{text(answer["decision_id"])}: <span class="{decision}">{decision.upper()}</span>{held}</h2>',
        pairs(
            ("decided at", answer["decided_at"]),
            ("reusable until", answer["valid_until"]),
            ("reason", f"{answer['reason']['code']} by {answer['reason']['rule']}: {answer['reason']['message']}"),
            ("subject", asked),
            ("asserted of it", stated(properties)),
            ("acting for", request.get("acting_for")),
            ("organisation judged", organisations(record)),
            ("end user", party(request.get("end_user"))),
            ("model", f"{answer['model']['id']} ({answer['model']['tier'] or 'in no tier'})"),
            ("action", request.get("action")),
            ("purpose", request.get("purpose")),
            ("place", stated(request.get("place"))),
            ("destination", stated(request.get("destination"))),
            ("claims", stated(request.get("claims"))),
            ("request id", request.get("request_id")),
            ("digest of the request", request.get("sha256")),
            ("missing", stated(answer["missing"])),
            ("obligations", "; ".join(f"{one['id']}: {one['message']}" for one in answer["obligations"] or [])),
            ("alternatives", stated(answer["alternatives"])),
            ("asked by", f"key {caller['id']}, gateway {caller['gateway'] or 'none'}"),
            ("rule book", answer["policy_version"]),
            ("membership revision", answer["membership_revision"]),
            ("engine", record["engine"]),
            ("place in the log", f"number {number}; entry {place} of its year"),
            ("SHA-256 of the record", hashlib.sha256(body).hexdigest()),
        ),
        "<h3>Findings: every rule that matched</h3>",
        table(
            ("state", "rule", "codes", "lifted by", "citation", "what it says"),
            [
                (
                    f"{one['state']} ({one['effect']})",
                    one["rule"],
                    " ".join(one["codes"]),
                    one["lifted_by"] or "",
                    one["citation"],
                    f"{one['message']} {shown(one['detail']) if one['detail'] else ''}".strip(),
                )
                for one in answer["findings"]
            ],
        ),
        "<h3>Facts on file that the rules read</h3>",
    ]
    facts = [
        (one["role"].replace("_", " "), one["subject"] or "", one["organisation"] or "", name, one["known"][name])
        for one in record["facts"]
        for name in sorted(one["known"])
    ]
    rows: list[tuple[object, ...]] = [(*who, name.replace("_", " "), shown(fact)) for *who, name, fact in facts]
    section.append(
        table(("party", "who", "for organisation", "fact", "on file"), rows)
        if rows
        else "<p>The record holds none.</p>"
    )
    return row, "".join((*section, "</section>"))


def told_change(body: bytes) -> str:
    change = json.loads(body)
    event, actor = change["event"], change["actor"]
    reports = "; ".join(f"{one['name']}: {one['summary']}" for one in event.get("reports") or [])
    return f"<section><h2>{text(change['kind'])}</h2>" + pairs(
        ("at", change["at"]),
        ("person", actor["person"] or f"nobody; key {actor['key']}"),
        ("proposal", event.get("proposal")),
        ("book", event.get("fingerprint")),
        ("archived as", event.get("archive")),
        ("compared with", event.get("base")),
        ("in force from", event.get("in_force")),
        ("note", event.get("note")),
        ("reports", reports),
        ("id of the change", change["id"]),
    ) + "</section>"  # fmt: skip


def told_tree(origin: str, size: int, root: bytes) -> str:
    return f"{origin}: size {size}, root {base64.b64encode(root).decode()}"


def page(asked: dict[str, Any], trees: list[str], records: list[tuple[str, str]], changes: list[str]) -> str:
    """The page of the pack. `records` are what `told_record` gave, in the order of the log."""
    count = many(len(records), "decision")
    filters = asked["filters"]
    heads = (
        "no.",
        "decision",
        "answer",
        "decided at",
        "asked for",
        "organisation",
        "model",
        "action",
        "deciding rules",
    )
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>Evidence of {count}</title><style>{STYLE}</style></head><body>",
            f"<h1>Evidence of {count}</h1>",
            "<p>This page is a rendering of the records beside it, which are what counts. By itself it proves nothing:"
            " verify.py draws it anew from the records and refuses a pack in which it differs.</p>",
            "<h2>What was asked for</h2>",
            pairs(
                ("asked by", asked["by"]),
                ("at", asked["at"]),
                ("decisions by id", None if asked["ids"] is None else " ".join(asked["ids"])),
                ("filters", None if filters is None else shown(filters) or "none: every decision"),
                ("of the log of size", asked["log_size"]),
            ),
            "<p>So says whoever made the pack; that no other decision fits is not proven by it.</p>",
            f"<h2>Checkpoints</h2><ul>{''.join(f'<li><code>{text(tree)}</code></li>' for tree in trees)}</ul>",
            "<h2>The decisions</h2>",
            f'<table class="decisions"><thead><tr>{"".join(f"<th>{text(head)}</th>" for head in heads)}</tr></thead>',
            "<tbody>",
            *(row for row, _ in records),
            "</tbody></table>",
            *(section for _, section in records),
            "<h1>How the rule books came into force</h1>",
            *changes,
            "</body></html>\n",
        )
    )


# --- the books --------------------------------------------------------------------------------------------------------


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # noqa: FURB162  a `Z` is not read before Python 3.11


LOOKS_LIKE = str.maketrans(
    {
        **dict(zip("абвгԁеѕіјкӏмнорԛгтухѵԝһс", "abbrdesijklmhopqrtyxvwhc", strict=True)),
        **dict(zip("αβγδεικνορτυχωηϲϳ", "abyoeikvoptuxwncj", strict=True)),
        **dict(zip("ıɑɡɩʟʏοօսոհցԍ", "iagilyooungsg", strict=True)),
        "п": "n",
        "ԛ": "q",
    }
)


def skeleton(text: str) -> str:
    """A person's id as it looks: two that look alike are one person."""
    folded = unicodedata.normalize("NFKD", text).casefold().translate(LOOKS_LIKE)
    parts = unicodedata.normalize("NFKD", folded)
    return "".join(one for one in parts if unicodedata.category(one)[0] not in "MZC")


def check_books(pack: zipfile.ZipFile, names: list[str], entries: dict[str, bytes]) -> None:
    changes = [json.loads(entry) for name, entry in entries.items() if name.startswith("changes/")]
    proposed = {one["event"]["proposal"]: one for one in changes if one["kind"] == "book.proposed"}
    archives: dict[str, list[tuple[datetime, str]]] = {}
    for change in changes:
        event = change["event"]
        if change["kind"] == "book.approved":
            before = proposed[event["proposal"]]
            same = all(before["event"][name] == event[name] for name in ("fingerprint", "archive"))
            persons = [before["actor"]["person"], change["actor"]["person"]]
            if not same or None in persons or len({skeleton(person) for person in persons}) != 2:
                raise ValueError(f"proposal {event['proposal']} was not approved as proposed, by another person")
        if change["kind"] in ("book.founded", "book.watched", "book.approved"):
            start = instant(event["in_force"] if change["kind"] == "book.approved" else change["at"])
            archives.setdefault(event["fingerprint"], []).append((start, event["archive"]))
    held = {f"sha256:{hashlib.sha256(pack.read(name)).hexdigest()}" for name in names if name.startswith("books/")}
    if held != {f"sha256:{name[6:-5]}" for name in names if name.startswith("books/")}:
        raise ValueError("a file under books/ is not named by its SHA-256")
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
            lines, changes, trees = check(pack, trusted)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, zipfile.BadZipFile) as error:
        sys.stdout.write(f"FAILED: {error}\n")
        return 1
    for year, size, root in trees:
        sys.stdout.write(f"checkpoint of {year}: size {size}, root {base64.b64encode(root).decode()}\n")
    sys.stdout.write("what the records say (number, id, instant, answer, subject, model, action, deciding rules):\n")
    sys.stdout.write("".join(f"  {line}\n" for line in lines))
    sys.stdout.write("report.html is the page that these records give\n")
    sys.stdout.write(f"verified: {many(len(lines), 'record')} and {many(changes, 'change')}, each in the log\n")
    if not trusted:
        sys.stdout.write("the keys are those of the pack: pass --key with one that you have from elsewhere\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
