"""Generated worlds: small rosters, requests and instants, dense with what the rules look at.

A world is a case document without expectations, so that the engine reads it as it reads any other file and the
reference evaluator takes it as it is. Nothing in it contradicts itself.

In the others anything goes; in the friendly ones nearly everything is as an allow needs it, so that one fact or two
decide.
"""

from __future__ import annotations

import json
from random import Random
from typing import Any, Final

from policy_engine.domain.instants import parse_instant
from policy_engine.domain.request import Caller, Request
from policy_engine.domain.roster import Roster
from policy_engine.formats.documents import Mapping, Node, read_document
from policy_engine.formats.faults import Fault
from policy_engine.formats.membership_file import members_of
from policy_engine.formats.request_document import request_of

World = dict[str, Any]

COUNTRIES = [
    "US",
    "US",
    "US",
    "JP",
    "DE",
    "CN",
    "HK",
    "MO",
    "IR",
    "SY",
    "RU",
    "BY",
    "AE",
    "UA",
    "KR",
    "CA",
    "GB",
    "PR",
    "SG",
    "IN",
    None,
]
INSTANTS = [
    "2025-05-01T10:00:00Z",
    "2025-06-30T12:00:00Z",
    "2025-10-15T12:00:00Z",
    "2026-03-10T10:05:00Z",
    "2026-05-15T15:00:00Z",
    "2026-06-12T21:20:59.999999Z",
    "2026-06-12T21:21:00Z",
    "2026-06-12T22:00:00Z",
    "2026-06-13T15:00:00Z",
    "2026-06-27T15:00:00Z",
    "2026-06-30T22:00:00Z",
    "2026-07-10T04:00:00Z",
    "2026-11-10T04:59:59.999999Z",
    "2026-11-10T05:00:00Z",
    "2026-11-20T12:00:00Z",
]
MODELS = [
    "mythos-5",
    "mythos-5",
    "fable-5",
    "fable-5",
    "opus-4.6",
    "opus-4.6",
    "gpt-5.4",
    "gemini-3.1-pro",
    "gemini-4",
    "llama-4",
    "glm-5.2",
    "minimax-m2",
    "technology:4E001.a",
    "technology:4E001.c",
    "technology:4E001.a-4A090",
    "techdata:usml",
    "weights:4E091",
    "software",
    "coded",
    "student",
    "derived",
    "nothing",
]
ACTIONS = [
    "infer",
    "infer",
    "infer",
    "list",
    "embed",
    "fine_tune",
    "distill",
    "download_weights",
    "replicate_weights",
    "release",
    "release",
    "administer",
    "licence_determination",
]
STATUSES = [
    "citizen",
    "national",
    "lawful_permanent_resident",
    "refugee_admitted",
    "asylee_granted",
    "temporary_resident_1160_1255a",
    "none",
    "none",
    "none",
]
SPANS = [
    (None, None),
    ("2020-01-01", None),
    ("2020-01-01", "2026-06-13"),
    ("2020-01-01", "2026-05-15T15:00:00Z"),
    ("2026-05-15T15:00:00Z", None),
    ("2026-06-12T22:00:00Z", None),
    ("2026-12-01", None),
]
DRAWN = ["2025-05-01", "2026-05-01", "2026-05-15T15:00:10Z", "2026-06-12T21:21:00Z", "2026-06-13"]
PERCENTS = ["0.5", "10", "20", "25", "30", "40", "49", "49.99", "50", "50.01", "51", "60", "80", "100", None]


FRIENDLY_COUNTRIES: Final = ["US", "US", "US", "JP", "DE", "KR", "CA"]
FRIENDLY_CALLS: Final = [*(model for model in MODELS[:6] for _ in range(3)), "gpt-5.4", "llama-4", "student", "derived"]
FRIENDLY_CUSTODY: Final = ["mythos-5", "opus-4.6", "gemini-4", "glm-5.2", "student", "derived", *MODELS[12:18]]
FRIENDLY_REGIMES: Final = {"mythos-5": "us-order", "fable-5": "us-order", "techdata:usml": "us-itar"}


def _span(random: Random) -> dict[str, Any]:
    start, end = random.choice(SPANS)
    return {"from": start, "to": end}


