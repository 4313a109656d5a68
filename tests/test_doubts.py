"""Every place at which something that went wrong is caught on the way to a decision, and the test that says deny.

The places are found in the sources, so that a new one without a test is a fault here. What is caught elsewhere, at the
desk, in commands, in the companion, decides nothing.
"""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import create_engine
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from policy_engine.domain.facts import AssertedValueError, Question
from policy_engine.domain.instants import InstantError, parse_instant
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.ports import LogUnavailable
from policy_engine.domain.request import Caller
from policy_engine.domain.roster import Roster, RosterRows
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.archive import encode_archive
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import MalformedRequest, json_in, request_of
from policy_engine.http.direct import Direct
from policy_engine.policy.judge import Judge, JudgingError
from policy_engine.policy.library import BookLost, Library
from policy_engine.store.decision_log import DecisionLog
from tests.concluding import decided
from tests.conftest import FILES, POLICIES, ROOT, shipped

SOURCES: Final = ROOT / "policy_engine"
ON_THE_WAY: Final = (
    *sorted((SOURCES / "domain").rglob("*.py")),
    *(
        SOURCES / name
        for name in (
            "http/body.py",
            "http/direct.py",
            "api/gateway.py",
            "app/tracing.py",
            "http/security.py",
            "formats/client_certificate.py",
            "formats/record.py",
            "formats/record_facts.py",
            "formats/request_document.py",
            "formats/submitted.py",
            "decision/conclude.py",
            "decision/recording.py",
            "policy/judge.py",
            "policy/layers.py",
            "policy/library.py",
            "service/gate/gate.py",
            "service/gate/keyring.py",
            "gateways/asking.py",
            "gateways/authzen/engine.py",
            "gateways/by_status.py",
            "gateways/grpc_check.py",
            "gateways/opa.py",
            "gateways/plugin.py",
            "service/gate/callers.py",
            "service/gate/decision_cache.py",
            "service/gate/issuer_keys.py",
            "service/gate/pools.py",
            "service/gate/rates.py",
            "service/gate/snapshot.py",
            "service/gate/tokens.py",
            "service/gate/turns.py",
            "store/decision_log.py",
        )
    ),
)

DECIDE: Final = "tests/api/test_decide.py::"
MALFORMED: Final = f"{DECIDE}test_a_malformed_body_is_400_and_says_why"
BATCH: Final = "tests/api/test_batch.py::"
LOG: Final = "tests/store/test_decision_log.py::"
UNKNOWN: Final = "tests/policy/test_unknown_items.py::"
HERE: Final = "tests/test_doubts.py::"
STATUS: Final = "tests/gateways/test_by_status.py::"
CHECKED: Final = "tests/gateways/test_grpc_check.py::"
AUTHZEN: Final = "tests/gateways/test_authzen.py::"
TRACING: Final = "tests/gateways/test_tracing.py::"
CALLERS: Final = "tests/gateways/test_callers.py::"
FORGED: Final = f"{CALLERS}test_a_certificate_that_leaves_a_doubt_is_nobodys"
HOSTILE: Final = f"{CALLERS}test_a_hostile_token_is_refused_at_every_door"
KEY_SET: Final = f"{CALLERS}test_a_set_of_keys_that_names_no_one_key_of_a_signature_is_none"

