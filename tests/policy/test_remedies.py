"""Remedies: what is offered, what never is, and that each one, carried out on the file itself, leads to an allow."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import replace
from itertools import product
from random import Random
from typing import Any, Final

import pytest
from hypothesis import given, settings

from policy_engine.decision.case_runner import run_case
from policy_engine.decision.conclude import Conclusion
from policy_engine.domain.countries import COUNTRIES
from policy_engine.domain.decision import Decision
from policy_engine.domain.facts import derive
from policy_engine.domain.hypotheses import Inputs
from policy_engine.domain.instants import parse_instant
from policy_engine.domain.ports import Key
from policy_engine.domain.remedies import (
    MAX_CHANGES,
    MAX_FACTS,
    MAX_JUDGEMENTS,
    MAX_OFFERED,
    ChangeKind,
    Judged,
    Remedy,
    RemedyChange,
    find_remedies,
)
from policy_engine.domain.roster import Roster, Sector, UsStatus, UsStatusKind
from policy_engine.formats.record import encode_answer, short_answer
from policy_engine.policy.cases import Expectation
from policy_engine.policy.judge import Judge
from policy_engine.service.gate.keyring import caller_of
from tests.concluding import concluded, decided
from tests.conftest import CASES, POLICIES, judge_for
from tests.laws import book_of
from tests.randoms import RANDOMS
from tests.reference.test_reference import load
from tests.worlds import Read, World, world

SHIPPED: Final = load(POLICIES / "catalogue.yaml")

_judges: dict[str, Judge] = {}


def judge_of(document: World, read: Read) -> Judge:
    """A judge of the world's book; the last one is kept, since the same book is asked again and again."""
    key = json.dumps([document["catalogue"], read.enforcement], sort_keys=True)
    if key not in _judges:
        _judges.clear()
        _judges[key] = Judge(book_of(read))
    return _judges[key]


def whole(document: World, *, explain: bool = True) -> Conclusion:
    """The answer to a world, from its document alone."""
    read = Read(document)
    return concluded(
        judge_of(document, read), read.roster, read.request, replace(read.caller, explain=explain), read.at
    )


def told(document: World, *, explain: bool = True) -> Decision:
    """The decision alone."""
    return whole(document, explain=explain).decision


# --- a remedy carried out ---------------------------------------------------------------------------------------------

Edit = Callable[[World], None]


def carried_out(document: World, change: RemedyChange) -> Iterator[World]:
    """The world with the change made on the file or in the request; for a fact, with each value that it might have."""
    for edits in product(*(list(_edits(document, part)) for part in _parts(change))):
        changed = deepcopy(document)
        for edit in edits:
            edit(changed)
        yield changed


def all_carried_out(document: World, remedy: Remedy) -> Iterator[World]:
    """The world with every change of the remedy."""
    worlds: Iterable[World] = [document]
    for change in (remedy.change, *remedy.also):
        worlds = [changed for one in worlds for changed in carried_out(one, change)]
    yield from worlds


def _parts(change: RemedyChange) -> list[RemedyChange]:
    if change.kind is not ChangeKind.FACT:
        return [change]
    (facts,) = (value for _, value in change.needs)
    return [replace(change, needs=(("facts", (path,)),)) for path in facts]


def _edits(document: World, change: RemedyChange) -> Iterator[Edit]:
    needs: dict[str, Any] = dict(change.needs)
    since = {"from": document["at"], "to": None}
    match change.kind:
        case ChangeKind.AUTHORISATION:
            paper = {
                # A paper of its own: of two rows under one id the one that allows less would count.
                "id": f"NEW-{needs['regime']}-{needs['kind']}-{needs['holder']}",
                "regime": needs["regime"],
                "kind": needs["kind"],
                "holder": needs["holder"],
                "models": [needs["model"]],
                "actions": [needs["action"]],
                "countries": None,
                "cap": None,
                "conditions": [],
            }
            yield _adding("authorisations", paper | since)
        case ChangeKind.MEMBERSHIP:
            yield _adding("memberships", {**needs, "status": "active"} | since)
        case ChangeKind.STATEMENT:
            row = {"organisation": needs["organisation"], "kind": needs["kind_of_statement"]}
            yield _adding("statements", row | since)
        case ChangeKind.END_USER:
            yield _naming_an_end_user(document)
        case ChangeKind.MODEL:
            yield lambda changed: changed["request"].update(model=needs["to"])
        case ChangeKind.FACT:
            (path,) = needs["facts"]
            yield from _values(document, path)