def _some(random: Random, items: list[Any], most: int) -> list[Any]:
    return [random.choice(items) for _ in range(random.randint(0, most))]


def _unique(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[name]) for name in names), row)
    return list(found.values())


def world(random: Random) -> World:
    """A world drawn from the generator; half of them are friendly, and about a third allow."""
    return friendly_world(random) if random.random() < 0.5 else _anything(random)[0]


def friendly_world(random: Random) -> World:
    """A world in which nearly everything is as an allow needs it; more than half allow."""
    document, focus = _anything(random)
    _befriend(random, document, focus)
    return document


def _anything(random: Random) -> tuple[World, str]:
    """A world in which anything goes, and the organisation that most of it is about."""
    organisations = ["anthropic"] + [f"o{index}" for index in range(random.randint(1, 5))]
    people = [f"p{index}" for index in range(random.randint(1, 3))]
    focus = random.choice(organisations)
    parties = [*organisations, *(f"person:{person}" for person in people)]
    clusters = ["c1", "c2"]
    stakes = [
        {"owner": owner, "owned": owned, "percent": random.choice(PERCENTS), **_span(random), "evidence": None}
        for owned in organisations
        for owner in _some(random, parties, 3)
        if owner != owned
    ]
    papers = [_paper(random, index, focus, organisations) for index in range(random.randint(0, 4))]
    return {
        "at": random.choice(INSTANTS),
        "known_at": None,
        "gateway": random.choice(["main", None]),
        "members": {
            "organisations": [_organisation(random, name) for name in organisations],
            "ownership": _unique(stakes, "owner", "owned", "from"),
            "people": [_person(random, name, organisations, focus) for name in people],
            "accounts": [
                {
                    "id": f"a{index}",
                    "kind": random.choice(["account", "service"]),
                    "organisation": random.choice([focus, random.choice(organisations)]),
                    "person": random.choice([None, random.choice(people)]),
                    "gateway": "main",
                    "cluster": random.choice([None, *clusters]),
                }
                for index in range(2)
            ],
            "consortia": [{"id": "glasswing", "name": "Project Glasswing"}],
            "memberships": _unique(
                [
                    {
                        "organisation": random.choice([focus, random.choice(organisations)]),
                        "consortium": "glasswing",
                        **_span(random),
                        "status": random.choice(["active", "active", "active", "suspended"]),
                    }
                    for _ in range(random.randint(0, 4))
                ],
                "organisation",
                "from",
            ),
            "authorisations": papers,
            "draws": [
                {"authorisation": paper["id"], "person": random.choice(people), "at": random.choice(DRAWN)}
                for paper in papers
                if random.random() < 0.5
            ],
            "listings": _unique(
                [_listing(random, parties, focus) for _ in range(random.randint(0, 3))],
                "party",
                "list",
                "from",
                "cleared_version",
            ),
            "statements": _unique(
                [
                    {
                        "organisation": random.choice([focus, random.choice(organisations)]),
                        "kind": random.choice(
                            ["uvl", "sta_consignee", "supp8_740", "mofcom_order", "tsr_assurance", "screening_734_20"]
                        ),
                        **_span(random),
                    }
                    for _ in range(random.randint(0, 3))
                ],
                "organisation",
                "kind",
                "from",
            ),
            "clusters": [
                {
                    "id": name,
                    "shared": random.choice([["payment"], ["payment", "proxy_asn"]]),
                    "accounts": random.choice([3, 99, 100, 600]),
                    "exchanges_24h": random.choice([20, 100000, 410000]),
                    "as_of": random.choice(["2026-03-10T10:00:00Z", "2026-05-15T14:00:00Z", "2026-06-12T21:00:00Z"]),
                }
                for name in clusters
            ],
        },
        "catalogue": _catalogue(random),
        "settings": {
            "enforcement": {"AI-DIFFUSION-4E091": random.choice(["enforced", "advisory"])},
            "assertable": random.choice([[], ["us_status"], ["us_status", "citizenships", "headquarters"]]),
        },
        "request": _request(random, organisations, people, focus),
    }, focus