TESTED: Final[dict[tuple[str, str, str], str]] = {
    ("http/direct.py", "Direct.__call__", "ClientDisconnect"): f"{HERE}test_who_hangs_up_is_answered_nothing",
    ("http/direct.py", "Direct.__call__", "Exception"): f"{HERE}test_an_error_that_nobody_foresaw_is_500_and_no_allow",
    ("app/tracing.py", "tracing_to", "ImportError"): (
        f"{TRACING}test_without_the_packages_the_setting_is_refused_with_what_installs_them"
    ),
    ("app/tracing.py", "_Made._span", "BaseException"): (
        f"{TRACING}test_nothing_of_a_person_a_client_a_model_or_an_error_is_in_any_span"
    ),
    ("domain/rules.py", "Row.words", "AttributeError"): (
        f"{HERE}test_the_words_of_a_row_are_those_of_its_conditions_when_they_are_asked_first_and_again"
    ),
    ("domain/webhooks.py", "Receiver.is_here", "ValueError"): (
        "tests/gateways/test_webhooks.py::"
        "test_what_a_receiver_may_be_at_is_public_or_in_a_network_that_it_names_or_here_where_it_says_so"
    ),
    ("decision/conclude.py", "conclude", "AssertedValueError"): f"{HERE}test_an_asserted_word_that_is_none_is_refused",
    ("decision/conclude.py", "conclude", "Exception"): (f"{DECIDE}test_a_fault_inside_the_engine_is_a_recorded_deny"),
    ("decision/conclude.py", "_verdict", "ContradictionError"): (
        "tests/test_properties.py::test_two_us_statuses_at_once_are_an_engine_fault_and_never_an_allow"
    ),
    ("decision/conclude.py", "_remedies.judged", "(AssertedValueError, ContradictionError, JudgingError)"): (
        f"{HERE}test_what_cannot_be_judged_is_no_remedy"
    ),
    ("domain/facts.py", "derive", "ContradictionError"): (
        "tests/test_properties.py::test_two_us_statuses_at_once_are_an_engine_fault_and_never_an_allow"
    ),
    ("domain/facts.py", "_one_of", "ValueError"): f"{HERE}test_an_asserted_word_that_is_none_is_refused",
    ("domain/instants.py", "parse_instant", "(ValueError, OverflowError)"): f"{HERE}test_what_is_no_instant_is_refused",
    ("domain/tangles.py", "solve", "_TooMuchWork"): (
        "tests/policy/test_tangled_ownership.py::test_what_cannot_be_told_within_the_bound_is_denied_and_held_and_named"
    ),
    ("domain/words/memory.py", "recall", "ItemUnknown"): (
        f"{UNKNOWN}test_a_bar_that_asks_about_the_item_stands_and_says_that_the_model_is_missing"
    ),
    ("formats/request_document.py", "json_in", "UnicodeDecodeError"): MALFORMED,
    ("formats/request_document.py", "json_in", "MalformedRequest"): MALFORMED,
    ("formats/request_document.py", "json_in", "json.JSONDecodeError"): MALFORMED,
    ("formats/request_document.py", "json_in", "RecursionError"): f"{HERE}test_what_no_parser_goes_into_is_refused",
    ("formats/request_document.py", "json_in", "ValueError"): MALFORMED,
    ("formats/request_document.py", "_read_choice.read", "ValueError"): (
        f"{DECIDE}test_a_malformed_field_is_400_and_named"
    ),
    ("policy/judge.py", "Judge._reaches", "(ContradictionError, JudgingError)"): (
        f"{HERE}test_a_place_without_which_nothing_can_be_judged_is_drawn"
    ),
    ("policy/library.py", "Library.files", "ValueError"): f"{HERE}test_a_book_that_does_not_read_back_is_lost",
    ("policy/library.py", "Library.book", "FaultsError"): f"{HERE}test_a_book_that_does_not_read_back_is_lost",
    ("formats/request_document.py", "batch_item_of", "MalformedRequest"): (
        f"{BATCH}test_an_item_that_is_no_request_is_a_recorded_deny_with_its_fault"
    ),
    ("domain/gateways.py", "within", "ValueError"): (
        "tests/gateways/test_profiles.py::test_a_chain_with_what_is_no_address_is_a_doubt"
    ),
    ("formats/client_certificate.py", "_client_cert", "(binascii.Error, ValueError, x509.DuplicateExtension)"): FORGED,
    ("formats/client_certificate.py", "_names", "x509.ExtensionNotFound"): (
        f"{CALLERS}test_a_certificate_of_one_whom_not_one_entry_means_may_do_nothing"
    ),
    ("gateways/opa.py", "decide_as_opa", "Doubt"): "tests/gateways/test_opa.py::test_a_doubt_is_a_recorded_deny",
    ("http/security.py", "_looked", "suppress(TimeoutError)"): (
        f"{CALLERS}test_an_issuer_that_does_not_answer_in_time_lets_nobody_in"
    ),
    ("service/gate/callers.py", "_ByCertificate._trusting", "Doubt"): FORGED,
    ("service/gate/callers.py", "_ByCertificate._certificate", "CertificateFault"): FORGED,
    ("service/gate/issuer_keys.py", "IssuerKeys.look", "IssuerUnavailable"): (
        f"{CALLERS}test_an_issuer_that_is_silent_from_the_first_is_told_once_and_lets_nobody_in"
    ),
    ("service/gate/issuer_keys.py", "read_keys", "MalformedRequest"): KEY_SET,
    ("service/gate/issuer_keys.py", "_key", "(JoseError, ValueError, TypeError, KeyError)"): KEY_SET,
    ("service/gate/tokens.py", "Tokens.wants_look", "InvalidToken"): HOSTILE,
    ("service/gate/tokens.py", "Tokens._checked", "(JoseError, ValueError, TypeError)"): HOSTILE,
    ("service/gate/tokens.py", "_members", "(MalformedRequest, binascii.Error)"): HOSTILE,
    ("gateways/asking.py", "ask", "(Doubt, MalformedRequest)"): f"{STATUS}test_a_doubt_is_a_recorded_deny",
    ("gateways/asking.py", "ask", "MalformedRequest"): f"{STATUS}test_a_doubt_is_a_recorded_deny",
    (
        "gateways/asking.py",
        "ask_each",
        "Doubt",
    ): f"{STATUS}test_each_of_several_models_is_denied_where_nobody_can_be_asked",
    ("gateways/asking.py", "_item", "MalformedRequest"): (f"{STATUS}test_each_of_several_models_has_its_own_answer"),
    ("gateways/asking.py", "client_body", "MalformedRequest"): (
        f"{STATUS}test_a_body_that_programs_read_differently_is_denied"
    ),
    ("gateways/authzen/engine.py", "EngineWorld.evaluate", "MalformedRequest"): (
        f"{AUTHZEN}test_what_is_not_known_is_a_recorded_denial"
    ),
    ("gateways/authzen/engine.py", "EngineWorld._item", "(Doubt, MalformedRequest)"): (
        f"{AUTHZEN}test_what_is_not_known_is_a_recorded_denial"
    ),
    ("gateways/authzen/engine.py", "EngineWorld._supposed", "(Doubt, MalformedRequest)"): (
        f"{AUTHZEN}test_what_is_not_known_is_found_by_no_search"
    ),
    ("gateways/authzen/engine.py", "_is_allowed", "(AssertedValueError, MalformedRequest)"): (
        f"{AUTHZEN}test_what_is_not_known_is_found_by_no_search"
    ),
    ("gateways/by_status.py", "_answered", "ClientDisconnect"): f"{HERE}test_who_hangs_up_is_answered_nothing",
    (
        "gateways/by_status.py",
        "_answered",
        "Exception",
    ): f"{STATUS}test_where_no_answer_can_be_given_nothing_is_allowed",
    ("gateways/by_status.py", "_asked", "Doubt"): f"{STATUS}test_a_body_that_programs_read_differently_is_denied",
    ("gateways/grpc_check.py", "listening", "RuntimeError"): f"{CHECKED}test_a_port_that_is_taken_is_an_error",
    ("gateways/grpc_check.py", "check", "Exception"): (
        f"{CHECKED}test_what_breaks_in_the_engine_is_an_error_with_a_status_and_no_word_of_what_broke"
    ),
    ("gateways/grpc_check.py", "_asked", "Doubt"): f"{CHECKED}test_a_doubt_is_a_deny_on_record",
    ("gateways/grpc_check.py", "_message", "DecodeError"): f"{CHECKED}test_a_doubt_is_a_deny_on_record",
    ("service/gate/gate.py", "Gate._item", "MalformedRequest"): (
        f"{BATCH}test_a_licence_determination_is_refused_in_a_batch_whose_allow_would_be_taken_for_access"
    ),
    ("service/gate/gate.py", "Gate._item", "NotFresh"): (
        f"{BATCH}test_an_item_that_asks_for_newer_members_is_denied_with_that_and_the_others_are_answered"
    ),
    ("service/gate/gate.py", "Gate._written", "AssertedValueError"): (
        f"{DECIDE}test_a_malformed_field_is_400_and_named"
    ),
    ("service/gate/snapshot.py", "StandingView._judge", "BookLost"): (
        f"{DECIDE}test_without_a_book_that_can_be_read_everything_is_denied"
    ),
    ("service/gate/turns.py", "walked", "StopIteration"): (
        "tests/service/test_gate.py::test_a_synchronous_door_never_answers_before_the_record"
    ),
    ("store/decision_log.py", "DecisionLog.__init__", "SQLAlchemyError"): (
        f"{HERE}test_a_log_whose_database_is_out_of_reach_does_not_begin"
    ),
    ("store/decision_log.py", "DecisionLog._serve", "(SQLAlchemyError, NotDurable)"): (
        f"{LOG}test_a_database_that_is_gone_fails_the_group_and_the_next_one_is_written_when_it_is_back"
    ),
    ("store/decision_log.py", "DecisionLog._commit", "IntegrityError"): (
        f"{LOG}test_an_attempt_that_another_writes_without_the_lock_in_between_is_seen_when_the_group_is_written_again"
    ),
}
"""The test that says what comes of it, by file, function and what is caught."""


