"""The files of a rule book as one document: what is archived under its digest, proposed over HTTP and restored.

Canonical JSON in UTF-8, members sorted: `{"files": {"<name relative to the folder>": "<text>"}, "v": 1}`. A byte-order
mark is a character like any other, so every file comes back byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from policy_engine.formats.faults import FaultsError, Findings

ARCHIVE_VERSION: Final = 1
_encoder: Final = msgspec.json.Encoder(order="sorted")


class _Archive(msgspec.Struct, forbid_unknown_fields=True):
    files: dict[str, str]
    v: int = ARCHIVE_VERSION


def encode_archive(files: Mapping[str, bytes]) -> bytes:
    """The document. Raises `FaultsError` naming every file that is not UTF-8."""
    findings = Findings(source="the book")
    texts = {}
    for name, data in files.items():
        try:
            texts[name] = data.decode("utf-8")
        except UnicodeDecodeError as error:
            place = Findings(source=name, faults=findings.faults)
            place.add(data[: error.start].count(b"\n") + 1, 1, "the file is not UTF-8", "save it as UTF-8")
    if findings.faults:
        raise FaultsError(findings.faults)
    return _encoder.encode({"files": texts, "v": ARCHIVE_VERSION})


def decode_archive(data: bytes) -> dict[str, bytes]:
    """The files by name. Raises `ValueError` for what is no archive of a version that is known."""
    archive = msgspec.json.decode(data, type=_Archive)
    if archive.v != ARCHIVE_VERSION:
        raise ValueError(f"an archive of version {archive.v} is not known to this release")
    return {name: text.encode("utf-8", "surrogatepass") for name, text in archive.files.items()}