def _adding(table: str, row: dict[str, Any]) -> Edit:
    return lambda changed: changed["members"].setdefault(table, []).append(row)


CLEAN: Final = {"incorporated": "US", "headquarters": "US", "contract_country": "US", "sector": "other"}


def _naming_an_end_user(document: World) -> Edit:
    consortium = entry_of(document)["consortium"]
    joined = {"organisation": "behind-it", "consortium": consortium, "from": document["at"], "to": None}

    def edit(changed: World) -> None:
        changed["members"]["organisations"].append({"id": "behind-it", "reseller": False, **CLEAN})
        if consortium is not None:
            changed["members"].setdefault("memberships", []).append({**joined, "status": "active"})
        changed["request"]["end_user"] = {"type": "organisation", "id": "behind-it"}

    return edit


def entry_of(document: World) -> dict[str, Any]:
    """The catalogue entry that the world's request names."""
    catalogue = {**SHIPPED, **document.get("catalogue", {})}
    name = document["request"]["model"]
    found = [one for key, one in catalogue.items() if key == name or name in one["aliases"].get("main", [])]
    return dict(found[0])


def _values(document: World, path: str) -> Iterator[Edit]:
    at, request = document["at"], document["request"]
    if path.startswith("ownership.share:"):
        yield from (_share(path, unknown_only) for unknown_only in (True, False))
    elif path.startswith("cluster."):
        yield _quieting
    elif path.startswith("model."):
        name = path.partition(".")[2]
        yield from (_cataloguing(name, value) for value in CATALOGUED[name])
    elif path.startswith(("place.", "destination.")):
        whose, _, name = path.partition(".")
        address = request.get("place", {}).get("ip_country") if whose == "place" else None
        known = [address] if address and name == "country" else PLACES[name]
        yield from (_placing(whose, name, value) for value in known)
    elif path.startswith("organisation."):
        name = path.partition(".")[2]
        yield from (_organisations(name, value) for value in ORGANISATIONS[name])
    elif path == "person.us_status":
        for kind in UsStatusKind:
            yield _people("us_status", [{"kind": kind.value, "from": at, "to": None}], adding=True)
    elif path == "person.citizenships":
        for country in ("CA", "GB"):
            yield _people("citizenships", [{"country": country, "from": at, "to": None}])
    elif path == "person.permanent_residencies":
        yield _people("permanent_residencies", [])
    else:
        names = {"purpose": entry_of(document)["purposes"], "acting_for": _ids(document)}[path]
        yield from (_stating(path, name) for name in names)


CATALOGUED: Final[dict[str, list[object]]] = {
    "weights": ["published", "unpublished"],
    "training_operations": [0],
    "eccn": [*sorted(judge_for({}, None).book.tables.eccn_columns)],
    "tier": ["classified", "commodity", "distilled"],
}
PLACES: Final = {"country": ["US", "JP", "DE", "KR", "CA", "AE"], "subdivision": ["UA-30"]}
ORGANISATIONS: Final[dict[str, list[str]]] = {
    "incorporated": ["headquarters", "US"],
    "headquarters": ["incorporated", "US"],
    "sector": [sector.value for sector in Sector],
    "reseller": [""],
}
"""Values, or the other fact that this one may be like; a reseller is none."""


def _ids(document: World) -> list[str]:
    return [one["id"] for one in document["members"]["organisations"]]


def _stating(name: str, value: str) -> Edit:
    return lambda changed: changed["request"].update({name: value})


def _people(table: str, rows: list[dict[str, Any]], *, adding: bool = False) -> Edit:
    """Of everybody of whom it was never filed, or has nothing in force; an account that stands for nobody gets one."""

    def edit(changed: World) -> None:
        members = changed["members"]
        people = members.setdefault("people", [])
        for account in members.get("accounts", []):
            if account["person"] is None:
                account["person"] = f"behind-{account['id']}"
                work = {"organisation": account["organisation"], "kind": "employee", "from": None, "to": None}
                people.append({"id": account["person"], "employments": [work]})
        for person in people:
            filed = person.get(table, [])
            if adding and not any(_in_force(row, changed["at"]) for row in filed):
                later = min((row["from"] for row in filed if (row["from"] or "") > changed["at"]), default=None)
                person[table] = [*filed, *({**row, "to": later} for row in rows)]
            elif table not in person:
                person[table] = rows

    return edit


