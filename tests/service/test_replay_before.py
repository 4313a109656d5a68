"""Records of before, under a book of before, are made again to the same bytes whatever the words mean since.

`tests/golden/replay/before-2026-11-30.json.gz` has the files of the book as it was, its fingerprint, and generated
worlds with the records that were made of them then. It is never written anew.
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
from policy_engine.service.replay import replay
from tests.conftest import ROOT
from tests.service.decisions import Archive, record_of
from tests.worlds import Read

BEFORE: Final[dict[str, Any]] = json.loads(
    gzip.decompress((ROOT / "tests" / "golden" / "replay" / "before-2026-11-30.json.gz").read_bytes())
)
FILES: Final = {name: text.encode() for name, text in BEFORE["book"].items()}


def judge_of(read: Read) -> Judge:
    return Judge(read_book(FILES, enforcement=read.enforcement, extra_catalogue=read.catalogue))


def test_the_book_of_before_is_read_under_its_own_fingerprint() -> None:
    assert read_book(FILES).fingerprint == BEFORE["fingerprint"]


@pytest.mark.parametrize("first", range(0, 90, 15))
def test_every_record_of_before_is_made_again_byte_for_byte(first: int) -> None:
    differing = {}
    for number, one in enumerate(BEFORE["records"][first : first + 15], first):
        read, body = Read(one["world"]), one["record"].encode()
        judge = judge_of(read)
        past = Archive(rosters={0: read.roster}, judges={judge.book.fingerprint: judge})
        replayed = replay(read_record(body), body, past)
        if not replayed.same:
            differing[number] = replayed.differences or replayed.obstacle
    assert differing == {}


def test_among_them_are_some_that_are_decided_otherwise_now() -> None:
    """Else the records would prove nothing of the editions."""
    changed: Counter[bool] = Counter()
    for one in BEFORE["records"]:
        read = Read(one["world"])
        caller = replace(read.caller, explain=one["explain"])
        now = record_of(judge_of(read), read.roster, read.request, read.at, caller=caller)
        changed[now == one["record"].encode()] += 1
    assert changed[False] >= 1
    assert changed[True] >= 1


def test_what_is_asked_without_an_edition_is_judged_by_the_latest() -> None:
    read = Read(BEFORE["records"][0]["world"])
    assert derive(read.request, read.roster, judge_of(read).book, read.caller, read.at).edition is max(Edition)
