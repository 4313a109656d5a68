"""An evidence pack proves its records to whoever has nothing else, and is refused when anything in it was altered."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_engine.domain.instants import parse_instant
from policy_engine.domain.ports import LogEntry
from policy_engine.domain.spelling import skeleton
from policy_engine.ledger.checkpoint import Checkpoint, sign_checkpoint
from policy_engine.ledger.merkle import leaf_hash
from policy_engine.ledger.note import SigningKey
from policy_engine.ledger.proof import receipt_of
from policy_engine.ledger.sealer import seal
from policy_engine.render.pack_readme import pack_readme
from policy_engine.service.audit import pack_verifier
from policy_engine.service.audit.evidence import NotProvable, Packed, PackRequest, write_pack
from policy_engine.service.audit.retention import remove_retired
from policy_engine.store.database import open_database
from policy_engine.store.retirement import Retirement
from tests.api.sealed import Sealed, sealed_service
from tests.conftest import CASES, SMALL_BOOK, judge_of
from tests.ledger.logs import Memory, some, source
from tests.service.decisions import record_of

BEGIN = parse_instant("2026-12-31T12:00:00Z")
IN_2027 = parse_instant("2027-01-01T12:00:00Z")


@pytest.fixture
def sealed(migrated: Path, tmp_path: Path) -> Iterator[Sealed]:
    with sealed_service(migrated, tmp_path, at=BEGIN, policies=SMALL_BOOK) as made:
        yield made


def found(sealed: Sealed, *names: str) -> list[LogEntry]:
    entries = [sealed.parts.entries.find(name) for name in names]
    return [entry for entry in entries if entry is not None]


def packed(sealed: Sealed, *names: str) -> tuple[bytes, Packed]:
    file = io.BytesIO()
    told = write_pack(
        file,
        found(sealed, *names),
        entries=sealed.parts.entries,
        desk_log=sealed.parts.desk_log,
        sealing=sealed.sealing,
        asked=PackRequest(by="ines", at=BEGIN, ids=names, filters=None, log_size=sealed.parts.entries.size()),
        readme=pack_readme,
    )
    return file.getvalue(), told


def files_of(pack: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(pack)) as held:
        return {name: held.read(name) for name in held.namelist()}


def zipped(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as pack:
        for name, data in files.items():
            pack.writestr(name, data)
    return file.getvalue()


def verified(pack: bytes, folder: Path, *keys: str) -> tuple[int, str]:
    """What the program in a pack says of it, run by itself: nothing of this project is on its path."""
    program, file = folder / "verify.py", folder / "pack.zip"
    program.write_bytes(files_of(pack)["verify.py"])
    file.write_bytes(pack)
    arguments = [argument for key in keys for argument in ("--key", key)]
    run = subprocess.run(  # noqa: S603  the program that was just written
        [sys.executable, "-I", "-S", str(program), str(file), *arguments], capture_output=True, text=True, check=False
    )
    assert not run.stderr
    return run.returncode, run.stdout


def proposed(sealed: Sealed) -> str:
    """A book that dora proposed and erin approved, in force now; its fingerprint."""
    files = {name: data.decode() for name, data in sealed.parts.publisher.library.files(_archive(sealed)).items()}
    files = {name: text for name, text in files.items() if not name.startswith("cases/")}
    files["cases/one.yaml"] = _EXAMPLE
    files["rules/vendor.csv"] = files["rules/vendor.csv"].replace(",enforced,", ",advisory,", 1)
    made = sealed.officer.post("/policy/proposals", files=files, note="counsel <script>alert(1)</script>")
    assert made.status_code == 201, made.text
    (cases,) = (report["digest"] for report in made.json()["reports"] if report["name"] == "cases")
    approved = sealed.person("erin").post(f"/policy/proposals/{made.json()['id']}/approve", note="read", cases=cases)
    assert approved.status_code == 200, approved.text
    return str(approved.json()["fingerprint"])


_EXAMPLE = """\
- id: ONE
  title: nobody may
  note: who is not on file is denied
  at: 2026-11-20T12:00:00Z
  request: {subject: {type: person, id: nobody}, model: opus-4.6, action: infer}
  expect: {decision: deny, reason: SUBJECT_UNKNOWN}