def _befriend(random: Random, document: World, focus: str) -> None:
    """Make nearly everything as an allow needs it."""
    members, request = document["members"], document["request"]
    _befriend_request(random, request, members, focus)
    for organisation in members["organisations"]:
        if _mostly(random):
            home = random.choice(FRIENDLY_COUNTRIES)
            organisation |= {"incorporated": home, "headquarters": random.choice([home, "US"])}
        if _mostly(random):
            organisation |= {"sector": "other", "reseller": False}
    for person in members["people"]:
        _befriend_person(random, person, [focus, members["organisations"][-1]["id"]])
    for account in members["accounts"]:
        if _mostly(random):
            account["person"] = random.choice(members["people"])["id"]
        if random.random() < 0.5:
            account["cluster"] = None
    if _mostly(random):
        joined = {"organisation": focus, "consortium": "glasswing", "from": None, "to": None, "status": "active"}
        members["memberships"] = [row for row in members["memberships"] if row["organisation"] != focus] + [joined]
    for paper in members["authorisations"]:
        if _mostly(random):
            paper |= {"holder": focus, "from": None, "to": None, "cap": random.choice([None, {"named_users": 1}])}
            paper["regime"] = FRIENDLY_REGIMES.get(request["model"], "us-ear")
            paper["models"] = sorted({request["model"], *paper["models"]})
            paper["actions"] = sorted({request["action"], *paper["actions"]})
    if _mostly(random):
        consignee = {"organisation": focus, "kind": "sta_consignee", "from": None, "to": None}
        members["statements"] = [row for row in members["statements"] if row["organisation"] != focus] + [consignee]
    members["listings"] = [row for row in members["listings"] if random.random() < 0.2]
    members["ownership"] = [row for row in members["ownership"] if row["percent"] is not None or not _mostly(random)]


def _mostly(random: Random) -> bool:
    return random.random() < 0.93


def _befriend_person(random: Random, person: dict[str, Any], organisations: list[str]) -> None:
    if _mostly(random):
        employers = organisations[:1] if random.random() < 0.8 else sorted(set(organisations))
        person["employments"] = [
            {"organisation": name, "kind": "employee", "from": "2020-01-01", "to": None} for name in employers
        ]
    if _mostly(random):
        person["us_status"] = [{"kind": random.choice(STATUSES[:-2]), "from": "2020-01-01", "to": None}]
    if _mostly(random):
        person["citizenships"] = [{"country": random.choice(FRIENDLY_COUNTRIES), "from": None, "to": None}]
        person["permanent_residencies"] = []


def _befriend_request(random: Random, request: dict[str, Any], members: dict[str, Any], focus: str) -> None:
    if _mostly(random):
        request["action"] = random.choice(ACTIONS)
        calls = request["action"] in ACTIONS[:6] or request["action"] == "administer"
        request["model"] = random.choice(FRIENDLY_CALLS if calls else FRIENDLY_CUSTODY)
    if _mostly(random):
        country = random.choice(FRIENDLY_COUNTRIES)
        request["place"] = {"country": country, "ip_country": random.choice([country, country, "US", None])}
    if _mostly(random):
        request["purpose"] = "defensive_cybersecurity"
    if _mostly(random):
        known = {"person": members["people"], "organisation": [{"id": focus}], "account": members["accounts"]}
        kind = random.choice(["person", "person", "person", "organisation", "account"])
        subject = random.choice(known[kind])
        request["subject"] = {"type": subject.get("kind", kind), "id": subject["id"]}
        request.pop("end_user", None)
    if _mostly(random):
        request.pop("acting_for", None)
        request.pop("destination", None)


def _organisation(random: Random, name: str) -> dict[str, Any]:
    home = random.choice(COUNTRIES)
    return {
        "id": name,
        "name": name,
        "kind": "company",
        "incorporated": home,
        "headquarters": random.choice([home, home, home, random.choice(COUNTRIES)]),
        "contract_country": None,
        "sector": random.choice(["government", "critical_infrastructure", "other", "other", "other", None]),
        "reseller": random.choice([False, False, False, True, None]),
        "identifiers": {"lei": None},
        "aliases": [],
    }