def _in_force(row: dict[str, Any], at: str) -> bool:
    start, end = ((row[edge] or missing) for edge, missing in (("from", ""), ("to", "9")))
    return bool(start <= at < end)


def _organisations(name: str, value: str) -> Edit:
    """Of every one that lacks it; somebody of whom nobody knows for whom he or she works turns out to work for none."""

    def edit(changed: World) -> None:
        members = changed["members"]
        host = changed["request"].get("destination", {}).get("host")
        if host is not None and host not in _ids(changed):
            members["organisations"].append({"id": host})
        for organisation in members["organisations"]:
            if organisation.get(name) is None:
                organisation[name] = (organisation.get(value) or "US") if value in ORGANISATIONS else value or False
        for person in members.get("people", []):
            person.setdefault("employments", [])

    return edit


def _share(path: str, unknown_only: bool) -> Edit:
    owner, _, owned = path.partition(":")[2].partition(">")

    def edit(changed: World) -> None:
        for row in changed["members"]["ownership"]:
            if (row["owner"], row["owned"]) == (owner, owned) and (row["percent"] is None or not unknown_only):
                row["percent"] = "0"

    return edit


def _placing(whose: str, name: str, value: str) -> Edit:
    return lambda changed: changed["request"].setdefault(whose, {}).update({name: value})


def _quieting(changed: World) -> None:
    names = {account["cluster"] for account in changed["members"]["accounts"]} - {None}
    quiet = {"shared": [], "accounts": 0, "exchanges_24h": 0, "as_of": changed["at"]}
    changed["members"]["clusters"] += [{"id": name, **quiet} for name in sorted(names)]


def _cataloguing(name: str, value: object) -> Edit:
    def edit(changed: World) -> None:
        catalogue = changed.setdefault("catalogue", {})
        asked = changed["request"]["model"]
        catalogue.setdefault(asked, deepcopy(SHIPPED.get(asked)))
        for entry in catalogue.values() if name == "training_operations" else [catalogue[asked]]:
            if entry[name] in (None, "undetermined"):
                entry[name] = value

    return edit


# --- examples ---------------------------------------------------------------------------------------------------------

UNDER_THE_ORDER: Final = "2026-06-12T22:00:00Z"
SUSPENDED_TOO: Final = "2026-06-13T15:00:00Z"
SPRING: Final = "2026-05-15T15:00:00Z"
ALWAYS: Final = {"from": None, "to": None}
MEMBER: Final = {"organisation": "acme", "consortium": "glasswing", "status": "active", **ALWAYS}


def organisation(name: str = "acme", **changes: object) -> dict[str, Any]:
    return {"id": name, "reseller": False, **CLEAN, **changes}


def person(**changes: object) -> dict[str, Any]:
    return {
        "id": "pat",
        "employments": [{"organisation": "acme", "kind": "employee", **ALWAYS}],
        "us_status": [{"kind": "citizen", **ALWAYS}],
        "citizenships": [{"country": "US", **ALWAYS}],
        "permanent_residencies": [],
    } | changes


FOREIGN: Final[dict[str, Any]] = {
    "us_status": [{"kind": "none", **ALWAYS}],
    "citizenships": [{"country": "CN", **ALWAYS}],
}


def asked(
    at: str = SPRING,
    *,
    model: str = "mythos-5",
    members: dict[str, Any] | None = None,
    catalogue: dict[str, Any] | None = None,
    **request: object,
) -> World:
    """A US citizen at a US member asks for Mythos in the United States, but for what a test changes."""
    question: dict[str, Any] = {
        "subject": {"type": "person", "id": "pat"},
        "model": model,
        "action": "infer",
        "purpose": "defensive_cybersecurity",
        "place": {"country": "US"},
        **request,
    }
    return {
        "at": at,
        "gateway": "main",
        "settings": {"enforcement": {}, "assertable": ["us_status"]},
        "members": {
            "organisations": [organisation()],
            "people": [person()],
            "consortia": [{"id": "glasswing", "name": None}],
            "memberships": [MEMBER],
            **(members or {}),
        },
        "catalogue": catalogue or {},
        "request": {name: value for name, value in question.items() if value is not None},
    }


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def offered(document: World) -> list[Any]:
    """The remedies, short: the kind, for a fact with the paths, and a list of those where several go together."""
    found = told(document)
    assert not found.verdict.allowed
    assert_lead_to_allow(document, found)
    return [_short(remedy) for remedy in found.remedies]


