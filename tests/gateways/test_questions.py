"""How a plugin asks: what of an answer counts as an allow, and which settings it starts with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

from policy_engine.domain.instants import parse_instant
from policy_engine.gateways.questions import Misconfigured, Unavailable, answers_in, settings_from

NOW: Final = parse_instant("2026-11-30T12:00:00Z")
ALLOW: Final[dict[str, Any]] = {
    "model": "opus-4.6",
    "decision": "allow",
    "decision_id": "01K",
    "valid_until": "2026-11-30T12:00:05.000000Z",
    "public_code": "ALLOWED",
    "public_message": "Allowed.",
    "fault": None,
}
DENY: Final = {**ALLOW, "decision": "deny", "valid_until": None}


def _told(*answers: Any, allowed: Any = True) -> bytes:
    return json.dumps({"allowed": allowed, "answers": answers}).encode()


def test_an_allow_for_each_model_counts() -> None:
    told = _told(ALLOW, {**ALLOW, "model": "gpt-5.4"})
    assert [one.allowed for one in answers_in(told, ["opus-4.6", "gpt-5.4"], NOW)] == [True, True]


def test_a_deny_counts_whatever_else_it_says() -> None:
    told = _told({**DENY, "model": None, "decision_id": None, "fault": "no place"}, allowed=False)
    (answer,) = answers_in(told, ["opus-4.6"], NOW)
    assert (answer.allowed, answer.fault) == (False, "no place")


def test_clocks_may_differ_by_a_little() -> None:
    assert answers_in(_told({**ALLOW, "valid_until": "2026-11-30T11:59:56Z"}), ["opus-4.6"], NOW)[0].allowed


NO_ANSWERS: Final[dict[str, bytes]] = {
    "nothing": b"",
    "garbage": b"\xff{}",
    "a list": b"[]",
    "no answers": _told(),
    "two answers": _told(ALLOW, ALLOW),
    "an answer that is none": _told(5),
    "allowed that is a text": _told(ALLOW, allowed="true"),
    "allowed that is a number": _told(ALLOW, allowed=1),
    "allowed that is not there": json.dumps({"answers": [ALLOW]}).encode(),
    "allowed beside a deny": _told(DENY),
    "a denial beside an allow": _told(ALLOW, allowed=False),
    "a decision of another kind": _told({**ALLOW, "decision": "Allow"}),
    "a decision that is a truth value": _told({**ALLOW, "decision": True}),
    "another model": _told({**ALLOW, "model": "gpt-5.4"}),
    "no model": _told({**ALLOW, "model": None}),
    "no decision's id": _told({**ALLOW, "decision_id": None}),
    "an empty decision's id": _told({**ALLOW, "decision_id": ""}),
    "an end that is past": _told({**ALLOW, "valid_until": "2026-11-30T11:59:54Z"}),
    "no end": _told({**ALLOW, "valid_until": None}),
    "an end that is none": _told({**ALLOW, "valid_until": "soon"}),
    "an end without a zone": _told({**ALLOW, "valid_until": "2026-11-30T12:00:05"}),
    "no code": _told({**ALLOW, "public_code": None}),
    "a name twice": _told(ALLOW).replace(b'"allowed": true', b'"allowed": false, "allowed": true'),
    "no number": _told(ALLOW).replace(b'"fault": null', b'"fault": NaN'),
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("told", NO_ANSWERS)
def test_what_is_no_answer_to_the_question_allows_nothing(told: str) -> None:
    with pytest.raises(Unavailable):
        answers_in(NO_ANSWERS[told], ["opus-4.6"], NOW)


def test_the_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("pe_1_2\n", encoding="utf-8")
    read = settings_from(
        {
            "POLICY_ENGINE_PLUGIN_URL": "https://engine.internal:8181/",
            "POLICY_ENGINE_PLUGIN_KEY_FILE": str(tmp_path / "key"),
            "POLICY_ENGINE_PLUGIN_HEADERS": "X-Geo-Country, x-purpose",
            "POLICY_ENGINE_PLUGIN_ATTRIBUTES": "user_id,jwt.sub",
        }
    )
    assert (read.url, read.key, read.attributes) == ("https://engine.internal:8181", "pe_1_2", ("user_id", "jwt.sub"))
    assert read.headers == {"x-geo-country", "x-purpose"}


KEY: Final = {"POLICY_ENGINE_PLUGIN_KEY": "pe_1_2"}
MISCONFIGURED: Final[dict[str, tuple[dict[str, str], str]]] = {
    "no key": ({}, "neither is set of POLICY_ENGINE_PLUGIN_KEY and POLICY_ENGINE_PLUGIN_KEY_FILE"),
    "two keys": ({**KEY, "POLICY_ENGINE_PLUGIN_KEY_FILE": "key"}, "both are set"),
    "a file that is not there": ({"POLICY_ENGINE_PLUGIN_KEY_FILE": "/nowhere/key"}, "cannot be read"),
    "a key with a blank": ({"POLICY_ENGINE_PLUGIN_KEY": "pe_1_2 x"}, "copy the token again"),
    "no address": ({**KEY, "POLICY_ENGINE_PLUGIN_URL": "engine:8181"}, "POLICY_ENGINE_PLUGIN_URL"),
    "a key in the address": ({**KEY, "POLICY_ENGINE_PLUGIN_URL": "http://pe_1_2@engine:8181"}, "not an address"),
}


@pytest.mark.parametrize("case", MISCONFIGURED)
def test_a_plugin_that_could_not_ask_does_not_start(case: str) -> None:
    environment, told = MISCONFIGURED[case]
    with pytest.raises(Misconfigured, match=told):
        settings_from(environment)