def _person(random: Random, name: str, organisations: list[str], focus: str) -> dict[str, Any]:
    countries = [country for country in COUNTRIES if country is not None]
    person: dict[str, Any] = {"id": name}
    employments = [
        {
            "organisation": random.choice([focus, random.choice(organisations)]),
            "kind": random.choice(["employee", "employee", "contractor"]),
            **_span(random),
        }
        for _ in range(random.randint(0, 2))
    ]
    if random.random() < 0.95:
        person["employments"] = _unique(employments, "organisation", "kind", "from")
    if random.random() < 0.8:
        person["us_status"] = [{"kind": random.choice(STATUSES), **_span(random)}]
    if random.random() < 0.85:
        rows = [{"country": random.choice(countries), **_span(random)} for _ in range(random.randint(0, 3))]
        person["citizenships"] = _unique(rows, "country", "from")
    if random.random() < 0.85:
        rows = [{"country": random.choice(countries), **_span(random)} for _ in range(random.randint(0, 2))]
        person["permanent_residencies"] = _unique(rows, "country", "from")
    return person


def _paper(random: Random, index: int, focus: str, organisations: list[str]) -> dict[str, Any]:
    return {
        "id": f"L{index}",
        "regime": random.choice(["us-order", "us-itar", "us-ear", "us-ear", "vendor"]),
        "kind": random.choice(["licence", "licence", "licence", "exception", "exemption"]),
        "holder": random.choice([focus, random.choice(organisations)]),
        "models": sorted({*MODELS[:1], *_some(random, MODELS, 6)}),
        "actions": sorted({*ACTIONS[:1], *_some(random, ACTIONS, 6)}),
        "countries": random.choice([None, None, ["US", "JP"]]),
        **_span(random),
        "cap": random.choice([None, None, {"named_users": 0}, {"named_users": 1}]),
        "conditions": [],
        **random.choice(SCOPES),
    }


SCOPES: Final[list[dict[str, Any]]] = [
    *({} for _ in range(8)),
    {"persons": ["p0"]},
    {"nationalities": ["US", "JP", "CN"]},
    {"purposes": ["defensive_cybersecurity"]},
    {"employees_only": False},
]


NARROW: Final = (
    "For all items subject to the EAR having a classification other than EAR99 or a classification where the third"
    ' through fifth digits of the ECCN are "999", e.g., XX999'
)
"""The one licence requirement that the parameters know to be narrower than every item."""

CLAIMS: Final = (None, None, "STA", "STA", "AIA", "ACE", "TSR", "TSR", "SPP", "GL25", "GL560540", "GL515578")


def _listing(random: Random, parties: list[str], focus: str) -> dict[str, Any]:
    status = random.choice(["confirmed", "confirmed", "potential", "cleared"])
    return {
        "party": random.choice([focus, random.choice(parties)]),
        "list": random.choice(["EL", "EL", "MEU", "UVL", "SDN", "SDN", "DPL", "DTC", "MIEU", "GOV-BLOCKED", "CMIC"]),
        "programmes": random.choice([None, None, ["CUBA"], ["SDGT"], ["IFSR; NPWMD"]]),
        "requirement": random.choice([None, "For all items subject to the EAR", NARROW]),
        "entry": random.choice(["an entry", "another entry"]),
        "entry_version": "2025-01-16",
        "reference": None,
        "status": status,
        "cleared_version": random.choice(["2025-01-16", "2024-01-01"]) if status == "cleared" else None,
        **_span(random),
    }


def _catalogue(random: Random) -> dict[str, Any]:
    base: dict[str, Any] = {
        "kind": "model",
        "tier": "distilled",
        "vendor": None,
        "developer_country": "US",
        "weights": "unpublished",
        "training_operations": random.choice([2.0e25, 9.0e25, 1.0e26, None]),
        "eccn": None,
        "purposes": [],
        "purposes_needing_review": [],
        "consortium": None,
        "lineage": [],
        "fallbacks": ["llama-4"],
        "aliases": {},
        "requires_end_user": random.choice([True, False]),
    }
    shares = [random.choice(["0.05", "0.10", "0.11", "0.30"]), random.choice(["0.08", "0.20"])]
    return {
        "teacher": {
            **base,
            "weights": random.choice(["published", "unpublished", "unpublished"]),
            "training_operations": random.choice([5.0e25, 9.0e25, None]),
        },
        "tutor": {**base, "training_operations": random.choice([1.0e25, 1.2e26])},
        "student": {
            **base,
            "weights": random.choice(["unpublished", "undetermined", "published", None]),
            "lineage": [
                {"teacher": "teacher", "synthetic_share": shares[0]},
                {"teacher": "tutor", "synthetic_share": shares[1]},
            ],
        },
        "software": {**base, "kind": "weights", "tier": None, "eccn": random.choice(["4D004", "EAR99", "9D001", None])},
        "coded": {**base, "eccn": random.choice(["4D004", "4E091", "EAR99", "9D001"])},
        "derived": {
            **base,
            "lineage": [{"base": "teacher", "added_operations": random.choice([1.0e25, 2.5e25, 2.6e25, None])}],
        },
    }


