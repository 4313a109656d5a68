"""A record says what was decided, by which facts and for whom; version 1 is frozen and stays readable."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from policy_engine import ENGINE_VERSION
from policy_engine.decision.conclude import too_long
from policy_engine.domain.catalogue import Catalogue, Entry, ItemKind, Tier
from policy_engine.domain.decision import Decision
from policy_engine.domain.facts import Party, Question, derive
from policy_engine.domain.instants import Validity, parse_instant
from policy_engine.domain.persons import ContradictionError
from policy_engine.domain.places import Places
from policy_engine.domain.remedies import to_model
from policy_engine.domain.request import Action, Assertion, Caller, Destination, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PermanentResidency,
    Person,
    PersonEntry,
    Roster,
    RosterRows,
    Sector,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.rules import REGIMES, Book, BookSettings, Effect, Obligation, PublicCode, Tables
from policy_engine.domain.verdict import Finding, State, Verdict, combine
from policy_engine.domain.words import VOCABULARY, ask
from policy_engine.domain.words.word import Fact
from policy_engine.formats.record import (
    MAX_RECORD_BYTES,
    encode_answer,
    encode_facts,
    encode_record,
    encode_record_without_facts,
    encode_shortened_record,
)
from policy_engine.formats.record_facts import known_facts
from policy_engine.formats.record_reader import (
    RecordedDecision,
    RecordFault,
    read_record,
)
from policy_engine.formats.request_document import body_of
from policy_engine.policy.cases import Case
from policy_engine.shapes.record import (
    AuthorisationOnRecord,
    ClusterOnRecord,
    KnownDocument,
    ListingOnRecord,
    MembershipOnRecord,
    RecordDocument,
)
from tests.conftest import CASES, judge_of

REMEDY: Final = "Ask for beta-1 instead."
GOLDEN: Final = Path(__file__).parent.parent / "golden" / "records"
AT: Final = parse_instant("2026-06-20T15:00:00.000001Z")
UNTIL: Final = parse_instant("2026-06-20T15:00:05.000001Z")
SINCE: Final = Validity(start=parse_instant("2020-01-01"))
OVER: Final = Validity(start=parse_instant("2010-01-01"), end=parse_instant("2020-01-01"))
TO_COME: Final = Validity(start=parse_instant("2030-01-01"))

ROWS: Final = RosterRows(
    organisations=(
        Organisation(
            id="works",
            name="A name that no record has",
            incorporated="US",
            headquarters="DE",
            contract_country="FR",
            sector=Sector.GOVERNMENT,
            reseller=False,
        ),
        Organisation(id="host"),
    ),
    people=(
        PersonEntry(
            id="ann",
            employments_filed=True,
            us_status_filed=True,
            citizenships_filed=True,
            permanent_residencies_filed=False,
        ),
    ),
    employments=(Employment(person="ann", organisation="works", kind=EmploymentKind.EMPLOYEE, valid=SINCE),),
    us_statuses=(
        UsStatus(person="ann", kind=UsStatusKind.NONE, valid=SINCE),
        UsStatus(person="ann", kind=UsStatusKind.CITIZEN, valid=TO_COME),
    ),
    citizenships=(
        Citizenship(person="ann", country="IR", valid=OVER),
        Citizenship(person="ann", country="CN", valid=SINCE),
        Citizenship(person="ann", country="CA", valid=SINCE),
    ),
    accounts=(Account(id="key", kind=AccountKind.ACCOUNT, organisation="works", person="ann", cluster="c-1"),),
    memberships=(
        Membership(organisation="works", consortium="circle", status=MembershipStatus.ACTIVE, valid=SINCE),
        Membership(organisation="works", consortium="others", status=MembershipStatus.SUSPENDED, valid=SINCE),
        Membership(organisation="works", consortium="circle", status=MembershipStatus.SUSPENDED, valid=OVER),
    ),
    authorisations=tuple(
        Authorisation(
            id=name,
            regime="us-ear",
            kind=AuthorisationKind.LICENCE,
            holder=holder,
            models=("alpha-1",),
            actions=("infer",),
            named_users=cap,
            valid=valid,
        )
        for name, holder, cap, valid in (
            ("D-1", "works", None, SINCE),
            ("D-2", "works", 1, SINCE),
            ("D-3", "works", None, OVER),
            ("D-4", "host", None, SINCE),
        )
    ),
    draws=(Draw(authorisation="D-2", person="bob", at=parse_instant("2026-01-01")),),
    listings=tuple(
        Listing(
            party=party,
            list=code,
            entry="Another name that no record has",
            entry_version=version,
            reference="90 FR 4617",
            status=status,
            valid=valid,
        )
        for party, code, version, status, valid in (
            ("works", "EL", "2025-01-16", ListingStatus.CONFIRMED, SINCE),
            ("works", "UVL", None, ListingStatus.CONFIRMED, SINCE),
            ("person:ann", "SDN", None, ListingStatus.POTENTIAL, SINCE),
            ("works", "SDN", "1", ListingStatus.CLEARED, OVER),
            ("host", "EL", "2024-01-01", ListingStatus.CONFIRMED, SINCE),
        )
    ),
    statements=(
        Statement(organisation="works", kind=StatementKind.UVL, valid=SINCE),
        Statement(organisation="works", kind=StatementKind.STA_CONSIGNEE, valid=SINCE),
    ),
    clusters=(
        ClusterReading(
            id="c-1", shared=("payment",), accounts=2, exchanges_24h=3, as_of=parse_instant("2026-06-20T10:00:00Z")
        ),
    ),
)
ENTRY: Final = Entry(id="alpha-1", kind=ItemKind.MODEL, tier=Tier.COMMODITY, aliases=(("main", ("alpha",)),))
BOOK: Final = Book(
    rows=(),
    tables=Tables(places=Places(groups={}), catalogue=Catalogue(entries={"alpha-1": ENTRY})),
    settings=BookSettings(),
    matcher="",
    fingerprint="sha256:" + "0f" * 32,
)
CALLER: Final = Caller(id="K-1", gateway="main", assertable=frozenset({"us_status", "citizenships"}), explain=True)
REQUEST: Final = Request(
    subject=Subject(
        type=SubjectType.ACCOUNT,
        id="key",
        properties=(
            Assertion(name="citizenships", values=("CA", "CN"), is_list=True),
            Assertion(name="colours", values=(), is_list=True),
            Assertion(name="us_status", values=("none",), is_list=False),
        ),
    ),
    model="alpha",
    action=Action.INFER,
    acting_for="works",
    purpose="research",
    place=Place(country="DE", subdivision="DE-BE", postcode="10115", ip="203.0.113.7", ip_country="DE"),
    end_user=Subject(type=SubjectType.ORGANISATION, id="works"),
    destination=Destination(country="DE", host="host"),
    exception="STA",
    fallbacks=(),
    min_revision=3,
    request_id="gw-1",
)
EVERYTHING: Final = (
    ("foreign-person", ""),
    ("itar-national", "CU"),
    ("employee", ""),
    ("foreign-organisation", ""),
    ("established-in", "CU"),
    ("sector", "government"),
    ("reseller", ""),
    ("member", "circle"),
    ("any-listed", "EL"),
    ("listing-potential", "SDN"),
    ("statement", "uvl"),
    ("holds-or-host", "us-ear/licence"),
    ("located-in", "DE"),
)
"""Words that between them look at every fact but the cluster, whose word needs a test of the book."""


def question_of(request: Request = REQUEST, rows: RosterRows = ROWS, at: datetime = AT) -> Question:
    return derive(request, Roster.as_known(rows, revision=5), BOOK, CALLER, at)


def asked(*words: tuple[str, str], request: Request = REQUEST, rows: RosterRows = ROWS) -> Party:
    """The first party after it was asked some words."""
    party = question_of(request, rows).parties[0]
    for word, parameter in words:
        ask(party, word, parameter)
    return party


VERDICT: Final[Verdict] = combine(
    (
        Finding(
            rule="BAR-1",
            regime="vendor",
            effect=Effect.DENY,
            state=State.DECIDING,
            hold=True,
            codes=("REGION_UNSUPPORTED", "US_PERSON"),
            citation="terms, § 1",
            message="Not „here“.",
            detail=(("place", ("place.country=DE",)), ("law", "EAR")),
            review="RV-1",
            public_code=PublicCode.UNDER_REVIEW,
            public_message="Under review.",
            obligations=(Obligation(id="collect:paper", message="Collect a paper."),),
            missing=("person.us_status",),
        ),
    ),
    (),
    (
        Finding(
            rule="BAR-2",
            regime="us-ear",
            effect=Effect.DENY,
            state=State.LIFTED,
            hold=False,
            codes=("LICENCE_REQUIRED",),
            citation="15 CFR 744",
            message="Lifted.",
            lifted_by="NOTE-1",
        ),
    ),
)


def a_decision() -> Decision:
    return Decision(
        id="01K00000000000000000000000",
        decided_at=AT,
        valid_until=UNTIL,
        request=REQUEST,
        caller=CALLER,
        entry=ENTRY,
        verdict=VERDICT,
        alternatives=("beta-1",),
        remedies=(to_model("beta-1"),),
        ignored_properties=("colours",),
        policy_version=BOOK.fingerprint,
        membership_revision=5,
        control_epoch=9,
    )


def whole() -> bytes:
    """A record in which every member of the layout has a value."""
    question = question_of()
    for word, parameter in EVERYTHING:
        ask(question.parties[0], word, parameter)
    question.parties[0].memo["pattern", "any"] = ask(question.parties[0], "place-stated")
    for party in question.parties[1:]:
        ask(party, "any-listed", "EL")
    return encode_record(a_decision(), encode_facts(question.parties), encode_answer(a_decision()))


def shortened() -> bytes:
    return encode_shortened_record(a_decision(), "ab" * 32, encode_answer(a_decision()))


def without_facts() -> bytes:
    decision = too_long(a_decision(), 243_783)
    return encode_record_without_facts(decision, encode_answer(decision))


@pytest.mark.parametrize(
    ("name", "record"), [("v1", whole), ("v1-shortened", shortened), ("v1-without-facts", without_facts)]
)
def test_version_1_is_written_as_it_was_frozen(name: str, record: Callable[[], bytes]) -> None:
    # A difference here is another version of the layout, with golden files and a reader of its own.
    frozen = (GOLDEN / f"{name}.json").read_bytes()
    written = record().replace(f'"engine":"{ENGINE_VERSION}"'.encode(), b'"engine":"0.1.0"')
    assert written.replace(to_model("beta-1").message.encode(), REMEDY.encode()) == frozen


def read_golden(name: str) -> RecordedDecision:
    return read_record((GOLDEN / f"{name}.json").read_bytes())


def test_a_record_that_was_written_once_is_read_with_all_that_it_says() -> None:
    record = read_golden("v1")
    assert (record.version, record.id, record.decided_at, record.valid_until) == (
        1,
        "01K00000000000000000000000",
        AT,
        UNTIL,
    )
    assert (record.decision, record.allowed, record.hold) == ("deny", False, True)
    assert (record.reason_rule, record.reason_code) == ("BAR-1", "REGION_UNSUPPORTED")
    assert [(one.rule, one.regime, one.effect, one.state, one.hold) for one in record.findings] == [
        ("BAR-2", "us-ear", "deny", "lifted", False),
        ("BAR-1", "vendor", "deny", "deciding", True),
    ]
    assert [(one.codes, one.lifted_by, one.review) for one in record.findings] == [
        (("LICENCE_REQUIRED",), "NOTE-1", None),
        (("REGION_UNSUPPORTED", "US_PERSON"), None, "RV-1"),
    ]
    assert record.missing == ("person.us_status",)
    assert (record.request, record.request_digest) == (REQUEST, None)
    assert record.caller == CALLER
    assert (record.model, record.tier) == ("alpha-1", "commodity")
    assert record.policy_version == BOOK.fingerprint
    assert (record.membership_revision, record.control_epoch, record.engine) == (5, 9, "0.1.0")
    assert [(one.role, one.subject, one.organisation) for one in record.parties] == [
        ("subject", "account:key", "works"),
        ("end_user", "organisation:works", "works"),
        ("host", None, "host"),
    ]


@pytest.mark.parametrize("path", sorted(GOLDEN.parent.glob("replay/*.gz")), ids=lambda path: path.name)
def test_records_of_earlier_releases_are_read_and_written_to_the_same_bytes(path: Path) -> None:
    bodies = [one for one in texts_in(msgspec.json.decode(gzip.decompress(path.read_bytes()))) if '"answer"' in one]
    assert len(bodies) > 50
    for body in bodies:
        told = msgspec.json.decode(body, type=RecordDocument)
        request = read_record(body.encode()).request
        again = told if request is None else msgspec.structs.replace(told, request=body_of(request))
        assert msgspec.json.encode(again, order="sorted").decode() == body


def texts_in(document: object) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, list | dict):
        for one in document.values() if isinstance(document, dict) else document:
            yield from texts_in(one)


def test_a_record_has_of_a_party_what_the_words_read_and_nothing_else() -> None:
    assert set(KnownDocument.__struct_fields__) == set(Fact)


def test_a_party_is_read_with_the_facts_that_were_looked_at_by_value() -> None:
    first, end_user, _ = read_golden("v1").parties
    assert first.words["foreign-person"] == "yes"
    party, also = first.known, end_user.known
    assert party.looked_at == set(Fact)
    assert (party.us_status, party.citizenships, party.past_citizenships) == (("none",), ("CA", "CN"), ("IR",))
    assert party.permanent_residencies is None
    assert (party.employment, party.sector, party.reseller) == (("employee",), "government", False)
    assert (party.incorporated, party.headquarters) == ("US", "DE")
    assert party.memberships == (MembershipOnRecord(consortium="circle", status="active"),)
    assert party.listings == (
        ListingOnRecord(party="works", list="EL", status="confirmed", entry_version="2025-01-16"),
        ListingOnRecord(party="person:ann", list="SDN", status="potential", entry_version=None),
        ListingOnRecord(party="host", list="EL", status="confirmed", entry_version="2024-01-01"),
    )
    assert party.statements == ("uvl",)
    assert party.authorisations == (
        AuthorisationOnRecord(id="D-1", state="usable"),
        AuthorisationOnRecord(id="D-2", state="full"),
        AuthorisationOnRecord(id="D-3", state="ended"),
        AuthorisationOnRecord(id="D-4", state="usable"),
    )
    assert party.cluster == ClusterOnRecord(id="c-1", as_of="2026-06-20T10:00:00.000000Z")
    assert also.looked_at == {"listings"}
    assert (also.us_status, also.incorporated) == (msgspec.UNSET, msgspec.UNSET)


def test_a_shortened_record_has_the_digest_of_its_request_and_no_facts() -> None:
    record = read_golden("v1-shortened")
    assert (record.request, record.request_digest, record.parties) == (None, "ab" * 32, ())
    assert (record.id, record.decision) == ("01K00000000000000000000000", "deny")


def test_a_record_without_facts_has_its_request_and_says_that_it_is_shortened() -> None:
    record = read_golden("v1-without-facts")
    assert (record.request, record.request_digest, record.parties) == (REQUEST, None, ())
    assert (record.shortened, record.decision, record.reason_code) == (True, "deny", "ENGINE_FAULT")
    assert read_golden("v1-shortened").shortened
    assert not read_golden("v1").shortened


def changed(path: str, value: object) -> bytes:
    """The golden record with another value at a place; `...` takes the member away."""
    document: Any = msgspec.json.decode(whole())
    *outer, last = path.split(".")
    held = document
    for name in outer:
        held = held[int(name)] if name.isdigit() else held[name]
    if value is ...:
        del held[last]
    else:
        held[last] = value
    return msgspec.json.encode(document)


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        ("v", 2, "$.v"),
        ("v", "1", "$.v"),
        ("engine", ..., "$"),
        ("more", 1, "$"),
        ("caller.id", 1, "$.caller.id"),
        ("caller.explain", "yes", "$.caller.explain"),
        ("caller.more", 1, "$.caller"),
        ("control_epoch", "9", "$.control_epoch"),
        ("answer.decision", "maybe", "$.answer.decision"),
        ("answer.allowed", True, "$.answer.allowed"),
        ("answer.decided_at", "today", "$.answer.decided_at"),
        ("answer.valid_until", "2026-06-20T15:00:00", "$.answer.valid_until"),
        ("answer.findings.1.codes", "X", "$.answer.findings[1].codes"),
        ("facts.0.role", "friend", "$.facts[0].role"),
        ("facts.0.known.name", "Ann", "$.facts[0].known"),
        ("facts.0.known.reseller", "no", "$.facts[0].known.reseller"),
        ("facts.0.words.reseller", "perhaps", "$.facts[0].words[...]"),
        ("request.action", "think", "$.request.action"),
        ("request.subject.type", "robot", "$.request.subject.type"),
        ("request.more", 1, "$.request"),
        ("request", [], "$.request"),
    ],
)
def test_bytes_that_are_no_record_are_refused_at_their_place(path: str, value: object, place: str) -> None:
    with pytest.raises(RecordFault) as refused:
        read_record(changed(path, value))
    assert refused.value.place == place
    assert str(refused.value).startswith(f"{place}: ")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff", b"{}", b"[" * 100_000])
def test_what_is_no_record_at_all_is_a_fault_and_nothing_else(body: bytes) -> None:
    with pytest.raises(RecordFault):
        read_record(body)


# --- which facts a record has -----------------------------------------------------------------------------------------


def test_every_fact_that_a_record_can_have_is_read_by_a_word() -> None:
    assert {read.fact for word in VOCABULARY.values() for read in word.reads.facts} == set(Fact)


def known(party: Party) -> object:
    """The facts as the record has them."""
    return msgspec.json.decode(msgspec.json.encode(known_facts(party)))


def test_a_fact_that_no_word_read_is_not_recorded() -> None:
    assert known(asked()) == {}
    assert known(asked(("on-file", ""), ("purpose-stated", ""))) == {}
    assert known(asked(("foreign-person", ""))) == {"us_status": ["none"]}
    assert known(asked(("member", "others"))) == {"memberships": [{"consortium": "others", "status": "suspended"}]}
    assert known(asked(("person-listed", "MEU"))) == {"listings": []}
    assert known(asked(("statement", "mofcom_order"))) == {"statements": []}
    assert known(asked(("holds", "us-order/licence"))) == {"authorisations": []}


def test_what_was_never_filed_is_null_and_what_is_known_to_be_none_is_empty() -> None:
    unfiled = replace(ROWS, people=(replace(ROWS.people[0], us_status_filed=False),), citizenships=())
    party = asked(
        ("itar-national", "CU"),
        rows=unfiled,
        request=replace(REQUEST, subject=Subject(type=SubjectType.PERSON, id="ann")),
    )
    assert known(party) == {
        "us_status": None,
        "citizenships": [],
        "past_citizenships": [],
        "permanent_residencies": None,
    }
    nobody = replace(ROWS, accounts=(replace(ROWS.accounts[0], person=None),))
    assert known(asked(("foreign-person", ""), rows=nobody)) == {"us_status": None}
    organisation = replace(REQUEST, subject=Subject(type=SubjectType.ORGANISATION, id="works"))
    assert known(asked(("foreign-person", ""), request=organisation)) == {}


def test_what_a_caller_asserted_where_the_file_says_nothing_is_recorded_as_judged() -> None:
    unfiled = replace(ROWS, people=(replace(ROWS.people[0], us_status_filed=False),))
    assert known(asked(("foreign-person", ""), rows=unfiled)) == {"us_status": ["none"]}


def test_no_name_of_a_person_or_an_organisation_or_of_a_list_entry_is_among_the_facts() -> None:
    assert b"name that no record has" not in whole()


def test_a_record_of_many_words_and_parties_is_well_below_its_limit() -> None:
    assert len(whole()) < MAX_RECORD_BYTES // 8


PERSON_CHANGES: Final[dict[str, Callable[[Person], Person]]] = {
    "us_status": lambda one: replace(
        one, us_statuses=(UsStatus(person=one.id, kind=UsStatusKind.ASYLEE_GRANTED, valid=OVER),)
    ),
    "citizenships": lambda one: replace(one, citizenships=(Citizenship(person=one.id, country="CU"),)),
    "permanent_residencies": lambda one: replace(
        one, permanent_residencies=(PermanentResidency(person=one.id, country="CU"),)
    ),
}
ORGANISATION_CHANGES: Final[dict[str, Callable[[Organisation], Organisation]]] = {
    "sector": lambda one: replace(one, sector=None if one.sector else Sector.GOVERNMENT),
    "reseller": lambda one: replace(one, reseller=not one.reseller),
}


def authorisations(holder: str, request: Request) -> tuple[Authorisation, ...]:
    """One paper of every regime and kind for what is asked."""
    return tuple(
        Authorisation(
            id=f"{regime}/{kind}",
            regime=regime,
            kind=kind,
            holder=holder,
            models=(request.model,),
            actions=(request.action.value,),
        )
        for regime in REGIMES
        for kind in AuthorisationKind
    )


def with_other_facts(roster: Roster, party: Party, read: set[str]) -> Iterator[tuple[str, Roster]]:
    """The roster with each fact about the party that was not read made into another."""
    request = party.question.request
    if party.person is not None:
        person = roster.people[party.person.id]
        for fact, refile in PERSON_CHANGES.items():
            if fact not in read:
                yield fact, replace(roster, people={**roster.people, person.id: refile(person)}, memo={})
    name = party.organisation_id
    if name is None or name not in roster.organisations:
        return
    for fact, change in ORGANISATION_CHANGES.items():
        if fact not in read:
            changed_one = change(roster.organisations[name])
            yield fact, replace(roster, organisations={**roster.organisations, name: changed_one}, memo={})
    if "statements" not in read:
        held = tuple(Statement(organisation=name, kind=kind) for kind in StatementKind)
        yield "statements", replace(roster, statements={**roster.statements, name: held}, memo={})
    if "authorisations" not in read:
        yield (
            "authorisations",
            replace(roster, authorisations={**roster.authorisations, name: authorisations(name, request)}, memo={}),
        )
    if "memberships" not in read:
        joined = (Membership(organisation=name, consortium="glasswing", status=MembershipStatus.ACTIVE),)
        yield "memberships", replace(roster, memberships={**roster.memberships, name: joined}, memo={})


def verdict_on(question: Question, case: Case) -> Verdict | str:
    try:
        return judge_of(case).verdict(question)
    except ContradictionError as error:
        return str(error)


@pytest.mark.slow
def test_a_fact_that_no_record_of_a_case_has_could_be_anything_without_another_verdict() -> None:
    tried: Counter[str] = Counter()
    wrong = []
    for case in CASES:
        roster, book = case.roster(), judge_of(case).book
        question = derive(replace(case.request, end_user=None), roster, book, case.caller, case.at)
        if len(question.parties) != 1 or question.conflicts or case.assertable:
            continue
        verdict = verdict_on(question, case)
        (party,) = question.parties
        for fact, other in with_other_facts(roster, party, set(known_facts(party).looked_at)):
            tried[fact] += 1
            if verdict_on(derive(question.request, other, book, case.caller, case.at), case) != verdict:
                wrong.append((case.id, fact))
    assert wrong == []
    assert len(tried) == 8
    assert sum(tried.values()) > 800