def _short(remedy: Remedy) -> Any:
    parts = [
        " ".join([change.kind.value, *(" ".join(v) if isinstance(v, tuple) else v for _, v in change.needs)])
        for change in (remedy.change, *remedy.also)
    ]
    return parts if remedy.also else parts[0]


def assert_lead_to_allow(document: World, found: Decision) -> None:
    for remedy in found.remedies:
        assert any(told(one, explain=False).verdict.allowed for one in all_carried_out(document, remedy)), remedy


def test_an_unknown_status_under_the_order_is_to_be_established_or_licensed() -> None:
    document = asked(UNDER_THE_ORDER, members={"people": [person(us_status=[])]})
    assert offered(document) == [
        "fact person.us_status",
        "authorisation us-order licence acme mythos-5 infer",
        "model opus-4.6",
    ]


def test_with_the_suspension_beside_the_order_only_another_model_is_left() -> None:
    document = asked(SUSPENDED_TOO, members={"people": [person(**FOREIGN)]})
    assert offered(document) == ["model opus-4.6"]


def test_a_foreign_person_under_the_order_is_offered_no_other_status() -> None:
    document = asked(UNDER_THE_ORDER, members={"people": [person(**FOREIGN)]})
    assert offered(document) == ["authorisation us-order licence acme mythos-5 infer", "model opus-4.6"]


def test_who_is_not_exempt_while_annex_a_holds_is_offered_the_exemption() -> None:
    assert offered(asked("2026-06-27T15:00:00Z")) == [
        "authorisation us-order exemption acme mythos-5 infer",
        "model opus-4.6",
    ]


def test_a_claim_of_an_exception_that_fails_leaves_a_licence() -> None:
    outdated = {"organisation": "acme", "kind": "sta_consignee", "from": None, "to": "2026-01-01"}
    place = {"country": "DE"}
    german = {
        "organisations": [organisation(incorporated="DE", headquarters="DE")],
        "people": [person(**FOREIGN)],
        "statements": [outdated],
    }
    document = asked(
        model="technology:4E001.a", action="release", claims={"exception": "STA"}, place=place, members=german
    )
    assert offered(document) == ["authorisation us-ear licence acme technology:4E001.a release"]


def test_a_claim_of_an_exception_that_lacks_a_statement_is_offered_the_statement() -> None:
    german = {
        "organisations": [organisation(incorporated="DE", headquarters="DE")],
        "people": [person(us_status=[{"kind": "none", **ALWAYS}], citizenships=[{"country": "DE", **ALWAYS}])],
    }
    document = asked(
        model="technology:4E001.a",
        action="release",
        claims={"exception": "STA"},
        place={"country": "DE"},
        members=german,
    )
    assert offered(document) == [
        "authorisation us-ear licence acme technology:4E001.a release",
        "statement sta_consignee acme",
    ]
    unclaimed = asked(model="technology:4E001.a", action="release", place={"country": "DE"}, members=german)
    assert offered(unclaimed) == ["authorisation us-ear licence acme technology:4E001.a release"]


def test_a_party_on_the_unverified_list_is_offered_its_statement() -> None:
    listing = {"party": "acme", "list": "UVL", "entry": "Acme", "entry_version": "1", "status": "confirmed", **ALWAYS}
    document = asked(model="opus-4.6", members={"listings": [listing | {"reference": None, "cleared_version": None}]})
    assert offered(document) == ["statement uvl acme"]


@pytest.mark.parametrize("status", ["potential", "confirmed", "cleared"])
def test_no_remedy_takes_back_a_listing(status: str) -> None:
    listing = {"party": "acme", "list": "SDN", "entry": "Acme", "entry_version": "2", "status": status, **ALWAYS}
    outdated = "1" if status == "cleared" else None
    document = asked(
        model="opus-4.6", members={"listings": [listing | {"reference": None, "cleared_version": outdated}]}
    )
    assert offered(document) == []