def _request(random: Random, organisations: list[str], people: list[str], focus: str) -> dict[str, Any]:
    def subject() -> dict[str, Any]:
        kind = random.choice(["person", "person", "person", "organisation", "account", "service"])
        ids = {
            "person": people,
            "organisation": [focus, *organisations],
            "account": ["a0", "a1"],
            "service": ["a0", "a1"],
        }[kind]
        found: dict[str, Any] = {"type": kind, "id": random.choice([*ids, *ids, *ids, "ghost"])}
        if random.random() < 0.2:
            found["properties"] = {
                "us_status": random.choice(STATUSES),
                "citizenships": [random.choice(["US", "CN"])],
                "headquarters": random.choice(["US", "CN"]),
            }
        return found

    country = random.choice([*COUNTRIES, "US", "US"])
    place: dict[str, Any] = {"country": country, "ip_country": random.choice([None, country, random.choice(COUNTRIES)])}
    if country in ("UA", "RU"):
        place |= _part(random)
    request: dict[str, Any] = {
        "subject": subject(),
        "model": random.choice(MODELS),
        "action": random.choice(ACTIONS),
        "purpose": random.choice(
            [
                "defensive_cybersecurity",
                "defensive_cybersecurity",
                "pentest_own_product",
                "military_end_use",
                "military_intelligence_end_use",
                "incident_response",
                "software_design",
                "advanced_computing_end_use",
                "personal_communications",
                None,
            ]
        ),
        "place": place,
        "claims": {"exception": random.choice(CLAIMS)},
    }
    if random.random() < 0.25:
        request["acting_for"] = random.choice([focus, random.choice(organisations)])
    if random.random() < 0.25:
        request["end_user"] = subject()
        # What is asserted of an organisation holds for the subject alone; an end user may work for the same one.
        request["subject"].get("properties", {}).pop("headquarters", None)
        request["end_user"].get("properties", {}).pop("headquarters", None)
    if random.random() < 0.3:
        request["destination"] = {
            "country": random.choice(COUNTRIES),
            "host": random.choice([None, random.choice(organisations), "ghost"]),
        }
        if request["destination"]["country"] in ("UA", "RU"):
            request["destination"] |= _part(random)
    if random.random() < 0.3:
        request["fallbacks"] = sorted(set(_some(random, MODELS, 3)))
    return request


def _part(random: Random) -> dict[str, Any]:
    """A part of a country and a postcode, as they are stated: some name nothing, or something elsewhere."""
    return {
        "subdivision": random.choice([None, None, "UA-43", "UA-14", "UA-65", "UA-11", "RU-CR", "RU-MOW", "US-CA"]),
        "postcode": random.choice([None, None, "95000", "01001", "295000", "101000", "9500"]),
    }


class Read:
    """A world as the engine reads it."""

    def __init__(self, document: World) -> None:
        node = read_document(json.dumps(document).encode(), "world")
        assert isinstance(node, Mapping)
        faults: list[Fault] = []
        members = node.get("members")
        assert members is not None
        self.rows = members_of(members, "world", faults)
        assert not faults, faults
        self.at = parse_instant(document["at"])
        self.roster = Roster.as_known(self.rows, self.at)
        self.catalogue: Node | None = node.get("catalogue")
        self.enforcement: dict[str, str] = document["settings"]["enforcement"]
        self.caller = Caller(
            id="world", gateway=document["gateway"], assertable=frozenset(document["settings"]["assertable"])
        )
        self.request: Request = request_of(document["request"])
