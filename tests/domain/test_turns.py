"""Who asks about a tangle that somebody is just solving waits for that, and does not solve it again beside it."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from policy_engine.domain.decision import Decision
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Action, Caller, Request, Subject, SubjectType
from policy_engine.domain.roster import Roster
from policy_engine.formats.membership_file import read_members
from tests.concluding import decided
from tests.conftest import judge_for

COMPANIES = 40
ASKING = 6
AT = parse_instant("2026-11-20T12:00:00Z")


def tangled() -> Roster:
    """Companies that hold shares in each other, all in one tangle, with a Chinese owner above each fifth."""
    names = [f"co-{number}" for number in range(COMPANIES)]
    links = [
        {"owner": names[(place + step) % COMPANIES], "owned": name, "percent": "9", "from": "2020-01-01"}
        for place, name in enumerate(names)
        for step in (1, 3, 7, 11)
    ]
    organisations = [{"id": name, "incorporated": "US", "headquarters": "US", "reseller": False} for name in names]
    links += [{"owner": "cn", "owned": name, "percent": "40", "from": "2020-01-01"} for name in names[::5]]
    organisations.append({"id": "cn", "incorporated": "CN", "headquarters": "CN", "reseller": False})
    document = {"organisations": organisations, "ownership": links}
    return Roster.as_known(read_members(json.dumps(document).encode(), "tangle"))


class Counting(dict[Hashable, object]):
    """Counts how often a solution of a tangle is put down under a name."""

    def __init__(self) -> None:
        super().__init__()
        self.put: Counter[Hashable] = Counter()

    def __setitem__(self, key: Hashable, value: object) -> None:
        if isinstance(key, tuple) and key[0] == "tangle":
            self.put[key] += 1
        super().__setitem__(key, value)


def test_a_tangle_is_solved_once_however_many_ask_at_the_same_time() -> None:
    counting = Counting()
    roster = replace(tangled(), memo=counting, turn=threading.RLock())
    judge = judge_for({}, None)
    start = threading.Barrier(ASKING)

    def asked(number: int) -> Decision:
        subject = Subject(type=SubjectType.ORGANISATION, id=f"co-{number}")
        request = Request(subject=subject, model="opus-4.6", action=Action.INFER)
        start.wait(20)
        return decided(judge, roster, request, Caller(id="test"), AT)

    with ThreadPoolExecutor(ASKING) as threads:
        answered = list(threads.map(asked, range(ASKING)))
    assert counting.put
    assert set(counting.put.values()) == {1}
    assert len({one.verdict.allowed for one in answered}) == 1


def test_the_turn_is_given_back_by_whoever_fails() -> None:
    turn = threading.RLock()

    class Breaking(Counting):
        def __setitem__(self, key: Hashable, value: object) -> None:
            if isinstance(key, tuple) and key[0] == "tangle":
                raise MemoryError
            super().__setitem__(key, value)

    roster = replace(tangled(), memo=Breaking(), turn=turn)
    request = Request(subject=Subject(type=SubjectType.ORGANISATION, id="co-0"), model="opus-4.6", action=Action.INFER)
    with pytest.raises(MemoryError):
        decided(judge_for({}, None), roster, request, Caller(id="test"), AT)
    with ThreadPoolExecutor(1) as another:
        assert another.submit(turn.acquire, blocking=False).result(20)