"""


def _archive(sealed: Sealed) -> str:
    book = sealed.parts.desk.view.refresh().desk.book_at(sealed.service.now[0])
    assert book is not None
    return book.archive


def test_a_pack_of_two_years_is_verified_by_its_own_program_alone(sealed: Sealed, tmp_path: Path) -> None:
    first = sealed.decide()
    sealed.at(IN_2027)
    second = sealed.decide(subject={"type": "person", "id": "nobody"})
    sealed.seal()
    pack, told = packed(sealed, first, second)
    assert (told.records, told.changes, told.books, len(told.checkpoints)) == (2, 1, 1, 2)
    code, said = verified(pack, tmp_path)
    assert code == 0, said
    assert "verified: 2 records and 1 change" in said
    assert "pass --key" in said
    keys = []
    for year in (2026, 2027):
        path = tmp_path / f"{year}.vkey"
        path.write_text(sealed.sealing.key(year).verifier.encode())
        keys.append(str(path))
    code, said = verified(pack, tmp_path, *keys)
    assert (code, "pass --key" in said) == (0, False)
    assert verified(pack, tmp_path, keys[0]) == (
        1,
        "FAILED: the pack has a key that is not among those that you trust\n",
    )


def test_a_pack_holds_the_exact_bytes_and_the_files_of_the_book_and_the_two_persons_behind_it(
    sealed: Sealed, tmp_path: Path
) -> None:
    before = sealed.decide()
    sealed.at(BEGIN + timedelta(minutes=1))
    fingerprint = proposed(sealed)
    after = sealed.decide()
    sealed.seal()
    pack, told = packed(sealed, after)
    assert (told.changes, told.books) == (2, 1)
    files = files_of(pack)
    (record,) = [data for name, data in files.items() if name.startswith("records/")]
    assert record == sealed.parts.log.read(after)
    changes = [json.loads(data) for name, data in files.items() if name.startswith("changes/")]
    assert [(one["kind"], one["actor"]["person"]) for one in changes] == [
        ("book.proposed", "dora"),
        ("book.approved", "erin"),
    ]
    assert json.loads(record)["answer"]["policy_version"] == fingerprint
    (book,) = [data for name, data in files.items() if name.startswith("books/")]
    assert "cases/one.yaml" in json.loads(book)["files"]
    # The one before stands on the founding, and on nothing that came later.
    assert packed(sealed, before)[1].changes == 1
    assert packed(sealed, before, after)[1].changes == 3
    code, said = verified(packed(sealed, before, after)[0], tmp_path)
    assert (code, "2 records and 3 changes" in said) == (0, True)
    for alike in ("dora", "Dora", "dora ", "d\N{CYRILLIC SMALL LETTER O}ra"):
        entries = {
            name: data.replace(b'"erin"', f'"{alike}"'.encode())
            for name, data in files.items()
            if name.startswith("changes/")
        }
        with zipfile.ZipFile(io.BytesIO(pack)) as held, pytest.raises(ValueError, match="by another person"):
            pack_verifier.check_books(held, list(files), entries)


@given(st.text())
def test_the_verifier_of_a_pack_takes_persons_for_one_as_the_service_does(text: str) -> None:
    assert pack_verifier.skeleton(text) == skeleton(text)


def test_the_verifier_of_a_pack_knows_every_letter_that_the_service_takes_for_another() -> None:
    letters = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    assert [one for one in letters if pack_verifier.skeleton(one) != skeleton(one)] == []


def test_the_same_decisions_under_the_same_checkpoint_are_the_same_bytes(sealed: Sealed) -> None:
    name = sealed.decide()
    sealed.seal()
    assert packed(sealed, name) == packed(sealed, name)
    assert packed(sealed, name) == packed(sealed, name, name)


def test_what_is_not_sealed_yet_is_not_packed(sealed: Sealed) -> None:
    first = sealed.decide()
    sealed.seal()
    second = sealed.decide()
    with pytest.raises(NotProvable, match=f"`{second}` is not sealed yet"):
        packed(sealed, first, second)
    with pytest.raises(NotProvable, match="no record"):
        packed(sealed)


def test_a_record_whose_book_came_in_a_retired_year_is_packed_and_verified(sealed: Sealed, tmp_path: Path) -> None:
    sealed.decide()
    sealed.at(parse_instant("2041-01-01"))
    name = sealed.decide()
    sealed.seal()
    retired = sealed.officer.post("/log/retirements", year=2026, reason="schedule")
    assert retired.status_code == 201, retired.text
    sealed.seal()
    engine = open_database(sealed.url)
    desk = sealed.parts.desk.view.refresh().desk
    assert remove_retired(sealed.parts.entries, sealed.sealing, Retirement(engine), desk, 2026) == 1
    engine.dispose()
    code, said = verified(packed(sealed, name)[0], tmp_path)
    assert (code, "verified: 1 record and 1 change" in said) == (0, True)


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_nothing_that_was_asked_becomes_markup_in_the_report_and_it_loads_nothing(sealed: Sealed) -> None:
    name = sealed.decide(
        model="<img src=x onerror=alert(1)>", purpose="&amp;<script>", subject={"type": "person", "id": "a'b"}
    )
    sealed.seal()
    report = files_of(packed(sealed, name)[0])["report.html"].decode()
    page = _Page()
    page.feed(report)
    assert not page.tags & {"img", "script", "link", "iframe", "object"}
    assert page.attributes <= {"lang", "charset", "http-equiv", "content", "class"}
    assert "&lt;img src=x onerror=alert(1)&gt;" in report
    assert "&amp;amp;&lt;script&gt;" in report
    assert "a&#x27;b" in report


Alter = Callable[[dict[str, bytes]], None]


def _first(files: Mapping[str, bytes], folder: str) -> str:
    return next(name for name in files if name.startswith(f"{folder}/"))


def _remanifested(alter: Alter) -> Alter:
    """The alteration by somebody who writes the manifest anew too."""

    def altered(files: dict[str, bytes]) -> None:
        alter(files)
        told = {name: hashlib.sha256(data).hexdigest() for name, data in files.items() if name != "manifest.json"}
        files["manifest.json"] = json.dumps({**json.loads(files["manifest.json"]), "files": told}).encode()

    return altered


def _change_record(files: dict[str, bytes]) -> None:
    name = _first(files, "records")
    files[name] = files[name].replace(b'"decision":"allow"', b'"decision":"deny"', 1)


def _drop_receipt(files: dict[str, bytes]) -> None:
    del files[_first(files, "receipts")]


def _swap_receipts(files: dict[str, bytes]) -> None:
    one, other = [name for name in files if name.startswith("receipts/")][:2]
    files[one], files[other] = files[other], files[one]


def _other_index(files: dict[str, bytes]) -> None:
    name = next(name for name in files if name.startswith("receipts/records/"))
    files[name] = files[name].replace(b"index ", b"index 1", 1)


def _other_size(files: dict[str, bytes]) -> None:
    old = files["checkpoints/2026.txt"]
    size = old.split(b"\n")[1]
    new = old.replace(b"\n" + size + b"\n", b"\n" + str(int(size) + 1).encode() + b"\n")
    for name, data in files.items():
        files[name] = data.replace(old, new)


def _change_book(files: dict[str, bytes]) -> None:
    name = _first(files, "books")
    files[name] = files[name].replace(b"enforced", b"advisory")


def _drop_change(files: dict[str, bytes]) -> None:
    name = _first(files, "changes")
    del files[name], files[f"receipts/{name[:-5]}.tlog-proof"]


def _other_key(files: dict[str, bytes]) -> None:
    other = SigningKey(name="pdp.example/log/2026", seed=b"\x01" * 32)
    files["keys/2026.vkey"] = other.verifier.encode().encode()


def _not_base64(files: dict[str, bytes]) -> None:
    name = _first(files, "receipts")
    files[name] = files[name].replace(b"\nindex", b"\nextra ?\nindex")


def _say_denied(files: dict[str, bytes]) -> None:
    files["report.html"] = files["report.html"].replace(b'class="allow">ALLOW', b'class="deny">DENIED')


def _other_question(files: dict[str, bytes]) -> None:
    manifest = json.loads(files["manifest.json"])
    manifest["asked"]["by"] = "nobody"
    files["manifest.json"] = json.dumps(manifest).encode()


@pytest.mark.parametrize(
    "alter",
    [
        _say_denied,
        _other_question,
        _change_record,
        _drop_receipt,
        _swap_receipts,
        _other_index,
        _other_size,
        _change_book,
        _drop_change,
        _other_key,
        _not_base64,
    ],
)
@pytest.mark.parametrize("thorough", [False, True])
def test_a_pack_in_which_anything_was_altered_fails_also_with_a_new_manifest(
    sealed: Sealed, tmp_path: Path, alter: Alter, thorough: bool
) -> None:
    name = sealed.decide()
    sealed.seal()
    files = files_of(packed(sealed, name)[0])
    (_remanifested(alter) if thorough else alter)(files)
    code, said = verified(zipped(files), tmp_path)
    assert code == 1
    assert said.startswith("FAILED: ")


def test_a_pack_that_would_unpack_to_more_than_it_is_is_not_unpacked(sealed: Sealed, tmp_path: Path) -> None:
    name = sealed.decide()
    sealed.seal()
    files = files_of(packed(sealed, name)[0])
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as pack:
        for one, data in {**files, "records/bomb.json": b" " * 2**24}.items():
            pack.writestr(one, data)
    code, said = verified(file.getvalue(), tmp_path)
    assert (code, "is compressed" in said) == (1, True)
    # The same file many times over in the directory: little to store, much to unpack.
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as pack:
        for one, data in files.items():
            pack.writestr(one, data)
        again = pack.infolist()[0]
        for _ in range(50_000):
            pack.filelist.append(again)
    code, said = verified(file.getvalue(), tmp_path)
    assert (code, "bytes by its directory" in said) == (1, True)


def test_a_record_with_its_receipt_under_the_name_of_another_one_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    one, other = sealed.decide(), sealed.decide()
    sealed.seal()
    good = files_of(packed(sealed, one, other)[0])
    first, second = (name.removesuffix(".json") for name in sorted(good) if name.startswith("records/"))

    def renamed(names: Mapping[str, str]) -> bytes:
        files = {}
        for path, data in good.items():
            old = next((name for name in names if name in path), None)
            files[path if old is None else path.replace(old, names[old])] = data
        _remanifested(lambda _: None)(files)
        return zipped(files)

    code, said = verified(renamed({first: second, second: first}), tmp_path)
    assert (code, "is the entry of another id than its name says" in said) == (1, True)
    number = second.partition("/")[2].partition("-")[0]
    code, said = verified(renamed({second: second.replace(number, f"{int(number) + 7:012d}")}), tmp_path)
    assert (code, "has another number in the log than its name says" in said) == (1, True)
    assert verified(renamed({}), tmp_path)[0] == 0


def test_an_overwritten_book_or_record_of_the_database_is_not_packed(sealed: Sealed) -> None:
    name = sealed.decide()
    sealed.seal()
    (entry,) = found(sealed, name)

    class Overwritten:
        def __getattr__(self, method: str) -> Any:
            return getattr(sealed.parts.desk_log, method)

        def content(self, digest: str) -> bytes | None:
            return (sealed.parts.desk_log.content(digest) or b"") + b" "

    def pack(entry: LogEntry, desk_log: Any) -> None:
        asked = PackRequest(by="ines", at=BEGIN, ids=(name,), filters=None, log_size=1)
        entries, sealing = sealed.parts.entries, sealed.sealing
        write_pack(
            io.BytesIO(),
            [entry],
            entries=entries,
            desk_log=desk_log,
            sealing=sealing,
            asked=asked,
            readme=pack_readme,
        )

    with pytest.raises(NotProvable, match=r"archived book `sha256:\w+` was overwritten"):
        pack(entry, Overwritten())
    altered = replace(entry, body=entry.body.replace(b'"JP"', b'"KP"').replace(b'"US"', b'"KP"'))
    with pytest.raises(NotProvable, match="is not entry 3 of 2026 as it was sealed"):
        pack(altered, sealed.parts.desk_log)


def test_the_page_has_every_finding_and_the_facts_on_file_and_the_organisation_and_what_was_asked(
    sealed: Sealed, tmp_path: Path
) -> None:
    name = sealed.decide()
    sealed.seal()
    pack, told = packed(sealed, name)
    files = files_of(pack)
    report = files["report.html"].decode()
    (record,) = [json.loads(data) for path, data in files.items() if path.startswith("records/")]
    for finding in record["answer"]["findings"]:
        assert f"<td>{finding['state']} ({finding['effect']})</td><td>{finding['rule']}</td>" in report
    assert f"<dt>organisation judged</dt><dd>{record['facts'][0]['organisation']}</dd>" in report
    assert "<td>consortium glasswing, status active</td>" in report
    assert "<dt>asked by</dt><dd>ines</dd>" in report
    assert f"<dt>decisions by id</dt><dd>{name}</dd>" in report
    asked = json.loads(files["manifest.json"])["asked"]
    assert (asked["by"], asked["at"], asked["ids"]) == ("ines", "2026-12-31T12:00:00.000000Z", [name])
    code, said = verified(pack, tmp_path)
    assert code == 0
    assert f"  3  {name}  2026-12-31T12:00:00.000000Z  ALLOW  person:carol  mythos-5  infer  " in said
    assert told.contents != told.manifest


def test_a_lifted_bar_is_told_with_what_lifted_it_and_the_licence_that_was_on_file() -> None:
    case = CASES.named("AUT-07")
    body = record_of(judge_of(case), case.roster(), case.request, case.at, caller=case.caller)
    _, section = pack_verifier.told_record(7, 5, body)
    lifted = [one for one in json.loads(body)["answer"]["findings"] if one["state"] == "lifted"]
    assert lifted
    for one in lifted:
        assert f"<td>{one['rule']}</td><td>{' '.join(one['codes'])}</td><td>{one['lifted_by']}</td>" in section
    assert "<td>id LE-1, state usable</td>" in section


# --- the program against the formats ----------------------------------------------------------------------------------


@settings(max_examples=15)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**40), st.integers(0, 200))
def test_the_program_accepts_what_the_ledger_signs_and_no_other_bit(seed: bytes, size: int, place: int) -> None:
    key = SigningKey(name="pdp.example/log/2026", seed=seed)
    root = leaf_hash(seed)
    note = sign_checkpoint(Checkpoint(origin=key.name, size=size, root=root), key).note.decode()
    assert pack_verifier.opened(note, key.verifier.encode()) == (size, root)
    at = place % len(note)
    altered = note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :]
    with pytest.raises((ValueError, IndexError)):
        pack_verifier.opened(altered, key.verifier.encode())


@settings(max_examples=40)
@given(st.integers(1, 600), st.data())
def test_the_program_accepts_every_receipt_of_the_ledger_and_none_for_another_entry(size: int, data: Any) -> None:
    key = SigningKey(name="pdp.example/log/2026", seed=b"\x02" * 32)
    store, entries = Memory(), some(size)
    signed = seal(key=key, store=store, entries=source(entries)).signed
    index = data.draw(st.integers(0, size - 1))
    proof = list(receipt_of(store, index, signed).proof)
    root = signed.checkpoint.root
    assert pack_verifier.stands(entries[index], index, size, proof, root)
    assert not pack_verifier.stands(entries[index] + b"x", index, size, proof, root)
    assert not pack_verifier.stands(entries[index], index, size, [*proof, root], root)
    assert not (proof and pack_verifier.stands(entries[index], index, size, proof[:-1], root))
    assert not (size > 1 and pack_verifier.stands(entries[index], (index + 1) % size, size, proof, root))