@pytest.mark.parametrize("rows", [[], [{**MEMBER, "to": "2026-05-01"}], [{**MEMBER, "from": "2026-07-01"}]])
def test_who_is_no_member_is_offered_membership(rows: list[dict[str, Any]]) -> None:
    assert offered(asked(members={"memberships": rows})) == ["membership glasswing acme", "model opus-4.6"]


def test_a_suspended_member_is_not_told_to_become_one() -> None:
    assert offered(asked(members={"memberships": [{**MEMBER, "status": "suspended"}]})) == ["model opus-4.6"]


RESELLER: Final = {"organisations": [organisation(reseller=True)]}


def test_a_reseller_is_offered_to_name_its_end_user() -> None:
    assert offered(asked(model="opus-4.6", members=RESELLER)) == ["end_user", "model gemini-3.1-pro", "model gpt-5.4"]


def test_a_reseller_that_is_no_member_needs_both() -> None:
    document = asked(members={**RESELLER, "memberships": []}, fallbacks=["fable-5"])
    assert offered(document) == [["membership glasswing acme", "end_user"]]


def test_who_may_be_a_reseller_may_say_either() -> None:
    document = asked(model="opus-4.6", members={"organisations": [organisation(reseller=None)]}, fallbacks=[])
    assert offered(document) == ["fact organisation.reseller", "end_user"]


def test_an_end_user_that_is_not_on_file_is_past_remedy() -> None:
    document = asked(model="opus-4.6", members=RESELLER, end_user={"type": "organisation", "id": "ghost"}, fallbacks=[])
    assert offered(document) == []


def test_a_purpose_that_is_not_stated_is_to_be_stated_and_another_is_not_suggested() -> None:
    assert offered(asked(purpose=None)) == ["fact purpose", "model opus-4.6"]
    assert offered(asked(purpose="marketing")) == ["model opus-4.6"]
    assert offered(asked(purpose="pentest_own_product")) == [
        "authorisation consortium exception acme mythos-5 infer",
        "model opus-4.6",
    ]


def test_a_share_that_nobody_knows_is_to_be_established() -> None:
    owners = {
        "organisations": [organisation(), organisation("holding", headquarters="CN", incorporated="CN")],
        "ownership": [{"owner": "holding", "owned": "acme", "percent": None, **ALWAYS, "evidence": None}],
    }
    assert offered(asked(model="opus-4.6", members=owners, fallbacks=[])) == ["fact ownership.share:holding>acme"]
    known = deepcopy(owners)
    known["ownership"][0]["percent"] = "60"
    assert offered(asked(model="opus-4.6", members=known, fallbacks=[])) == []


def test_shares_that_are_needed_together_are_one_remedy() -> None:
    owners = {
        "organisations": [
            organisation(),
            *(organisation(name, headquarters="CN", incorporated="CN") for name in ("one", "two", "three")),
        ],
        "ownership": [
            {"owner": owner, "owned": "acme", "percent": percent, **ALWAYS, "evidence": None}
            for owner, percent in (("one", None), ("two", None), ("three", "10"))
        ],
    }
    document = asked(model="opus-4.6", members=owners, fallbacks=[])
    assert offered(document) == ["fact ownership.share:one>acme ownership.share:two>acme"]


def test_an_embargoed_place_is_past_remedy_and_another_one_is_not_suggested() -> None:
    assert offered(asked(model="gpt-5.4", place={"country": "IR"})) == []
    assert offered(asked(model="gpt-5.4", place={"country": "IR"}, fallbacks=["llama-4"])) == []


def test_a_place_that_is_not_stated_is_to_be_stated() -> None:
    assert offered(asked(model="opus-4.6", place=None, fallbacks=[])) == ["fact place.country"]
    assert offered(asked(model="opus-4.6", place={"country": "UA"}, fallbacks=[])) == ["fact place.subdivision"]


def test_an_address_in_a_barred_country_is_not_to_be_explained_away() -> None:
    assert offered(asked(model="opus-4.6", place={"ip_country": "CN"}, fallbacks=[])) == []


def test_an_asserted_conflict_is_past_remedy() -> None:
    subject = {"type": "person", "id": "pat", "properties": {"us_status": "none"}}
    assert offered(asked(UNDER_THE_ORDER, subject=subject)) == []


def test_for_whom_a_person_acts_is_to_be_said_when_it_decides() -> None:
    work = [{"organisation": name, "kind": "employee", **ALWAYS} for name in ("acme", "other")]
    members = {"organisations": [organisation(), organisation("other")], "people": [person(employments=work)]}
    assert offered(asked(members=members)) == ["fact acting_for", "membership glasswing other", "model opus-4.6"]


