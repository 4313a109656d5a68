"""An archived book comes back into a folder byte for byte, or nothing does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from policy_engine.formats.archive import encode_archive
from policy_engine.policy.cases import desk_folder
from policy_engine.policy.reader import read_book
from policy_engine.service.administration.publish import found_book
from policy_engine.store.database import open_database, writing
from policy_engine.store.desk_log import DeskLog
from policy_engine.store.tables import blobs
from tests.api.service import NOON
from tests.cli.test_cli import Shell, shell
from tests.policy.books import BAR, GRANT, NOTE, book, sheet

__all__ = ["shell"]

FILES: Mapping[str, bytes] = {
    **book(rules=b"\xef\xbb\xbf" + sheet(GRANT, BAR, NOTE, separator=";", newline="\r\n")),
    "cases/one.yaml": "- id: ONE # größer\n".encode(),
}
FINGERPRINT = read_book({name: data for name, data in FILES.items() if not name.startswith("cases/")}).fingerprint


@pytest.fixture
def archive(shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A command line beside a database in which the small book is archived, and no service."""
    for name in ("POLICY_ENGINE_URL", "POLICY_ENGINE_KEY"):
        monkeypatch.delenv(name, raising=False)
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    found_book(DeskLog(engine), FILES, at=NOON, entry_id="founding")
    engine.dispose()
    return shell


def tamper(tmp_path: Path, files: Mapping[str, bytes]) -> None:
    """Other content under the digest of the archive, by whoever has the database."""
    engine = open_database(f"sqlite:///{tmp_path / 'cli.db'}")
    with writing(engine) as writer:
        writer.exec_driver_sql("DROP TRIGGER blobs_refuse_update")
        writer.execute(update(blobs).values(body=encode_archive(files)))
    engine.dispose()


def left(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if not one.name.startswith("cli.db"))


@pytest.mark.parametrize("made", [False, True])
def test_a_book_comes_back_byte_for_byte_into_a_new_or_empty_folder(archive: Shell, tmp_path: Path, made: bool) -> None:
    folder = tmp_path / "out" / "book"
    if made:
        folder.mkdir(parents=True)
    told = archive("policy", "fetch", FINGERPRINT, str(folder))
    assert (told.code, FINGERPRINT in told.out) == (0, True)
    assert desk_folder(folder) == FILES
    assert left(tmp_path / "out") == ["book"]


def test_the_result_is_json_on_request(archive: Shell, tmp_path: Path) -> None:
    document: Any = archive("policy", "fetch", FINGERPRINT, str(tmp_path / "book"), "--json").json
    assert document == {
        "fingerprint": FINGERPRINT,
        "folder": str(tmp_path / "book"),
        "files": sorted(FILES),
        "bytes": sum(map(len, FILES.values())),
    }


def test_a_folder_with_anything_in_it_is_refused_and_left_as_it_is(archive: Shell, tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "note.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for name, why in (("book", "is not empty"), ("file", "is not a folder")):
        told = archive("policy", "fetch", FINGERPRINT, str(tmp_path / name))
        assert (told.code, why in told.err) == (2, True)
    assert left(tmp_path / "book") == ["note.txt"]


def test_a_book_that_was_never_archived_and_what_is_not_a_fingerprint_are_told(archive: Shell, tmp_path: Path) -> None:
    told = archive("policy", "fetch", "sha256:0", str(tmp_path / "book"))
    assert (told.code, "was ever archived here" in told.err) == (1, True)
    told = archive("policy", "fetch", "PROP-1", str(tmp_path / "book"))
    assert (told.code, "is not a fingerprint" in told.err) == (2, True)
    assert not (tmp_path / "book").exists()


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({**FILES, "rules/vendor.csv": sheet(GRANT)}, "the files read as sha256:"),
        ({**FILES, "catalogue.yaml": b"a: ["}, "has faults in this release"),
        ({**FILES, "cases/../../evil.yaml": b""}, "outside of the folder"),
        ({**FILES, "/evil.yaml": b""}, "outside of the folder"),
    ],
)
def test_what_does_not_read_as_the_book_leaves_nothing(
    archive: Shell, tmp_path: Path, files: Mapping[str, bytes], why: str
) -> None:
    tamper(tmp_path, files)
    told = archive("policy", "fetch", FINGERPRINT, str(tmp_path / "book"))
    assert (told.code, why in told.err) == (1, True)
    assert left(tmp_path) == []
