"""`policy-engine policy fetch`: an archived book, back in a folder byte for byte."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

import typer

from policy_engine.app.stores import open_stores
from policy_engine.cli.output import JsonFlag, failed, tell
from policy_engine.cli.remote import Misused, open_service
from policy_engine.cli.settings import settings_with_database
from policy_engine.domain.changes import BOOK_KINDS
from policy_engine.domain.desk import desk_after
from policy_engine.formats.faults import FaultsError
from policy_engine.policy.library import BookLost
from policy_engine.policy.reader import book_files, read_book
from policy_engine.shapes.administration import BookFilesDocument

_PREFIX: Final = "sha256:"
_SERVICE: Final = ("POLICY_ENGINE_KEY", "POLICY_ENGINE_URL")


def fetch(
    fingerprint: Annotated[str, typer.Argument(help="The book, as `policy show` and every decision name it.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; it is new, or empty.")],
    *,
    as_json: JsonFlag = False,
) -> None:
    """Write an archived book into a folder, byte for byte as it was accepted, with its worked examples.

    It comes from the service where POLICY_ENGINE_KEY or POLICY_ENGINE_URL is set, else from the database of the
    settings. What was written is read back; if it has another fingerprint, it is removed and the exit code is 1.

    Example: policy-engine policy fetch sha256:5d14... in-june
    """
    if not fingerprint.startswith(_PREFIX):
        raise Misused(f"`{fingerprint}` is not a fingerprint: write sha256: and 64 digits, as `policy show` does")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "is not empty" if folder.is_dir() else "is not a folder"
        raise Misused(f"`{folder}` {what}: name a folder that is new or empty, so that nothing is mixed or lost")
    found = _from_service if any(os.environ.get(name) for name in _SERVICE) else _from_database
    files = found(fingerprint)
    fault = _written(files, folder, fingerprint)
    if fault is not None:
        raise failed(f"{fault}; nothing was written")
    size = sum(map(len, files.values()))
    told = {"fingerprint": fingerprint, "folder": str(folder), "files": sorted(files), "bytes": size}
    tell(told, f"{folder}: {len(files)} files, {size:,} bytes; they read as {fingerprint}", as_json=as_json)


def _from_service(fingerprint: str) -> dict[str, bytes]:
    told = open_service(role="auditor").get("policy", "books", fingerprint).read(BookFilesDocument)
    return {name: text.encode("utf-8") for name, text in told.files.items()}


def _from_database(fingerprint: str) -> dict[str, bytes]:
    with open_stores(settings_with_database()) as stores:
        archive = desk_after(stores.desk_log.changes(BOOK_KINDS)).archive_of(fingerprint)
        if archive is None:
            raise failed(f"no book with the fingerprint `{fingerprint}` was ever archived here")
        try:
            return stores.library.files(archive)
        except BookLost as error:
            raise failed(error) from error


def _written(files: Mapping[str, bytes], folder: Path, fingerprint: str) -> str | None:
    """Write the files beside the folder, read them again, and give them its name; what is wrong with them, if anything.

    Raises `OSError`; then and after a fault nothing is left.
    """
    for name in files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or "\\" in name or any(part in ("..", ".") for part in parts):
            return f"the archive has a file `{name}`, which would stand outside of the folder"
    target = folder.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name, data in files.items():
            place = partial / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        again = {name: (partial / name).read_bytes() for name in files}
        if again != files:
            return f"what was written to `{partial}` does not read as the same book"
        try:
            read = read_book(book_files(again), archived=True).fingerprint
        except FaultsError as error:
            return f"the book has faults in this release: {error.faults[0]}"
        if read != fingerprint:
            return f"the files read as {read}"
        partial.chmod(0o755)
        partial.replace(target)
        return None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