def test_an_account_that_stands_for_nobody_on_file_is_to_be_resolved() -> None:
    account = {"id": "key", "kind": "account", "organisation": "acme", "person": None, "gateway": None, "cluster": None}
    document = asked(
        UNDER_THE_ORDER, subject={"type": "account", "id": "key"}, members={"accounts": [account]}, fallbacks=[]
    )
    # A licence is for employees, which somebody who is not on file is not known to be (15 CFR 750.7(a)(3)).
    assert offered(document) == ["fact person.us_status"]


def test_a_person_of_whom_nothing_is_filed_needs_several_facts_together() -> None:
    members = {
        "organisations": [organisation(incorporated=None)],
        "people": [without(person(), "us_status", "citizenships", "permanent_residencies")],
    }
    document = asked(model="techdata:usml", action="release", members=members)
    assert offered(document) == ["fact organisation.incorporated person.us_status"]


def test_a_fact_and_an_authorisation_may_be_needed_together() -> None:
    members = {"people": [person(us_status=[{"kind": "none", **ALWAYS}], citizenships=[{"country": "DE", **ALWAYS}])]}
    document = asked(model="techdata:usml", action="release", place=None, members=members)
    assert offered(document) == [["fact place.country", "authorisation us-itar licence acme techdata:usml release"]]


def test_an_empty_list_of_citizenships_is_known_and_not_to_be_filled() -> None:
    stateless = {"us_status": [{"kind": "none", **ALWAYS}], "citizenships": []}
    document = asked(model="technology:4E001.c", action="release", members={"people": [person(**stateless)]})
    assert told(document).verdict.missing == ("person.citizenships",)
    assert offered(document) == ["authorisation us-ear licence acme technology:4E001.c release"]
    unfiled = {"people": [without(person(**stateless), "citizenships")]}
    document = asked(model="technology:4E001.c", action="release", members=unfiled)
    assert offered(document) == [
        "fact person.citizenships",
        "authorisation us-ear licence acme technology:4E001.c release",
    ]


def test_weights_of_undetermined_publication_are_to_be_determined() -> None:
    document = asked(model="minimax-m2", action="download_weights", fallbacks=[])
    assert offered(document) == ["fact model.weights"]


def test_what_no_terms_grant_the_vendor_may_license() -> None:
    document = asked(model="opus-4.6", action="download_weights", fallbacks=[])
    assert offered(document) == ["authorisation vendor licence acme opus-4.6 download_weights"]


def test_a_stale_reading_is_to_be_renewed_and_a_pattern_stays_one() -> None:
    account = {"id": "key", "kind": "account", "organisation": "acme", "person": "pat", "gateway": None, "cluster": "c"}
    reading = {"id": "c", "shared": ["payment", "proxy_asn"], "accounts": 600, "exchanges_24h": 410000}
    for as_of, expected in (("2026-05-13T15:00:00Z", ["fact cluster.as_of"]), ("2026-05-15T14:00:00Z", [])):
        members = {"accounts": [account], "clusters": [{**reading, "as_of": as_of}]}
        document = asked(model="opus-4.6", subject={"type": "account", "id": "key"}, members=members, fallbacks=[])
        assert offered(document) == expected


def test_a_fault_of_the_engine_has_no_remedy() -> None:
    document = asked(UNDER_THE_ORDER)
    read = Read(document)
    statuses = tuple(UsStatus(person="pat", kind=kind) for kind in (UsStatusKind.CITIZEN, UsStatusKind.NONE))
    roster = Roster.as_known(replace(read.rows, us_statuses=statuses))
    found = decided(judge_of(document, read), roster, read.request, replace(read.caller, explain=True), read.at)
    assert (found.verdict.reason_code, found.remedies) == ("ENGINE_FAULT", ())


def test_only_a_deny_and_only_a_caller_that_may_see_explanations_gets_remedies() -> None:
    assert told(asked()).verdict.allowed
    assert told(asked()).remedies == ()
    assert told(asked(purpose=None), explain=False).remedies == ()