def caught(path: Path) -> Iterator[tuple[str, str, str]]:
    """Every `except` and every `suppress` of a file."""

    def within(node: ast.AST, names: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
        for child in ast.iter_child_nodes(node):
            inner = names
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                inner = (*names, child.name)
            place = path.relative_to(SOURCES).as_posix(), ".".join(names)
            if isinstance(child, ast.ExceptHandler):
                yield *place, "everything" if child.type is None else ast.unparse(child.type)
            if isinstance(child, ast.withitem) and "suppress" in ast.unparse(child.context_expr):
                yield *place, ast.unparse(child.context_expr)
            yield from within(child, inner)

    yield from within(ast.parse(path.read_text(encoding="utf-8")), ())


def test_whatever_is_caught_on_the_way_to_a_decision_has_a_test_that_says_what_comes_of_it() -> None:
    assert set(TESTED) == {place for path in ON_THE_WAY for place in caught(path)}
    for test in TESTED.values():
        file, _, name = test.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, test


AT: Final = parse_instant("2026-11-20T12:00:00Z")
BOOK: Final = shipped()
DEMO: Final = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
CALLER: Final = Caller(id="gateway", assertable=frozenset({"us_status", "sector"}), explain=True)
THIRD: Final[dict[str, Any]] = {
    "subject": {"type": "person", "id": "bora"},
    "model": "technology:4E001.a",
    "action": "release",
    "place": {"country": "KR"},
}


def _two_licences() -> RosterRows:
    """The licence that the third person may still use, and another one that would do as well."""
    (first,) = (paper for paper in DEMO.authorisations if paper.id == "D-1")
    return replace(DEMO, authorisations=(*DEMO.authorisations, replace(first, id="D-2")))


class _Doubtful(Judge):
    """A judge that fails wherever it judges again with fewer places than it read."""

    def __init__(self, error: Exception) -> None:
        super().__init__(BOOK)
        self.error = error
        self.whole: int | None = None

    def _judged(self, question: Question) -> Verdict:
        if self.whole is not None:
            raise self.error
        found = super()._judged(question)
        self.whole = len(question.places)
        return found


@pytest.mark.parametrize("error", [ContradictionError("two of them"), JudgingError("no code applies")], ids=str)
def test_a_place_without_which_nothing_can_be_judged_is_drawn(error: Exception) -> None:
    roster = Roster.as_known(_two_licences(), AT)
    sure = decided(Judge(BOOK), roster, request_of(THIRD), CALLER, AT).verdict
    assert (sure.allowed, len(sure.draws)) == (True, 1)
    doubtful = decided(_Doubtful(error), roster, request_of(THIRD), CALLER, AT).verdict
    assert [draw.authorisation for draw in doubtful.draws] == ["D-1", "D-2"]


class _OnlyOnce(Judge):
    """A judge that judges what was asked, and fails on everything that is only supposed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(BOOK)
        self.error: Exception | None = None
        self.later = error

    def verdict(self, question: Question) -> Verdict:
        if self.error is not None:
            raise self.error
        self.error = self.later
        return super().verdict(question)


@pytest.mark.parametrize("error", [ContradictionError("x"), JudgingError("x"), AssertedValueError("x")], ids=repr)
def test_what_cannot_be_judged_is_no_remedy(error: Exception) -> None:
    asked = request_of({"subject": {"type": "person", "id": "hans"}, "model": "opus-4.6", "action": "infer"})
    asked = replace(asked, fallbacks=())
    roster = Roster.as_known(DEMO, AT)
    told = decided(Judge(BOOK), roster, asked, CALLER, AT)
    assert (told.verdict.allowed, bool(told.remedies)) == (False, True)
    doubtful = decided(_OnlyOnce(error), roster, asked, CALLER, AT)
    assert (doubtful.verdict.allowed, doubtful.remedies) == (False, ())


@pytest.mark.parametrize(
    ("subject", "name", "value"),
    [
        ({"type": "person", "id": "bora"}, "us_status", "citzen"),
        ({"type": "organisation", "id": "namhae-lab"}, "sector", "Government"),
    ],
)
def test_an_asserted_word_that_is_none_is_refused(subject: dict[str, str], name: str, value: str) -> None:
    asked = request_of({**THIRD, "subject": {**subject, "properties": {name: value}}})
    with pytest.raises(AssertedValueError, match=f"property `{name}` has no value `{value}`"):
        decided(Judge(BOOK), Roster.as_known(DEMO, AT), asked, CALLER, AT)


@pytest.mark.parametrize(
    "text", ["2026-13-01", "2026-02-30", "2026-01-01T25:00:00Z", "0000-01-01", "9999-12-31T23:59:59-01:00", "now", ""]
)
def test_what_is_no_instant_is_refused(text: str) -> None:
    with pytest.raises(InstantError):
        parse_instant(text)


def test_a_book_that_does_not_read_back_is_lost() -> None:
    faulty = {**FILES, "rules/vendor.csv": FILES["rules/vendor.csv"].replace(b",deny,", b",Deny,")}
    held: dict[str, bytes] = {
        "cut": encode_archive(FILES)[:-9],
        "faulty": encode_archive(faulty),
        "whole": encode_archive(FILES),
    }
    library = Library(held.get)
    for archive in ("cut", "faulty", "missing"):
        with pytest.raises(BookLost):
            library.judge(BOOK.fingerprint, archive)
    assert library.judge(BOOK.fingerprint, "whole").book.fingerprint == BOOK.fingerprint
    # Also where that archive was read before, for the book that it is.
    with pytest.raises(BookLost, match="reads as"):
        library.judge("sha256:another", "whole")


def test_a_log_whose_database_is_out_of_reach_does_not_begin() -> None:
    with pytest.raises(LogUnavailable):
        DecisionLog(create_engine("sqlite:////nowhere/at/all.db"))


def _asked(error: Exception) -> list[Any]:
    """What is sent to a client whose request ends in the error."""
    sent: list[Any] = []

    async def endpoint(_: Request) -> Response:
        raise error

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing(*_: Any) -> None:
        raise AssertionError("nobody else is asked")

    scope = {"type": "http", "method": "POST", "path": "/decide", "headers": []}
    with suppress(ZeroDivisionError):
        asyncio.run(Direct(nothing, {"/decide": endpoint}, {})(scope, receive, send))
    return sent


def test_an_error_that_nobody_foresaw_is_500_and_no_allow() -> None:
    start, body = _asked(ZeroDivisionError("a fact about somebody"))
    assert start["status"] == 500
    assert b"nothing is allowed" in body["body"]
    assert b"somebody" not in body["body"]


def test_who_hangs_up_is_answered_nothing() -> None:
    assert _asked(ClientDisconnect()) == []


def test_what_no_parser_goes_into_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="nested too deep"):
        json_in(b"[" * 100_000, json.loads)


def test_the_words_of_a_row_are_those_of_its_conditions_when_they_are_asked_first_and_again() -> None:
    for row in map(replace, shipped().rows):
        wanted = {term.word for term in row.terms}
        assert row.words == wanted
        assert row.words == wanted
