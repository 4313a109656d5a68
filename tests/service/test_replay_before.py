"""Records of before, under a book of before, are made again to the same bytes whatever the words mean since.

Each file of `tests/golden/replay` has the files of the book as it was, its fingerprint, and generated worlds with the
records that were made of them then, under one edition of the words. None is ever written anew.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from typing import Any, Final

import pytest

from policy_engine.domain.facts import Edition, derive
from policy_engine.formats.record_reader import read_record
from policy_engine.policy.judge import Judge
from policy_engine.policy.reader import read_book
from policy_engine.service.audit.replay import replay
from tests.conftest import ROOT
from tests.service.decisions import Archive, record_of
from tests.worlds import Read

FOLDER: Final = ROOT / "tests" / "golden" / "replay"
PAST: Final[dict[str, dict[str, Any]]] = {
    path.name: json.loads(gzip.decompress(path.read_bytes())) for path in sorted(FOLDER.glob("*.json.gz"))
}
EACH: Final = pytest.mark.parametrize("before", PAST.values(), ids=PAST)


def judge_of(before: dict[str, Any], read: Read) -> Judge:
    files = {name: text.encode() for name, text in before["book"].items()}
    return Judge(read_book(files, enforcement=read.enforcement, extra_catalogue=read.catalogue, archived=True))


def test_there_are_records_of_each_edition_that_words_had() -> None:
    assert len(PAST) == 4


@EACH
def test_the_book_of_before_is_read_under_its_own_fingerprint(before: dict[str, Any]) -> None:
    files = {name: text.encode() for name, text in before["book"].items()}
    assert read_book(files, archived=True).fingerprint == before["fingerprint"]


@EACH
@pytest.mark.parametrize("first", range(0, 90, 15))
def test_every_record_of_before_is_made_again_byte_for_byte(before: dict[str, Any], first: int) -> None:
    differing = {}
    for number, one in enumerate(before["records"][first : first + 15], first):
        read, body = Read(one["world"]), one["record"].encode()
        judge = judge_of(before, read)
        past = Archive(rosters={0: read.roster}, judges={judge.book.fingerprint: judge})
        replayed = replay(read_record(body), body, past)
        if not replayed.same:
            differing[number] = replayed.differences or replayed.obstacle
    assert differing == {}


@EACH
def test_among_them_are_some_that_are_decided_otherwise_now(before: dict[str, Any]) -> None:
    """Else the records would prove nothing of the editions."""
    changed: Counter[bool] = Counter()
    for one in before["records"]:
        read = Read(one["world"])
        caller = replace(read.caller, explain=one["explain"])
        now = record_of(judge_of(before, read), read.roster, read.request, read.at, caller=caller)
        changed[now == one["record"].encode()] += 1
    assert changed[False] >= 1
    assert changed[True] >= 1


def test_what_is_asked_without_an_edition_is_judged_by_the_latest() -> None:
    before = next(iter(PAST.values()))
    read = Read(before["records"][0]["world"])
    assert derive(read.request, read.roster, judge_of(before, read).book, read.caller, read.at).edition is max(Edition)