def test_the_record_says_the_same_of_the_parties_whether_remedies_were_looked_for_or_not() -> None:
    document = asked(UNDER_THE_ORDER, members={"people": [person(us_status=[])]})
    explained, plain = (
        [list(party.memo.items()) for party in whole(document, explain=explain).parties] for explain in (True, False)
    )
    assert explained == plain


def test_what_is_unknown_in_too_many_places_is_not_tried() -> None:
    names = [f"owner-{number}" for number in range(MAX_FACTS + 1)]
    owners = {
        "organisations": [organisation(), *(organisation(name, headquarters="CN") for name in names)],
        "ownership": [{"owner": name, "owned": "acme", "percent": None, **ALWAYS, "evidence": None} for name in names],
    }
    assert offered(asked(model="opus-4.6", members=owners, fallbacks=[])) == []
    owners["ownership"].pop()
    (together,) = told(asked(model="opus-4.6", members=owners, fallbacks=[])).remedies
    assert len(_parts(together.change)) == MAX_FACTS


@pytest.mark.slow
@settings(max_examples=100)
@given(RANDOMS)
def test_the_search_has_a_bound(random: Random) -> None:
    document = world(random)
    read = Read(document)
    judge = judge_of(document, read)
    judged = []

    def counting(inputs: Inputs) -> Judged | None:
        judged.append(inputs)
        question = derive(inputs.request, inputs.roster, inputs.book, read.caller, read.at)
        return question, (judge if inputs.book is judge.book else Judge(inputs.book)).verdict(question)

    find_remedies(Inputs(request=read.request, roster=read.roster, book=judge.book), counting)
    assert 1 <= len(judged) <= MAX_JUDGEMENTS


# --- the shape on the wire --------------------------------------------------------------------------------------------


def test_the_answer_has_each_remedy_with_what_it_needs_and_a_sentence() -> None:
    document = asked(UNDER_THE_ORDER, members={"people": [person(us_status=[])]})
    assert json.loads(encode_answer(told(document)))["remedies"] == [
        {
            "change": "fact",
            "facts": ["person.us_status"],
            "message": "Establish the person's US status, and put on file what is found; an allow is possible then.",
            "then": "allow",
        },
        {
            "change": "authorisation",
            "regime": "us-order",
            "kind": "licence",
            "holder": "acme",
            "model": "mythos-5",
            "action": "infer",
            "message": "Have a licence of regime us-order issued to `acme` that names `mythos-5` and infer; an allow "
            "is possible then.",
            "then": "allow",
        },
        {
            "change": "model",
            "to": "opus-4.6",
            "message": "Ask for `opus-4.6`; an allow is possible then.",
            "then": "allow",
        },
    ]


def test_what_is_needed_together_stands_in_one_remedy() -> None:
    document = asked(members={**RESELLER, "memberships": []}, fallbacks=[])
    assert json.loads(encode_answer(told(document)))["remedies"] == [
        {
            "change": "membership",
            "consortium": "glasswing",
            "organisation": "acme",
            "also": [{"change": "end_user"}],
            "message": "Have `acme` admitted as an active member of `glasswing`; name the end user, who is judged as "
            "well; an allow is possible then.",
            "then": "allow",
        }
    ]


def test_the_short_answer_has_no_remedies() -> None:
    assert "remedies" not in json.loads(short_answer(encode_answer(told(asked(purpose=None))), asked_fallbacks=False))


def test_a_caller_whose_key_may_see_explanations_is_given_remedies() -> None:
    key = Key(
        id="k",
        name="",
        secret_hash="",
        rights=frozenset({"decide"}),
        gateway=None,
        person=None,
        assertable=frozenset(),
        created_at=parse_instant(SPRING),
        revoked_at=None,
    )
    assert not caller_of(key).explain
    assert caller_of(replace(key, rights=frozenset({"decide", "decisions:explain"}))).explain


STATUS_UNKNOWN: Final = asked(UNDER_THE_ORDER, members={"people": [person(us_status=[])]})
NO_MEMBER: Final = asked(members={**RESELLER, "memberships": []}, fallbacks=[])


