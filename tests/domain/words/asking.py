"""One word asked of one party, by the small book."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Final

from policy_engine.domain.facts import derive
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.logic import Answer
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import Book
from policy_engine.domain.words import ask
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import request_of
from policy_engine.policy.reader import read_book
from tests.policy import books

AT: Final = parse_instant("2026-06-20T12:00:00Z")


@cache
def small_book() -> Book:
    """Read once for all who ask."""
    return read_book(books.book())


def asked(word: str, members: Mapping[str, object], **request: object) -> Answer:
    """What the word, with its parameter after a colon, answers of the subject `ann` or of what the request says; with
    `gateway`, through that one."""
    gateway = request.pop("gateway", None)
    document = {"subject": {"type": "person", "id": "ann"}, "model": "alpha-1", "action": "infer"} | request
    roster = Roster.as_known(read_members(json.dumps(members).encode(), "members"))
    caller = Caller(id="test", gateway=None if gateway is None else str(gateway))
    question = derive(request_of(document), roster, small_book(), caller, AT)
    name, _, parameter = word.partition(":")
    return ask(question.parties[0], name, parameter)