@pytest.mark.parametrize(
    ("document", "expected", "came"),
    [
        (STATUS_UNKNOWN, ("fact", "authorisation", "model"), []),
        (STATUS_UNKNOWN, ("membership", "fact"), ["remedies"]),
        (NO_MEMBER, ("membership",), []),
        (NO_MEMBER, ("end_user",), ["remedies"]),
    ],
)
def test_a_case_expects_kinds_of_the_changes_that_come_first(
    document: World, expected: tuple[str, ...], came: list[str]
) -> None:
    example = CASES.named("PER-10")
    read = Read(document)
    expect = replace(Expectation(decision="deny"), remedies=expected)
    case = replace(example, at=read.at, known_at=read.at, members=read.rows, request=read.request, expect=expect)
    assert [line.partition(":")[0] for line in run_case(case, judge_of(document, read)).differences] == came


# --- laws -------------------------------------------------------------------------------------------------------------

_NEVER_TOLD: Final = frozenset(COUNTRIES - {"US"}) | {kind.value for kind in UsStatusKind} | {"military_end_use"}
"""Words that no message may have; `US status` is the name of a fact."""


@pytest.mark.slow
@settings(max_examples=300)
@given(RANDOMS)
def test_every_remedy_and_every_alternative_carried_out_leads_to_allow(random: Random) -> None:
    document = world(random)
    found = told(document)
    assert_lead_to_allow(document, found)
    models = [dict(remedy.change.needs)["to"] for remedy in found.remedies if remedy.change.kind is ChangeKind.MODEL]
    assert found.verdict.allowed or models == sorted(found.alternatives)
    for name in found.alternatives:
        changed = {**document, "request": {**document["request"], "model": name}}
        assert told(changed, explain=False).verdict.allowed


@pytest.mark.slow
@settings(max_examples=150)
@given(RANDOMS)
def test_remedies_are_few_ordered_and_the_same_each_time_and_name_no_value(random: Random) -> None:
    document = world(random)
    found = told(document)
    assert found.remedies == told(document).remedies
    kinds = [remedy.change.kind for remedy in found.remedies]
    assert kinds == sorted(kinds, key=list(ChangeKind).index)
    assert len(set(found.remedies)) == len(found.remedies)
    assert sum(kind is not ChangeKind.MODEL for kind in kinds) <= MAX_OFFERED
    for remedy in found.remedies:
        assert len(remedy.also) < MAX_CHANGES
        said = re.sub(r"`[^`]*`", "", remedy.message)
        assert _NEVER_TOLD.isdisjoint(re.findall(r"\w+", said)), remedy.message
        assert "\0" not in json.dumps([change.needs for change in (remedy.change, *remedy.also)])


@pytest.mark.slow
@settings(max_examples=50)
@given(RANDOMS)
def test_whenever_one_change_is_enough_its_kind_is_offered(random: Random) -> None:
    document = world(random)
    found = told(document)
    if found.verdict.allowed:
        return
    enough = {
        change.kind
        for change in _conceivable(document, found)
        if any(told(one, explain=False).verdict.allowed for one in carried_out(document, change))
    }
    singles = {remedy.change.kind for remedy in found.remedies if not remedy.also}
    assert enough <= singles


def _conceivable(document: World, found: Decision) -> Iterator[RemedyChange]:
    """Every single row that could be added and every fact that is missing, without a look at any rule."""
    organisations = [one["id"] for one in document["members"]["organisations"]]
    asked_for, action = document["request"]["model"], document["request"]["action"]
    for path in found.verdict.missing:
        if path == "end_user":
            yield RemedyChange(kind=ChangeKind.END_USER)
        elif path not in ("person.citizenships", "ownership"):
            yield RemedyChange(kind=ChangeKind.FACT, needs=(("facts", (path,)),))
    for holder in organisations:
        for regime, kind in product(("us-order", "us-ear", "us-itar", "vendor"), ("licence", "exemption")):
            needs = (("regime", regime), ("kind", kind), ("holder", holder), ("model", asked_for), ("action", action))
            yield RemedyChange(kind=ChangeKind.AUTHORISATION, needs=needs)
        rows = [row for row in document["members"]["memberships"] if row["organisation"] == holder]
        if not any(_in_force(row, document["at"]) for row in rows):
            yield RemedyChange(
                kind=ChangeKind.MEMBERSHIP, needs=(("consortium", "glasswing"), ("organisation", holder))
            )
        held = {row["kind"] for row in document["members"]["statements"] if row["organisation"] == holder}
        for kind in sorted({"uvl", "sta_consignee", "supp8_740"} - held):
            yield RemedyChange(kind=ChangeKind.STATEMENT, needs=(("kind_of_statement", kind), ("organisation", holder)))
