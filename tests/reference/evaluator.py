"""A second evaluator of decisions: slow, long-hand, and independent of the engine.

It is written from the text of the contract and of the rules alone, one plain function for each rule, so that a
difference between its answer and the engine's points at a misreading on one side. It imports nothing of the engine.

How it works, in the order of the code:

1. `World` is what a case says: the instant, the file as known then, the catalogue entry, the request.
2. `Party` is one for whom the request is judged: the subject once for each organisation acting, and the end user.
3. A bar is a function of a world and a party. It answers None (does not match), a sure `Hit`, or a `Hit` that stands
   on something unknown and says what is missing.
4. A bar that stands for any party stands. A grant must hold for all. What lifts a bar is judged for each party.

Percentages, shares and operations are exact fractions. Nothing here is fast.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import permutations, product
from typing import Any

Json = dict[str, Any]

REGIMES = (
    "engine",
    "us-order",
    "us-itar",
    "us-ear",
    "us-ofac",
    "vendor",
    "consortium",
    "operator",
    "cn-blocking",
)

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


# ---------------------------------------------------------------------------------------------------------------
# The rows, as the timeline has them.
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the timeline: what is the same for every request."""

    id: str
    regime: str
    effect: str
    hold: bool = field(default=False, kw_only=True)
    begins: str | None = field(default=None, kw_only=True)
    ends: str | None = field(default=None, kw_only=True)
    suspended: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    enforcement: str = field(default="enforced", kw_only=True)
    unless: tuple[str, ...] = field(default=(), kw_only=True)
    obligations: tuple[str, ...] = field(default=(), kw_only=True)
    reports: tuple[tuple[str, str], ...] = field(default=(), kw_only=True)
    """Obligations that hang on one code: (code, obligation)."""


ORDER_BEGINS = "2026-06-12T21:21:00Z"
ORDER_ENDS = "2026-06-30T22:00:00Z"
SUSPENSION_OF_AFFILIATES = (("2025-11-10T00:00:00-05:00", "2026-11-10T00:00:00-05:00"),)
AFFILIATES_BEGIN = "2025-09-29T00:00:00-04:00"
GLASSWING_BEGINS = "2026-04-07T00:00:00Z"
TERMS_BEGIN = "2025-09-05T00:00:00Z"
BAN_BEGINS = "2026-02-23T00:00:00Z"
SYRIA_ENDS = "2025-07-01T04:00:00Z"
KEEP_EAR = ("retain:15-cfr-762",)
KEEP_OFAC = ("retain:31-cfr-501.601",)
KEEP_ITAR = ("retain:22-cfr-122.5",)
REJECTED = (("EMBARGOED_TERRITORY", "report:31-cfr-501.604"),)
BLOCKED = ("retain:31-cfr-501.601", "report:31-cfr-501.603")
EXCEPTIONS = ("EAR-STA", "EAR-STA-A6", "EAR-ACE", "EAR-TSR", "EAR-SPP")
ON_THE_CHART = ("EAR-AUTHORISATIONS", "EAR-STA", "EAR-STA-A6", "EAR-ACE", "EAR-CYBER-RESPONSE", "EAR-TSR")

ALL_ROWS = (
    Row("ENGINE-NO-GRANT", "engine", "deny"),
    Row(
        "US-COM-2026-06-12",
        "us-order",
        "deny",
        begins=ORDER_BEGINS,
        ends=ORDER_ENDS,
        unless=("US-COM-2026-06-26", "US-ORDER-LICENCES"),
        obligations=("collect:us_person_attestation",),
    ),
    Row("US-COM-2026-06-26", "us-order", "note", begins="2026-06-26T23:00:00Z", ends=ORDER_ENDS),
    Row("US-ORDER-LICENCES", "us-order", "note", begins=ORDER_BEGINS, ends=ORDER_ENDS),
    Row("ITAR-126.1", "us-itar", "deny", obligations=("retain:22-cfr-122.5",)),
    Row("ITAR-126.1-D2", "us-itar", "deny", hold=True, unless=("ITAR-D2-RELEASE",), obligations=KEEP_ITAR),
    Row("ITAR-D2-RELEASE", "us-itar", "note", obligations=KEEP_ITAR),
    Row("AECA-DEBARRED", "us-itar", "deny", obligations=KEEP_ITAR),
    Row("ITAR-RELEASE", "us-itar", "deny", unless=("ITAR-AUTHORISATIONS", "ITAR-126.18")),
    Row("ITAR-126.18", "us-itar", "note", obligations=KEEP_ITAR),
    Row("ITAR-AUTHORISATIONS", "us-itar", "note", obligations=("retain:22-cfr-122.5",)),
    Row("US-PERSON-STATUS", "us-ear", "note"),
    Row("EAR-PUBLISHED", "us-ear", "note"),
    Row("EAR-PUBLISHED-UNDETERMINED", "us-ear", "deny", hold=True),
    Row("EAR-NLR", "us-ear", "note"),
    Row(
        "EAR-DEEMED-EXPORT",
        "us-ear",
        "deny",
        unless=(*ON_THE_CHART, "EAR-734.20-B", "EAR-734.20-C"),
        obligations=KEEP_EAR,
    ),
    Row("EAR-DEEMED-COUNTRY", "us-ear", "note"),
    Row(
        "EAR-CCL-COUNTRY",
        "us-ear",
        "deny",
        unless=ON_THE_CHART,
        obligations=KEEP_EAR,
    ),
    Row(
        "AI-DIFFUSION-4E091",
        "us-ear",
        "deny",
        begins="2025-01-13T00:00:00Z",
        enforcement="advisory",
        unless=("EAR-AUTHORISATIONS", "EAR-AIA"),
        obligations=KEEP_EAR,
    ),
    Row("AI-DIFFUSION-COUNT", "us-ear", "note", begins="2025-01-13T00:00:00Z"),
    Row("EAR-STA", "us-ear", "note", obligations=("retain:15-cfr-740.20(d)",)),
    Row("EAR-STA-A6", "us-ear", "note", obligations=("retain:15-cfr-740.20(d)",)),
    Row("EAR-ACE", "us-ear", "note", obligations=KEEP_EAR),
    Row("EAR-CYBER-RESPONSE", "us-ear", "note"),
    Row("EAR-AIA", "us-ear", "note", begins="2025-01-13T00:00:00Z", obligations=("retain:15-cfr-762.2(b)(58)",)),
    Row("EAR-AUTHORISATIONS", "us-ear", "note", obligations=KEEP_EAR),
    Row("ENTITY-LIST", "us-ear", "deny", unless=("EAR-AUTHORISATIONS",), obligations=KEEP_EAR),
    Row(
        "BIS-AFFILIATES",
        "us-ear",
        "deny",
        begins=AFFILIATES_BEGIN,
        suspended=SUSPENSION_OF_AFFILIATES,
        unless=("EAR-AUTHORISATIONS", "BIS-TGL-7"),
        obligations=KEEP_EAR,
    ),
    Row(
        "BIS-AFFILIATES-UNRESOLVED",
        "us-ear",
        "deny",
        hold=True,
        begins=AFFILIATES_BEGIN,
        suspended=SUSPENSION_OF_AFFILIATES,
        unless=("BIS-TGL-7",),
    ),
    Row("BIS-AFFILIATES-MINORITY", "us-ear", "note", begins=AFFILIATES_BEGIN),
    Row(
        "BIS-TGL-7",
        "us-ear",
        "note",
        begins=AFFILIATES_BEGIN,
        ends="2025-11-28T00:00:00-05:00",
        obligations=KEEP_EAR,
    ),
    Row("EAR-TSR", "us-ear", "note", obligations=("retain:15-cfr-740.6",)),
    Row("EAR-734.20-B", "us-ear", "note"),
    Row("EAR-734.20-C", "us-ear", "note", obligations=KEEP_EAR),
    Row(
        "EAR-RUSSIA-BELARUS",
        "us-ear",
        "deny",
        begins="2022-02-24T05:00:00Z",
        unless=("EAR-AUTHORISATIONS",),
        obligations=KEEP_EAR,
    ),
    Row(
        "EAR-SYRIA",
        "us-ear",
        "deny",
        begins=SYRIA_ENDS,
        unless=("EAR-AUTHORISATIONS", "EAR-SPP"),
        obligations=KEEP_EAR,
    ),
    Row("EAR-SPP", "us-ear", "note", begins="2025-09-02T04:00:00Z", obligations=KEEP_EAR),
    Row("EAR-744.23", "us-ear", "deny", unless=("EAR-AUTHORISATIONS",), obligations=KEEP_EAR),
    Row("EAR-SUPPORT-744.6", "us-ear", "deny", unless=("EAR-AUTHORISATIONS",), obligations=KEEP_EAR),
    Row(
        "EAR-AI-TRAINING",
        "us-ear",
        "deny",
        hold=True,
        begins="2025-05-13T04:00:00Z",
        unless=("EAR-TRAINING-RELEASE",),
        obligations=KEEP_EAR,
    ),
    Row("EAR-TRAINING-RELEASE", "us-ear", "note", obligations=KEEP_EAR),
    Row("LIST-OTHERS", "us-ear", "note"),
    Row("DENIED-PERSONS", "us-ear", "deny", obligations=KEEP_EAR),
    Row("MIEU-744.22", "us-ear", "deny", unless=("EAR-AUTHORISATIONS",), obligations=KEEP_EAR),
    Row("MIEU-LISTED", "us-ear", "deny", unless=("EAR-AUTHORISATIONS",), obligations=KEEP_EAR),
    Row("UVL-STATEMENT", "us-ear", "deny", unless=("statement uvl",), obligations=("retain:15-cfr-762.2(b)(52)",)),
    Row("MEU-744.21", "us-ear", "deny", unless=("EAR-AUTHORISATIONS",)),
    Row("LIST-MATCH-REVIEW", "us-ear", "deny", hold=True),
    Row("LIST-MATCH-CLEARED", "us-ear", "note"),
    Row(
        "OFAC-EMBARGO",
        "us-ofac",
        "deny",
        unless=("OFAC-560.540", "OFAC-515.578"),
        obligations=KEEP_OFAC,
        reports=REJECTED,
    ),
    Row("OFAC-560.540", "us-ofac", "note", obligations=KEEP_OFAC),
    Row("OFAC-515.578", "us-ofac", "note", obligations=KEEP_OFAC),
    Row(
        "OFAC-SYRIA",
        "us-ofac",
        "deny",
        ends=SYRIA_ENDS,
        unless=("OFAC-GL-25",),
        obligations=KEEP_OFAC,
        reports=REJECTED,
    ),
    Row("OFAC-GL-25", "us-ofac", "note", begins="2025-05-23T04:00:00Z", ends=SYRIA_ENDS, obligations=KEEP_OFAC),
    Row("OFAC-UA-REGIONS", "us-ofac", "deny", begins="2022-02-21T00:00:00Z", obligations=KEEP_OFAC, reports=REJECTED),
    Row("OFAC-SDN", "us-ofac", "deny", obligations=BLOCKED),
    Row("OFAC-GOV-BLOCKED", "us-ofac", "deny", obligations=BLOCKED),
    Row("OFAC-MATCH-REVIEW", "us-ofac", "deny", hold=True),
    Row("OFAC-RU-SERVICES", "us-ofac", "deny", begins="2024-09-12T04:00:00Z", obligations=KEEP_OFAC),
    Row("OFAC-50", "us-ofac", "deny", obligations=BLOCKED),
    Row("OFAC-50-UNRESOLVED", "us-ofac", "deny", hold=True),
    Row("OFAC-50-MINORITY", "us-ofac", "note"),
    Row("VENDOR-REGION", "vendor", "deny", begins=TERMS_BEGIN),
    Row("VENDOR-OWNERSHIP", "vendor", "deny", begins=TERMS_BEGIN),
    Row("VENDOR-OWNERSHIP-UNRESOLVED", "vendor", "deny", hold=True, begins=TERMS_BEGIN),
    Row("VENDOR-OWNERSHIP-MINORITY", "vendor", "note", begins=TERMS_BEGIN),
    Row("CN-CONTROLLED-BAN", "vendor", "deny", begins=BAN_BEGINS),
    Row("CN-CONTROLLED-UNRESOLVED", "vendor", "deny", hold=True, begins=BAN_BEGINS),
    Row("VENDOR-GENERAL-ACCESS", "vendor", "permit"),
    Row("VENDOR-PUBLISHED-WEIGHTS", "vendor", "permit"),
    Row("VENDOR-RESELLER-END-USER", "vendor", "deny"),
    Row("GLASSWING-ACCESS", "consortium", "permit", begins=GLASSWING_BEGINS),
    Row("GLASSWING-MEMBERSHIP", "consortium", "deny", begins=GLASSWING_BEGINS),
    Row("GLASSWING-PURPOSE", "consortium", "deny", begins=GLASSWING_BEGINS),
    Row(
        "GLASSWING-PURPOSE-REVIEW",
        "consortium",
        "deny",
        hold=True,
        begins=GLASSWING_BEGINS,
        unless=("GLASSWING-RELEASE",),
    ),
    Row("GLASSWING-RELEASE", "consortium", "note", obligations=("retain:authorisation",)),
    Row("GLASSWING-REVIEWED-ACCESS", "consortium", "permit", begins=GLASSWING_BEGINS),
    Row("OPERATOR-MODEL-KNOWN", "operator", "deny"),
    Row("OPERATOR-SUBJECT-KNOWN", "operator", "deny"),
    Row("OPERATOR-ASSERTION-CONFLICT", "operator", "deny", hold=True),
    Row("OPERATOR-LOCATION-EVIDENCE", "operator", "deny", hold=True),
    Row("OPERATOR-DISTILLATION-PATTERN", "operator", "deny", begins=TERMS_BEGIN),
    Row(
        "OPERATOR-SUSPEND-ALL",
        "operator",
        "deny",
        begins="2026-06-12T22:50:00Z",
        ends=ORDER_ENDS,
        unless=("US-COM-2026-06-26",),
    ),
    Row("OPERATOR-STAFF-ACCESS", "operator", "permit"),
    Row("OPERATOR-EXPORT-DESK", "operator", "permit"),
    Row("OPERATOR-AUTHORISED-USE", "operator", "permit", obligations=("retain:authorisation",)),
    Row("INBOUND-DISTILLED", "operator", "deny"),
    Row("INBOUND-DISTILLED-REVIEW", "operator", "deny", hold=True, unless=("INBOUND-RELEASE",)),
    Row("INBOUND-RELEASE", "operator", "note"),
    Row("INBOUND-DISTILLED-NOTE", "operator", "note"),
    Row("MOFCOM-BLOCKING", "cn-blocking", "deny", hold=True, begins="2021-01-09T00:00:00Z"),
)

ROWS = {row.id: row for row in ALL_ROWS}

CUSTODY = ("release", "download_weights", "replicate_weights")
DESK = (*CUSTODY, "licence_determination")
CALLS = ("infer", "list", "embed", "fine_tune")
CALLS_AND_DISTILL = (*CALLS, "distill")

US_PERSON_KINDS = (
    "citizen",
    "national",
    "lawful_permanent_resident",
    "refugee_admitted",
    "asylee_granted",
    "temporary_resident_1160_1255a",
)
ORDERED_MODELS = ("mythos-5", "fable-5")
ECCN_COLUMNS = {
    "4E001.a": ("NS1", "AT1"),
    "4E001.a-4A090": ("RS-worldwide", "AT1"),
    "4E001.c": ("NS1", "AT1"),
    "4D004": ("NS1", "AT1"),
    "4E091": ("RS-worldwide", "AT1"),
}
NO_NS1 = {"AU", "CA", "GB", "US"}
STA_ECCN = ("4E001.a", "4E001.c")
STA_A6_ECCN = ("4E001.c",)
ACE_ECCN = ("4E001.c", "4D004")
CYBER_RESPONSE = ("vulnerability_disclosure", "incident_response")
OTHER_LISTS = ("SSI", "CMIC", "NS-MBS", "CAP", "DOD-1260H", "UFLPA")
COUNTED_PROGRAMMES = set(
    """
    BELARUS BELARUS-EO14038 RUSSIA-EO14024 UKRAINE-EO13660 UKRAINE-EO13661 UKRAINE-EO13662 UKRAINE-EO13685 FTO SDGT
    NPWMD ILLICIT-DRUGS-EO14059 SDNT SDNTK TCO
    """.split()
)
NARROW_REQUIREMENT = (
    "for all items subject to the ear having a classification other than ear99 or a classification where the third"
    ' through fifth digits of the eccn are "999", e.g., xx999'
)
RUSSIAN_SERVICES = ("enterprise_software", "software_design", "it_consultancy")
SERVED = ("infer", "embed", "fine_tune", "distill")
MEU_ANY_ITEM = ("BY", "RU")
MEU_SUPP2_COUNTRIES = ("MM", "KH", "CN", "NI", "VE")
MEU_SUPP2_ECCN = ("4A994", "4D993", "4D994")
OPERATIONS_THRESHOLD = Fraction(10**26)
DERIVATIVE_ADDED_MAX = Fraction(25 * 10**24)
OFAC_SUBDIVISIONS = ("UA-43", "UA-40", "UA-14", "UA-09")
FIVE_DIGITS = {
    "UA-43": ("95", "96", "97", "98"),
    "UA-40": ("99",),
    "UA-14": ("83", "84", "85", "86", "87"),
    "UA-09": ("91", "92", "93", "94"),
}
SIX_DIGITS = {
    "UA-43": ("295", "296", "297", "298"),
    "UA-40": ("299",),
    "UA-14": ("283", "284", "285", "286", "287"),
    "UA-09": ("291", "292", "293", "294"),
}
BLOCKED_LISTS = ("SDN", "GOV-BLOCKED")
SCREENED_LISTS = ("EL", "MEU", "UVL", "DPL", "DTC", "MIEU", *BLOCKED_LISTS)


# ---------------------------------------------------------------------------------------------------------------
# Time, numbers, and what was known when.
# ---------------------------------------------------------------------------------------------------------------


def instant(value: Any) -> datetime | None:
    """An instant of a file: RFC 3339 text, a datetime, or a bare date, which is 00:00:00Z of that day."""
    if value is None:
        return None
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise TypeError(f"not an instant: `{value}`")


def sure_instant(value: Any) -> datetime:
    """An instant that must be there."""
    found = instant(value)
    if found is None:
        raise TypeError("an instant is missing")
    return found


def number(value: Any) -> Fraction:
    """An exact number; a float is read as it is written, so that 1.0e+26 is 10 to the 26th."""
    return Fraction(str(value))


def begin(row: Json) -> datetime:
    """When a row begins to be true; no `from` means that it always was."""
    return instant(row.get("from")) or BEGINNING


def has_begun(row: Json, at: datetime) -> bool:
    """The row began at or before the instant."""
    return begin(row) <= at


def has_ended(row: Json, at: datetime) -> bool:
    """The row ended at or before the instant: intervals are half-open."""
    end = instant(row.get("to"))
    return end is not None and end <= at


def in_force(row: Json, at: datetime) -> bool:
    """The row is true at the instant."""
    return has_begun(row, at) and not has_ended(row, at)


def recorded(row: Json) -> datetime:
    """When a row was recorded; a row without it counts as always known."""
    return instant(row.get("recorded_at")) or BEGINNING


def key_of(row: Json) -> tuple[tuple[str, str], ...]:
    """Contract 4: all fields but `to`, `percent`, `status`, `evidence` (and the recording itself)."""
    parts = []
    for name in sorted(row):
        if name in {"to", "percent", "status", "evidence", "recorded_at"} or row[name] is None:
            continue
        value = instant(row[name]) if name in {"from", "at", "as_of"} else row[name]
        parts.append((name, repr(value)))
    return tuple(parts)


def known_rows(rows: Iterable[Json], known_at: datetime) -> list[Json]:
    """The rows as known at an instant: recorded by then, a later one with the same key in place of an earlier.

    Of rows with the same key that were recorded at the same instant neither is later, so both stay, unless they are
    the same row twice.
    """
    visible = [row for row in rows if recorded(row) <= known_at]
    kept: list[Json] = []
    for row in visible:
        replaced = any(key_of(row) == key_of(other) and recorded(row) < recorded(other) for other in visible)
        if not replaced and row not in kept:
            kept.append(row)
    return kept


def known_list(rows: Any, known_at: datetime) -> list[Json] | None:
    """An open list: absent is unknown, `[]` is known: none. Rows none of which was recorded yet are unknown."""
    if rows is None:
        return None
    found = known_rows(rows, known_at)
    if rows and not found:
        return None
    return found


# ---------------------------------------------------------------------------------------------------------------
# The world of one request.
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation that is judged. Without an id nobody knows which one it is, nor any of its attributes."""

    id: str | None
    record: Json

    @property
    def incorporated(self) -> str | None:
        return self.record.get("incorporated") or None

    @property
    def headquarters(self) -> str | None:
        return self.record.get("headquarters") or None

    @property
    def sector(self) -> str | None:
        return self.record.get("sector") or None

    @property
    def reseller(self) -> bool | None:
        return self.record.get("reseller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One for whom the request is judged.

    `natural` says that a natural person stands there; `person` is the one on file, None when nobody knows who.
    `org` is the organisation acting, None when the party is known to act for none.
    """

    side: str
    type: str
    natural: bool
    person: Json | None
    org: Org | None
    account: Json | None
    employee: bool


@dataclass(slots=True, kw_only=True)
class World:
    """Everything that a rule may look at."""

    at: datetime
    known_at: datetime
    gateway: str | None
    catalogue: dict[str, Json]
    groups: Json
    settings: Json
    request: Json
    organisations: dict[str, Json]
    people: dict[str, Json]
    accounts: dict[tuple[str, str], Json]
    ownership: list[Json]
    memberships: list[Json]
    authorisations: list[Json]
    draws: list[Json]
    listings: list[Json]
    statements: list[Json]
    clusters: list[Json]
    model_id: str | None
    entry: Json
    conflict: bool = False

    @property
    def action(self) -> str:
        return str(self.request["action"])

    @property
    def purpose(self) -> str | None:
        return self.request.get("purpose") or None

    @property
    def place(self) -> Json:
        return self.request.get("place") or {}

    @property
    def destination(self) -> Json:
        return self.request.get("destination") or {}

    @property
    def exception(self) -> str | None:
        return (self.request.get("claims") or {}).get("exception") or None

    @property
    def place_country(self) -> str | None:
        return self.place.get("country") or None

    @property
    def ip_country(self) -> str | None:
        return self.place.get("ip_country") or None

    @property
    def destination_country(self) -> str | None:
        return self.destination.get("country") or None

    @property
    def reached_country(self) -> str | None:
        """destination.country, else place.country."""
        return self.destination_country or self.place_country

    @property
    def host(self) -> Org | None:
        host = self.destination.get("host") or None
        return None if host is None else organisation(self, host)

    @property
    def kind(self) -> str | None:
        return self.entry.get("kind")

    @property
    def tier(self) -> str | None:
        return self.entry.get("tier") or None

    @property
    def vendor(self) -> str | None:
        return self.entry.get("vendor") or None

    @property
    def eccn(self) -> str | None:
        return self.entry.get("eccn") or None

    @property
    def published(self) -> bool:
        """Undetermined and null are not published."""
        return self.entry.get("weights") == "published"

    @property
    def published_model(self) -> bool:
        return self.kind == "model" and self.published


def organisation(w: World, org_id: str | None) -> Org:
    """The organisation of that id; one that is not on file has attributes that nobody knows."""
    if org_id is None:
        return Org(None, {})
    return Org(org_id, w.organisations.get(org_id, {}))


def find_model(catalogue: dict[str, Json], gateway: str | None, name: Any) -> str | None:
    """A catalogue id, byte for byte, or an alias of the calling gateway."""
    if name in catalogue:
        return str(name)
    if gateway is None:
        return None
    for model_id in sorted(catalogue):
        aliases = catalogue[model_id].get("aliases") or {}
        if name in (aliases.get(gateway) or []):
            return model_id
    return None


def newest_by_id(rows: Iterable[Json], known_at: datetime) -> dict[str, Json]:
    """Of the rows that describe the same thing, the one recorded last."""
    found: dict[str, Json] = {}
    for row in known_rows(rows, known_at):
        found[row["id"]] = row
    return found


def people_on_file(rows: Iterable[Json], known_at: datetime) -> dict[str, Json]:
    """People with their lists as known; a list that is None is unknown."""
    people: dict[str, Json] = {}
    for row in rows:
        if recorded(row) > known_at:
            continue
        person: Json = {"id": row["id"]}
        for name in ("employments", "us_status", "citizenships", "permanent_residencies"):
            person[name] = known_list(row.get(name), known_at)
        people[row["id"]] = person
    return people


def build_world(case: Json, catalogue: Json, groups: Json, request: Json) -> World:
    """The world of a case entry, with the request given (the entry's own, or the same with another model)."""
    at = sure_instant(case["at"])
    known_at = instant(case.get("known_at")) or at
    gateway = case.get("gateway") or None
    members: Json = case.get("members") or {}
    entries = {**catalogue, **(case.get("catalogue") or {})}
    model_id = find_model(entries, gateway, request["model"])

    def rows(name: str) -> list[Json]:
        return known_rows(members.get(name) or [], known_at)

    return World(
        at=at,
        known_at=known_at,
        gateway=gateway,
        catalogue=entries,
        groups=groups,
        settings=case.get("settings") or {},
        request=request,
        organisations=newest_by_id(members.get("organisations") or [], known_at),
        people=people_on_file(members.get("people") or [], known_at),
        accounts={(row.get("kind") or "account", row["id"]): row for row in rows("accounts")},
        ownership=rows("ownership"),
        memberships=rows("memberships"),
        authorisations=rows("authorisations"),
        draws=rows("draws"),
        listings=rows("listings"),
        statements=rows("statements"),
        clusters=rows("clusters"),
        model_id=model_id,
        entry=entries[model_id] if model_id is not None else {},
    )


def state_of(w: World, rule: str) -> str | None:
    """`enforced`, `advisory` or `suspended`; None when the row is not in force at the instant."""
    row = ROWS[rule]
    if row.begins is not None and w.at < sure_instant(row.begins):
        return None
    if row.ends is not None and w.at >= sure_instant(row.ends):
        return None
    for begins, ends in row.suspended:
        if sure_instant(begins) <= w.at < sure_instant(ends):
            return "suspended"
    if rule == "ENGINE-NO-GRANT":
        return "enforced"
    enforcement = (w.settings.get("enforcement") or {}).get(rule) or row.enforcement
    return str(enforcement)


# ---------------------------------------------------------------------------------------------------------------
# Who is judged.
# ---------------------------------------------------------------------------------------------------------------


def on_file(w: World, who: Json) -> bool:
    """The id is on file under its type."""
    match who["type"]:
        case "person":
            return who["id"] in w.people
        case "organisation":
            return who["id"] in w.organisations
        case "account" | "service":
            return (who["type"], who["id"]) in w.accounts
    return False


def employments_now(w: World, person: Json) -> list[Json] | None:
    """Employments in force; None when nobody knows for whom the person works."""
    rows = person["employments"]
    if rows is None:
        return None
    return [row for row in rows if in_force(row, w.at)]


def organisations_of(w: World, person: Json) -> list[str | None]:
    """The organisations of a person's employments in force, each once; [None] when unknown, [] when none."""
    rows = employments_now(w, person)
    if rows is None:
        return [None]
    ids = {row.get("organisation") or None for row in rows}
    return sorted(ids, key=lambda org_id: org_id or "")


def is_employee(w: World, person: Json, org_id: str | None) -> bool:
    """An employment of kind employee with that organisation is in force; a contractor is none."""
    for row in employments_now(w, person) or []:
        if row.get("organisation") == org_id and org_id is not None and row.get("kind") == "employee":
            return True
    return False


def person_parties(w: World, who: Json, side: str, acting_for: str | None) -> list[Party]:
    """A natural person, once for each organisation acting."""
    person = w.people[who["id"]]
    orgs = organisations_of(w, person)
    if acting_for is not None:
        if acting_for in orgs:
            orgs = [acting_for]
        else:
            w.conflict = True
    parties = [
        Party(
            side=side,
            type="person",
            natural=True,
            person=person,
            org=organisation(w, org_id),
            account=None,
            employee=is_employee(w, person, org_id),
        )
        for org_id in orgs
    ]
    if not parties:
        parties.append(
            Party(side=side, type="person", natural=True, person=person, org=None, account=None, employee=False)
        )
    return parties


def account_party(w: World, who: Json, side: str, acting_for: str | None) -> Party:
    """An account or service: its organisation acts, and its person, when there is one on file, stands behind it."""
    account = w.accounts[who["type"], who["id"]]
    org_id = account.get("organisation") or None
    person = w.people.get(account.get("person") or "")
    if acting_for is not None and acting_for != org_id:
        w.conflict = True
    return Party(
        side=side,
        type=who["type"],
        natural=True,
        person=person,
        org=organisation(w, org_id),
        account=account,
        employee=person is not None and is_employee(w, person, org_id),
    )


def organisation_party(w: World, who: Json, side: str, acting_for: str | None) -> Party:
    """A request by an organisation as such."""
    if acting_for is not None and acting_for != who["id"]:
        w.conflict = True
    return Party(
        side=side,
        type="organisation",
        natural=False,
        person=None,
        org=organisation(w, who["id"]),
        account=None,
        employee=False,
    )


def parties_of(w: World, who: Json, side: str, acting_for: str | None) -> list[Party]:
    """The parties for one subject or end user that is on file. An assertion fills or clashes first."""
    assert_properties(w, who)
    if who["type"] == "person":
        return person_parties(w, who, side, acting_for)
    if who["type"] == "organisation":
        return [organisation_party(w, who, side, acting_for)]
    return [account_party(w, who, side, acting_for)]


def assert_properties(w: World, who: Json) -> None:
    """Contract 2: an asserted fact fills what is unknown on file; a clash is a conflict; it never creates a subject."""
    assertable = w.settings.get("assertable") or []
    for name, value in (who.get("properties") or {}).items():
        if name not in assertable or value is None:
            continue
        if who["type"] == "organisation":
            assert_about_organisation(w, who["id"], name, value)
        else:
            person_id = who["id"]
            if who["type"] != "person":
                person_id = w.accounts[who["type"], who["id"]].get("person")
            if person_id in w.people:
                assert_about_person(w, person_id, name, value)


def assert_about_organisation(w: World, org_id: str, name: str, value: Any) -> None:
    """An attribute of an organisation."""
    if name not in {"incorporated", "headquarters", "contract_country", "sector", "reseller"}:
        return
    record = w.organisations[org_id]
    if record.get(name) is None:
        w.organisations[org_id] = {**record, name: value}
    elif record[name] != value:
        w.conflict = True


def assert_about_person(w: World, person_id: str, name: str, value: Any) -> None:
    """A status, or a list of countries held now."""
    person = w.people[person_id]
    if name == "us_status":
        held = {row.get("kind") for row in person["us_status"] or [] if in_force(row, w.at)}
        if not held:
            w.people[person_id] = {**person, "us_status": [{"kind": value, "from": None, "to": None}]}
        elif value not in held:
            w.conflict = True
    if name in {"citizenships", "permanent_residencies"}:
        rows = [entry if isinstance(entry, dict) else {"country": entry} for entry in value]
        if person[name] is None:
            w.people[person_id] = {**person, name: rows}
        elif {row["country"] for row in rows} != {row["country"] for row in person[name] if in_force(row, w.at)}:
            w.conflict = True


# ---------------------------------------------------------------------------------------------------------------
# Three values: a hit is sure, or stands on an unknown. None is: does not match.
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hit:
    """A row that matches. `sure` is False when it stands only because nobody knows that it fails."""

    sure: bool
    codes: frozenset[str]
    missing: frozenset[str]


def yes(*codes: str, missing: Iterable[str] = ()) -> Hit:
    """Known to match."""
    return Hit(True, frozenset(codes), frozenset(missing))


def doubt(codes: Iterable[str], missing: Iterable[str]) -> Hit:
    """Not known to fail."""
    return Hit(False, frozenset(codes), frozenset(missing))


def strongest(hits: Iterable[Hit | None]) -> Hit | None:
    """Several grounds of one bar: what is known to match says its codes, and what is unknown speaks only alone."""
    found = [hit for hit in hits if hit is not None]
    if not found:
        return None
    chosen = [hit for hit in found if hit.sure] or found
    return Hit(
        chosen[0].sure,
        frozenset().union(*(hit.codes for hit in chosen)),
        frozenset().union(*(hit.missing for hit in chosen)),
    )


# ---------------------------------------------------------------------------------------------------------------
# Places.
# ---------------------------------------------------------------------------------------------------------------


def find_group(w: World, name: str) -> Json | None:
    """The group of that name, None when the data have none."""
    for group in w.groups["groups"]:
        if group["group"] == name:
            return dict(group)
    return None


def countries_in(w: World, name: str) -> set[str]:
    """The whole countries of a group at the instant."""
    group = find_group(w, name) or {"members": []}
    return {row["country"] for row in group["members"] if row.get("subdivision") is None and in_force(row, w.at)}


def parts_in(w: World, name: str) -> set[str]:
    """The parts of countries in a group at the instant."""
    group = find_group(w, name) or {"members": []}
    return {row["subdivision"] for row in group["members"] if row.get("subdivision") and in_force(row, w.at)}


def treated_as(w: World, scheme: str, country: str) -> str:
    """Hong Kong counts as China for the EAR and the ITAR from the dates in the data."""
    for row in w.groups["treat_as"]:
        if row["in"] == scheme and row["country"] == country and in_force(row, w.at):
            return str(row["as"])
    return country


def ear(w: World, country: str) -> str:
    """The country as the EAR reads it."""
    return treated_as(w, "EAR", country)


def at_home(w: World, country: str) -> bool:
    """The United States, of which its territories are a part (15 CFR 772.1, 22 CFR 120.60)."""
    return ear(w, country) == "US"


def itar(w: World, country: str) -> str:
    """The country as the ITAR reads it."""
    return treated_as(w, "ITAR", country)


def subdivision_of_postcode(country: str, postcode: str) -> str:
    """The part of Ukraine that a postcode lies in by the prefixes of OFAC-UA-REGIONS; `elsewhere` for any other."""
    table: dict[str, tuple[str, ...]] = {}
    if len(postcode) == 5 and country in {"UA", "RU"}:
        table = FIVE_DIGITS
    if len(postcode) == 6 and country in {"UA", "RU"}:
        table = SIX_DIGITS
    for subdivision, prefixes in table.items():
        if postcode.isascii() and postcode.isdigit() and postcode.startswith(prefixes):
            return subdivision
    return "elsewhere"


UKRAINE = {f"UA-{n:02}" for n in (5, 7, 9, 12, 14, 18, 21, 23, 26, 30, 32, 35, 40, 43, 46, 48, 51, 53, 56, 59)} | {
    f"UA-{n}" for n in (61, 63, 65, 68, 71, 74, 77)
}
"""The regions of Ukraine by ISO 3166-2."""

OTHER_PARTS = {"US-CA", "RU-MOW", "DE-BE"}
"""Of other countries those that the generated worlds name."""


def part_of_ukraine(w: World, parts: Iterable[str], *, destination: bool = True) -> dict[str, str]:
    """Of place and destination what is known: `inside` one of the parts, `outside`, or `unknown` with what is open.

    The answer for all of them is the strongest: inside, then unknown.
    """
    where = {"place": part_of_ukraine_at(w.place, set(parts))}
    if destination:
        where["destination"] = part_of_ukraine_at(w.request.get("destination") or {}, set(parts))
    if "inside" in where.values():
        return {"inside": ""}
    return {f"{name}.{what}": "unknown" for name, what in where.items() if what != "outside"}


def part_of_ukraine_at(stated: Json, parts: set[str]) -> str:
    """`inside`, `outside`, or the fact that leaves it open: `subdivision` or `postcode`."""
    country, address = stated.get("country"), stated.get("ip_country")
    region, postcode = stated.get("subdivision"), stated.get("postcode")
    by_postcode = {subdivision_of_postcode(one, postcode) for one in (country, address) if one and postcode} & parts
    if region in parts:
        return "inside"
    known_region = region in UKRAINE or region in OTHER_PARTS
    if by_postcode:
        return "subdivision" if known_region else "inside"
    hinted = {country, address, (region or "")[:2]}
    if "UA" not in hinted and (known_region or region is None or "RU" not in hinted):
        return "outside"
    consistent = (country or address or "UA") == "UA"
    readable = postcode is not None and postcode.isascii() and postcode.isdigit() and len(postcode) in (5, 6)
    if not consistent or (region is not None and region not in UKRAINE) or (region is None and not readable):
        return "subdivision"
    return "postcode" if postcode and not readable else "outside"


def no_place(w: World) -> bool:
    """Neither place.country nor place.ip_country is stated."""
    return w.place_country is None and w.ip_country is None


def only_evidence(w: World) -> bool:
    """Only place.ip_country is stated."""
    return w.place_country is None and w.destination_country is None and w.ip_country is not None


def places_of_request(w: World) -> set[str]:
    """place.country, place.ip_country and destination.country, as far as stated, and the countries of stated parts."""
    parts = {(one.get("subdivision") or "")[:2] for one in (w.place, w.request.get("destination") or {})} - {""}
    return parts | {c for c in (w.place_country, w.ip_country, w.destination_country) if c is not None}


def judged_organisations(w: World, p: Party, *, host: bool = True) -> list[Org]:
    """The organisation acting and, for rows that reach it, the host."""
    found = [] if p.org is None else [p.org]
    if host and w.host is not None:
        found.append(w.host)
    return found


def establishments(orgs: Iterable[Org]) -> set[str]:
    """Where the organisations are incorporated and headquartered, as far as known."""
    return {c for org in orgs for c in (org.incorporated, org.headquarters) if c is not None}


def unknown_establishments(orgs: Iterable[Org]) -> set[str]:
    """Which facts about establishment are not on file."""
    missing = set()
    for org in orgs:
        if org.incorporated is None:
            missing.add("organisation.incorporated")
        if org.headquarters is None:
            missing.add("organisation.headquarters")
    return missing


# ---------------------------------------------------------------------------------------------------------------
# Persons.
# ---------------------------------------------------------------------------------------------------------------


def us_status(w: World, p: Party) -> str:
    """`us`, `foreign` or `unknown` for the natural person of a party. Rows that contradict each other are unknown."""
    if p.person is None:
        return "unknown"
    kinds = {row.get("kind") for row in p.person["us_status"] or [] if in_force(row, w.at)}
    if kinds and kinds <= set(US_PERSON_KINDS):
        return "us"
    return "foreign" if kinds == {"none"} else "unknown"


def entity_status(w: World, p: Party) -> str:
    """`us`, `foreign` or `unknown` for the organisation acting; `none` when there is none."""
    if p.org is None:
        return "none"
    if p.org.incorporated is None:
        return "unknown"
    return "us" if at_home(w, p.org.incorporated) else "foreign"


@dataclass(frozen=True, slots=True)
class Deemed:
    """Where a release to a person is deemed to go: in each of the `worlds` that the file leaves open, the countries.

    `missing` is what is not on file at all, `undated` what has no beginning although another country is on file.
    """

    worlds: tuple[frozenset[str], ...] = ()
    missing: frozenset[str] = frozenset()
    undated: frozenset[str] = frozenset()


def deemed_countries(w: World, p: Party) -> Deemed:
    """The latest of what is held now. Two that began at the same instant both count; one that nobody dated may be the
    latest, or any of the others may be."""
    if p.person is None:
        return Deemed(missing=frozenset({"person.citizenships", "person.permanent_residencies"}))
    citizenships = p.person["citizenships"]
    residencies = p.person["permanent_residencies"]
    missing = set()
    if not citizenships:
        missing.add("person.citizenships")
    if residencies is None:
        missing.add("person.permanent_residencies")
    if missing:
        return Deemed(missing=frozenset(missing))
    kinds = (("person.citizenships", citizenships), ("person.permanent_residencies", residencies))
    held = [(name, row) for name, rows in kinds for row in rows if in_force(row, w.at)]
    if not held:
        return Deemed(missing=frozenset({"person.citizenships"}))
    undated = [(name, row) for name, row in held if row.get("from") is None]
    dated = [row for _, row in held if row.get("from") is not None]
    several = len({row["country"] for _, row in held}) > 1
    worlds = [frozenset({ear(w, row["country"])}) for _, row in undated]
    if dated:
        latest = max(begin(row) for row in dated)
        worlds.append(frozenset(ear(w, row["country"]) for row in dated if begin(row) == latest))
    return Deemed(
        worlds=tuple(dict.fromkeys(worlds)),
        undated=frozenset(name for name, _ in undated) if several else frozenset(),
    )


# ---------------------------------------------------------------------------------------------------------------
# Lists, statements, authorisations.
# ---------------------------------------------------------------------------------------------------------------


def party_keys(w: World, p: Party) -> list[str]:
    """Under which names the party and the host stand in listings."""
    keys = []
    if p.person is not None:
        keys.append("person:" + p.person["id"])
    keys.extend(org.id for org in judged_organisations(w, p) if org.id is not None)
    return keys


def listings_of(w: World, key: str, lists: Iterable[str]) -> list[Json]:
    """Listings in force of one party on some lists, whatever their status."""
    return [row for row in w.listings if row["party"] == key and row["list"] in lists and in_force(row, w.at)]


def is_listed(w: World, key: str, *lists: str) -> bool:
    """A confirmed listing is in force."""
    return any(row.get("status") == "confirmed" for row in listings_of(w, key, lists))


def counts_as_owner(row: Json, test: str) -> bool:
    """15 CFR 744.8(a)(1): for the Affiliates Rule an entry of the SDN List counts under some programmes, and where
    nobody knows under which."""
    if test != "bis-affiliates" or row["list"] != "SDN" or not row.get("programmes"):
        return True
    names = [name.strip() for text in row["programmes"] for name in text.replace("] [", ";").split(";")]
    return any(
        name in COUNTED_PROGRAMMES or name != name.upper() or not name.replace("-", "").isalnum() for name in names
    )


def reaches_item(w: World, row: Json) -> bool | None:
    """Whether an entry's licence requirement reaches the item; None when nobody classified it."""
    text = " ".join((row.get("requirement") or "").split()).rstrip(".").lower()
    if text != NARROW_REQUIREMENT:
        return True
    if w.eccn is None:
        return None
    return w.eccn != "EAR99" and w.eccn[2:5] != "999"


def has_statement(w: World, org_id: str | None, kind: str) -> bool:
    """A statement of that kind is in force for the organisation."""
    for row in w.statements:
        if org_id is not None and row["organisation"] == org_id and row["kind"] == kind and in_force(row, w.at):
            return True
    return False


def is_for(p: Party, row: Json) -> bool:
    """15 CFR 750.7(a)(3): a licence of an organisation is for its employees, and for itself. Who somebody is has to be
    known."""
    employees_only = row.get("employees_only")
    if employees_only is None:
        employees_only = row.get("kind") == "licence"
    return p.employee or not employees_only or not p.natural


def names_person(w: World, p: Party, row: Json) -> bool:
    """15 CFR 750.7(a): the persons, nationals and purposes that a paper names are those whom it is for."""
    if row.get("purposes") is not None and w.purpose not in row["purposes"]:
        return False
    if row.get("persons") is not None and (p.person is None or p.person["id"] not in row["persons"]):
        return False
    if row.get("nationalities") is None:
        return True
    if p.person is None:
        return False
    if row.get("regime") == "us-itar":
        held = every_country(w, p)
        return held is not None and bool(held) and held <= set(row["nationalities"])
    deemed = deemed_countries(w, p)
    whole = set().union(*deemed.worlds) if deemed.worlds else set()
    return not deemed.missing and not deemed.undated and bool(whole) and whole <= set(row["nationalities"])


def every_country(w: World, p: Party) -> set[str] | None:
    """Every citizenship ever held and every residency held now; None where either was never filed."""
    if p.person is None or p.person["citizenships"] is None or p.person["permanent_residencies"] is None:
        return None
    held = {row["country"] for row in p.person["citizenships"] if has_begun(row, w.at)}
    return held | {row["country"] for row in p.person["permanent_residencies"] if in_force(row, w.at)}


def fits(w: World, p: Party, row: Json, holders: set[str | None], regime: str | None, kinds: tuple[str, ...]) -> bool:
    """An authorisation of this holder, regime and kind that names this model, action and country, at any time, and is
    for this party."""
    return is_for(p, row) and names_person(w, p, row) and fits_whoever(w, row, holders, regime, kinds)


def fits_whoever(w: World, row: Json, holders: set[str | None], regime: str | None, kinds: tuple[str, ...]) -> bool:
    """As `fits`, for whichever persons it is."""
    if row.get("holder") is None or row["holder"] not in holders:
        return False
    if row.get("persons") == [] or row.get("nationalities") == []:
        return False
    if regime is not None and row.get("regime") != regime:
        return False
    if row.get("kind") not in kinds:
        return False
    if w.model_id not in (row.get("models") or []) or w.action not in (row.get("actions") or []):
        return False
    countries = row.get("countries")
    return countries is None or w.reached_country in countries


def has_place_left(w: World, row: Json, p: Party) -> bool:
    """Fewer different persons than the cap have drawn by the instant, or this one has.

    Places are for named users: for a party of which nobody is named none is left, since it could not be counted.
    """
    cap = (row.get("cap") or {}).get("named_users")
    if cap is None:
        return True
    drawn = {d["person"] for d in w.draws if d["authorisation"] == row["id"] and sure_instant(d["at"]) <= w.at}
    if p.person is None:
        return False
    return p.person["id"] in drawn or len(drawn) < int(cap)


def holders_with_host(w: World, p: Party) -> set[str | None]:
    """The organisation acting, or the host."""
    return {org.id for org in judged_organisations(w, p)}


def holder_alone(p: Party) -> set[str | None]:
    """The organisation acting."""
    return set() if p.org is None else {p.org.id}


def usable(w: World, p: Party, holders: set[str | None], regime: str | None, kinds: tuple[str, ...]) -> list[Json]:
    """Authorisations that fit, are in force and have a place left."""
    return [
        row
        for row in w.authorisations
        if fits(w, p, row, holders, regime, kinds) and in_force(row, w.at) and has_place_left(w, row, p)
    ]


def authorisation_expired(w: World, p: Party, holders: set[str | None], regime: str) -> bool:
    """A licence that otherwise fits has ended."""
    return any(fits(w, p, row, holders, regime, ("licence",)) and has_ended(row, w.at) for row in w.authorisations)


def authorisation_exhausted(w: World, p: Party, holders: set[str | None], regime: str) -> bool:
    """A licence that otherwise fits is in force and has no place left."""
    return any(
        fits(w, p, row, holders, regime, ("licence",)) and in_force(row, w.at) and not has_place_left(w, row, p)
        for row in w.authorisations
    )


# ---------------------------------------------------------------------------------------------------------------
# Ownership.
# ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """What may come on top of what is known of a share: an unknown one is nothing, and up to 100 percent more."""

    most: Fraction


Share = Fraction | Open
Stakes = dict[str, list[tuple[str, Share]]]
UNKNOWN_SHARE = Open(Fraction(100))


def shares_of(percent: Any) -> list[Share]:
    """A range is its least and what may come on top."""
    if percent is None:
        return [UNKNOWN_SHARE]
    if not isinstance(percent, dict):
        return [number(percent)]
    low, high = percent.get("minimum"), percent.get("maximum")
    least = Fraction(0) if low is None else number(low)
    return [least, Open((Fraction(100) if high is None else number(high)) - least)]


def stakes_now(w: World) -> Stakes:
    """Direct stakes in force. Where the least of them total more than 100.5, all of them are unknown."""
    stakes: Stakes = {}
    for row in w.ownership:
        if in_force(row, w.at):
            shares = shares_of(row.get("percent"))
            stakes.setdefault(row["owned"], []).extend((row["owner"], share) for share in shares)
    for owned, rows in stakes.items():
        if total_known(rows) > Fraction("100.5"):
            stakes[owned] = [(owner, UNKNOWN_SHARE) for owner in dict.fromkeys(owner for owner, _ in rows)]
    return stakes


def total_known(rows: list[tuple[str, Share]]) -> Fraction:
    """What is known to be held."""
    return sum((share for _, share in rows if not isinstance(share, Open)), Fraction(0))


def room_in(rows: list[tuple[str, Share]]) -> Fraction:
    """What unknown shares can come to: all that the others do not hold."""
    return max(Fraction(0), 100 - total_known(rows))


def held_by(rows: list[tuple[str, Share]], owners: set[str], *, worst: bool) -> Fraction:
    """What some owners hold directly; in the worst world their open shares are all that may be, together."""
    held = sum((share for owner, share in rows if not isinstance(share, Open) and owner in owners), Fraction(0))
    if worst:
        more = sum((share.most for owner, share in rows if isinstance(share, Open) and owner in owners), Fraction(0))
        held += min(more, room_in(rows))
    return held


def cascade(stakes: Stakes, roots: set[str], *, strict: bool, worst: bool) -> set[str]:
    """Companies captured by the roots: sums of direct stakes of roots or captured owners, least fixpoint."""
    captured: set[str] = set()
    changed = True
    while changed:
        changed = False
        for company, rows in stakes.items():
            if company in captured:
                continue
            held = held_by(rows, roots | captured, worst=worst)
            if held > 50 or (held == 50 and not strict):
                captured.add(company)
                changed = True
    return captured


def companies_above(stakes: Stakes, target: str) -> set[str]:
    """The target and every company from which it can be reached upwards."""
    seen: set[str] = set()
    todo = [target]
    while todo:
        company = todo.pop()
        if company not in seen:
            seen.add(company)
            todo.extend(owner for owner, _ in stakes.get(company, []))
    return seen


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction] | None:
    """Gauss elimination; None when the system is singular."""
    size = len(right)
    rows = [[*matrix[i], right[i]] for i in range(size)]
    for column in range(size):
        pivot = next((i for i in range(column, size) if rows[i][column] != 0), None)
        if pivot is None:
            return None
        rows[column], rows[pivot] = rows[pivot], rows[column]
        scale = rows[column][column]
        rows[column] = [value / scale for value in rows[column]]
        for i in range(size):
            if i != column:
                factor = rows[i][column]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[column], strict=True)]
    return [row[size] for row in rows]


def look_through_with(shares: dict[str, list[tuple[str, Fraction]]], ones: set[str], target: str) -> Fraction:
    """x(target) where x is 1 for the ones and the sum of share times x of the owner for others, least solution.

    Companies that no owner among the ones stands above are 0. A loop that adds up to more than the whole (shares may
    total 100.5) has no finite solution and counts as 1.
    """
    reached: set[str] = set()
    changed = True
    while changed:
        changed = False
        for company, rows in shares.items():
            if company in reached or company in ones:
                continue
            if any(share > 0 and (owner in ones or owner in reached) for owner, share in rows):
                reached.add(company)
                changed = True
    names = sorted(reached)
    matrix = [[Fraction(int(a == b)) for b in names] for a in names]
    right = [Fraction(0) for _ in names]
    for i, company in enumerate(names):
        for owner, share in shares[company]:
            if owner in ones:
                right[i] += share / 100
            elif owner in reached:
                matrix[i][names.index(owner)] -= share / 100
    solution = solve(matrix, right)
    if solution is None or any(value < 0 for value in solution):
        solution = [Fraction(1) for _ in names]
    x = dict(zip(names, solution, strict=True))
    total = Fraction(0)
    for owner, share in shares.get(target, []):
        total += share / 100 * (Fraction(1) if owner in ones else x.get(owner, Fraction(0)))
    return total


def look_through(stakes: Stakes, ones: set[str], target: str, *, worst: bool) -> Fraction:
    """The look-through share of the ones in the target. In the worst world, the room in each company is given to one of
    its owners of unknown share in every way there is, and the largest result counts."""
    above = companies_above(stakes, target)
    graph = {company: rows for company, rows in stakes.items() if company in above}
    known = {company: [(o, s) for o, s in rows if not isinstance(s, Open)] for company, rows in graph.items()}
    if not worst:
        return look_through_with(known, ones, target)
    fillings: list[list[tuple[str, list[tuple[str, Fraction]]]]] = []
    for company, rows in sorted(graph.items()):
        ways: list[tuple[str, list[tuple[str, Fraction]]]] = []
        for order in permutations([(o, s.most) for o, s in rows if isinstance(s, Open)]):
            left, given = room_in(rows), []
            for owner, most in order:
                if min(left, most) > 0:
                    given.append((owner, min(left, most)))
                    left -= min(left, most)
            if (company, sorted(given)) not in ways:
                ways.append((company, sorted(given)))
        fillings.append(ways)
    best = Fraction(0)
    for picks in product(*fillings):
        shares = {company: [*known[company], *given] for company, given in picks}
        best = max(best, look_through_with(shares, ones, target))
    return best


def unknown_facts(
    stakes: Stakes, target: str, contributing: set[str], settled: set[str], unsure: set[str], *, matches: bool = False
) -> set[str]:
    """The unknown shares and headquarters on the way up from the target that can contribute to a capture.

    With `matches` what is unknown of an owner is whether it is the one on a list, and not its headquarters.

    When an owner that can contribute has an unknown share in a company, every unknown share in that company counts,
    for what the others hold bounds it.
    """
    missing: set[str] = set()
    seen: set[str] = set()
    todo = [target]
    while todo:
        company = todo.pop()
        if company in seen:
            continue
        seen.add(company)
        rows = stakes.get(company, [])
        room = room_in(rows)
        if room > 0 and any(isinstance(share, Open) and owner in contributing for owner, share in rows):
            missing |= {f"ownership.share:{owner}>{company}" for owner, share in rows if isinstance(share, Open)}
        for owner, share in rows:
            holds = room > 0 if isinstance(share, Open) else share > 0
            if not holds or owner not in contributing:
                continue
            if owner in unsure:
                missing.add(f"listing:{owner}" if matches else "organisation.headquarters")
            elif owner not in settled:
                todo.append(owner)
    return missing


def is_person(owner: str) -> bool:
    """Owners may be natural persons."""
    return owner.startswith("person:")


def owners_of(stakes: Stakes) -> set[str]:
    """Everybody who owns something."""
    return {owner for rows in stakes.values() for owner, _ in rows}


AFFILIATES = ("EL", "MEU", "SDN")
"""The lists of the Affiliates Rule."""


def test_of(lists: tuple[str, ...]) -> str:
    """Which ownership test these lists belong to."""
    return "bis-affiliates" if lists == AFFILIATES else "ofac-50"


def listed_owners(w: World, stakes: Stakes, lists: tuple[str, ...]) -> set[str]:
    """Owners with a confirmed listing on one of the lists that counts for the test."""
    return {
        owner
        for owner in owners_of(stakes)
        if any(
            row.get("status") == "confirmed" and counts_as_owner(row, test_of(lists))
            for row in listings_of(w, owner, lists)
        )
    }


def may_be_listed(w: World, owner: str, *lists: str, test: str = "") -> bool:
    """A match that waits for a person, or whose clearance was for another version, is on file, and none confirmed."""
    rows = [row for row in listings_of(w, owner, lists) if counts_as_owner(row, test)]
    if any(row.get("status") == "confirmed" for row in rows):
        return False
    return any(
        row.get("status") == "potential" or (row.get("status") == "cleared" and not cleared_against_this_version(row))
        for row in rows
    )


def doubtful_owners(w: World, stakes: Stakes, lists: tuple[str, ...]) -> set[str]:
    """Owners of whom nobody knows whether they are on a list."""
    return {owner for owner in owners_of(stakes) if may_be_listed(w, owner, *lists, test=test_of(lists))}


def capturing_roots(stakes: Stakes, roots: set[str], captured: set[str], target: str, *, worst: bool) -> set[str]:
    """The listed owners that stand above a captured company, through captured owners."""
    found: set[str] = set()
    seen: set[str] = set()
    todo = [target]
    while todo:
        company = todo.pop()
        if company in seen:
            continue
        seen.add(company)
        rows = stakes.get(company, [])
        for owner, share in rows:
            holds = (worst and room_in(rows) > 0) if isinstance(share, Open) else share > 0
            if holds and owner in roots:
                found.add(owner)
            if holds and owner in captured:
                todo.append(owner)
    return found


@dataclass(frozen=True, slots=True)
class Control:
    """How an ownership test comes out: `captured`, `unresolved` (with what is missing), `minority` or `none`."""

    state: str
    missing: frozenset[str] = frozenset()
    roots: frozenset[str] = frozenset()


def listed_control(w: World, org: Org, lists: tuple[str, ...]) -> Control:
    """50 percent or more by cascade, held by listed owners (BIS-AFFILIATES, OFAC-50)."""
    if org.id is None:
        return Control("none")
    stakes = stakes_now(w)
    roots = listed_owners(w, stakes, lists)
    captured = cascade(stakes, roots, strict=False, worst=False)
    if org.id in captured:
        return Control("captured", roots=frozenset(capturing_roots(stakes, roots, captured, org.id, worst=False)))
    doubtful = doubtful_owners(w, stakes, lists)
    possible = cascade(stakes, roots | doubtful, strict=False, worst=True)
    if org.id in possible:
        contributing = roots | doubtful | possible
        missing = unknown_facts(stakes, org.id, contributing, roots | captured, doubtful, matches=True)
        return Control("unresolved", missing=frozenset(missing))
    return Control("minority" if holds_something(stakes, org.id, roots | captured) else "none")


def holds_something(stakes: Stakes, company: str, owners: set[str]) -> bool:
    """Some of the owners hold a direct share above 0, or one that nobody knows and that leaves room."""
    rows = stakes.get(company, [])
    return any(
        owner in owners and (room_in(rows) > 0 if isinstance(share, Open) else share > 0) for owner, share in rows
    )


def affiliates_at_worst(w: World, org: Org) -> Control:
    """BIS-AFFILIATES again in the world in which unknown shares are all that others do not hold.

    A company that owners on the MEU List alone capture may still have an owner of unknown share on another list.
    """
    if org.id is None:
        return Control("none")
    stakes = stakes_now(w)
    roots = listed_owners(w, stakes, AFFILIATES)
    captured = cascade(stakes, roots, strict=False, worst=False)
    doubtful = doubtful_owners(w, stakes, AFFILIATES)
    possible = cascade(stakes, roots | doubtful, strict=False, worst=True)
    if org.id not in possible:
        return Control("none")
    settled = roots if org.id in captured else roots | captured
    missing = unknown_facts(stakes, org.id, roots | doubtful | possible, settled, doubtful, matches=True)
    found = capturing_roots(stakes, roots | doubtful, possible, org.id, worst=True)
    return Control("unresolved", missing=frozenset(missing), roots=frozenset(found))


def headquarters_control(w: World, org: Org, outside: Callable[[str], bool]) -> Control:
    """More than 50 percent by cascade or by look-through, held by companies of certain headquarters."""
    if org.id is None:
        return Control("none")
    stakes = stakes_now(w)
    sure: set[str] = set()
    unsure: set[str] = set()
    for owner in owners_of(stakes):
        headquarters = organisation(w, owner).headquarters
        if is_person(owner):
            continue
        if headquarters is None:
            unsure.add(owner)
        elif outside(headquarters):
            sure.add(owner)
    captured = cascade(stakes, sure, strict=True, worst=False)
    seen_through = look_through(stakes, sure, org.id, worst=False)
    if org.id in captured or seen_through > Fraction(1, 2):
        return Control("captured")
    possible = sure | unsure
    captured_at_worst = cascade(stakes, possible, strict=True, worst=True)
    if org.id in captured_at_worst or look_through(stakes, possible, org.id, worst=True) > Fraction(1, 2):
        contributing = possible | companies_below(stakes, possible)
        return Control("unresolved", missing=frozenset(unknown_facts(stakes, org.id, contributing, sure, unsure)))
    if seen_through > 0 or holds_something(stakes, org.id, sure | captured):
        return Control("minority")
    return Control("none")


def companies_below(stakes: Stakes, roots: set[str]) -> set[str]:
    """Companies in which a root holds something, directly or through others, as far as anybody knows."""
    below: set[str] = set()
    changed = True
    while changed:
        changed = False
        for company in stakes:
            if company not in below and holds_something(stakes, company, roots | below):
                below.add(company)
                changed = True
    return below


def parent_or_facts(stakes: Stakes, start: str) -> tuple[str | None, set[str]]:
    """Up through owners of more than 50 percent to where a loop closes; or the shares that nobody knows and that hide
    who is above."""
    current, seen = start, {start}
    while True:
        rows = stakes.get(current, [])
        held: dict[str, Fraction] = {}
        more: dict[str, Fraction] = {}
        for owner, share in rows:
            if isinstance(share, Open):
                more[owner] = more.get(owner, Fraction(0)) + share.most
            else:
                held[owner] = held.get(owner, Fraction(0)) + share
        majority = [owner for owner, total in held.items() if total > 50]
        for owner, most in more.items():
            possible = held.get(owner, Fraction(0)) + min(most, room_in(rows))
            if not is_person(owner) and owner not in majority and possible > 50:
                return None, {f"ownership.share:{name}>{current}" for name in more}
        if not majority or is_person(majority[0]) or majority[0] in seen:
            return current, set()
        current = majority[0]
        seen.add(current)


def ultimate_parent(w: World, start: str) -> str | None:
    """Up through owners of more than 50 percent; None when a share that nobody knows, or a loop, hides the parent."""
    stakes = stakes_now(w)
    seen = {start}
    current = start
    while True:
        rows = stakes.get(current, [])
        held: dict[str, Fraction] = {}
        for owner, share in rows:
            held[owner] = held.get(owner, Fraction(0)) + (Fraction(0) if isinstance(share, Open) else share)
        majority = [owner for owner, total in held.items() if total > 50]
        if not majority:
            for owner, _ in rows:
                more = sum((s.most for o, s in rows if o == owner and isinstance(s, Open)), Fraction(0))
                if more and not is_person(owner) and held[owner] + min(more, room_in(rows)) > 50:
                    return None
            return current
        if is_person(majority[0]):
            return current
        if majority[0] in seen:
            return None
        current = majority[0]
        seen.add(current)


# ---------------------------------------------------------------------------------------------------------------
# Counted training operations.
# ---------------------------------------------------------------------------------------------------------------


def counted_operations(w: World, model_id: str, seen: frozenset[str]) -> tuple[Fraction, bool]:
    """AI-DIFFUSION-4E091: the count as far as disclosed, and whether that is the whole count."""
    entry = w.catalogue.get(model_id)
    if entry is None:
        return Fraction(0), False
    own = entry.get("training_operations")
    count = Fraction(0) if own is None else number(own)
    whole = own is not None
    lineage = entry.get("lineage")
    if lineage is None:
        return count, False
    shares: dict[str, Fraction] = {}
    for edge in lineage:
        if edge.get("teacher") is not None:
            if edge.get("synthetic_share") is None:
                return count, False
            shares[edge["teacher"]] = shares.get(edge["teacher"], Fraction(0)) + number(edge["synthetic_share"])
    added = Fraction(0)
    for teacher, share in shares.items():
        # Note 3 to 4E091: of several data-generation models the one with the most training operations.
        if share > Fraction("0.10") and teacher not in seen:
            if (w.catalogue.get(teacher) or {}).get("weights") == "published":
                continue
            teachers_count, teachers_whole = counted_operations(w, teacher, seen | {teacher})
            added = max(added, teachers_count)
            whole = whole and teachers_whole
    return count + added, whole


def derivative_excluded(w: World) -> str:
    """`yes`, `no` or `unknown`: a derivative of published weights with few operations added."""
    answers = {"no"}
    for edge in w.entry.get("lineage") or []:
        base = w.catalogue.get(edge.get("base") or "")
        if base is None or base.get("weights") != "published":
            continue
        added = edge.get("added_operations")
        base_count = base.get("training_operations")
        if added is None:
            answers.add("unknown")
        elif number(added) <= DERIVATIVE_ADDED_MAX:
            answers.add("yes")
        elif base_count is None:
            answers.add("unknown")
        elif number(added) <= Fraction(25, 100) * number(base_count):
            answers.add("yes")
    if "yes" in answers:
        return "yes"
    return "unknown" if "unknown" in answers else "no"


# ---------------------------------------------------------------------------------------------------------------
# Bars of us-order.
# ---------------------------------------------------------------------------------------------------------------


def us_com_2026_06_12(w: World, p: Party) -> Hit | None:
    """US-COM-2026-06-12: no foreign person, natural or entity acted for. Foreign beats unknown."""
    if w.model_id not in ORDERED_MODELS:
        return None
    missing = set()
    if p.natural:
        if us_status(w, p) == "foreign":
            return yes("FOREIGN_PERSON")
        if us_status(w, p) == "unknown":
            missing.add("person.us_status")
    if entity_status(w, p) == "foreign":
        return yes("FOREIGN_PERSON")
    if entity_status(w, p) == "unknown":
        missing.add("organisation.incorporated")
    return doubt(["PERSON_STATUS_UNVERIFIED"], missing) if missing else None


def us_com_2026_06_26(w: World, p: Party) -> bool:
    """US-COM-2026-06-26: covers an exempted organisation, the vendor, their accounts, and their employees on file."""
    if state_of(w, "US-COM-2026-06-26") != "enforced" or w.model_id != "mythos-5" or p.org is None:
        return False
    held = usable(w, p, {p.org.id}, "us-order", ("exemption",))
    is_vendor = p.org.id is not None and p.org.id == w.vendor
    if not held and not is_vendor:
        return False
    no_person_on_file = p.person is None
    return no_person_on_file or p.employee


def us_order_licences(w: World, p: Party) -> bool:
    """US-ORDER-LICENCES: the organisation acting holds a licence under the order."""
    if state_of(w, "US-ORDER-LICENCES") != "enforced":
        return False
    return bool(usable(w, p, holder_alone(p), "us-order", ("licence",)))


# ---------------------------------------------------------------------------------------------------------------
# Bars of us-itar.
# ---------------------------------------------------------------------------------------------------------------


def itar_proscribed(w: World, country: str, group: str) -> bool:
    """A country of ITAR:126.1(d)(1) or (d)(2); Hong Kong counts as China."""
    return itar(w, country) in countries_in(w, group)


def itar_126_1_person(w: World, p: Party, group: str) -> Hit | None:
    """ITAR-126.1 for the natural person: any citizenship ever held, any residency held now."""
    if not p.natural or us_status(w, p) == "us":
        return None
    citizenships = None if p.person is None else p.person["citizenships"]
    residencies = None if p.person is None else p.person["permanent_residencies"]
    held = [row["country"] for row in citizenships or [] if has_begun(row, w.at)]
    held += [row["country"] for row in residencies or [] if in_force(row, w.at)]
    proscribed = any(itar_proscribed(w, country, group) for country in held)
    if proscribed and us_status(w, p) == "foreign":
        return yes("NATIONALITY_PROSCRIBED")
    missing = set()
    if not proscribed:
        if citizenships is None:
            missing.add("person.citizenships")
        if residencies is None:
            missing.add("person.permanent_residencies")
        if not missing:
            return None
    if us_status(w, p) == "unknown":
        missing.add("person.us_status")
    return doubt(["PERSON_STATUS_UNVERIFIED"], missing)


def itar_126_1_organisation(w: World, p: Party, group: str) -> Hit | None:
    """ITAR-126.1 for the organisation acted for: incorporated or headquartered in a listed country."""
    orgs = judged_organisations(w, p, host=False)
    if any(itar_proscribed(w, country, group) for country in establishments(orgs)):
        return yes("NATIONALITY_PROSCRIBED")
    missing = unknown_establishments(orgs)
    return doubt(["PERSON_STATUS_UNVERIFIED"], missing) if missing else None


def itar_126_1_place(w: World, group: str) -> Hit | None:
    """ITAR-126.1 for the place. A request with no place at all is left to the rules that ask for one."""
    if w.reached_country is not None:
        return yes("EMBARGOED_TERRITORY") if itar_proscribed(w, w.reached_country, group) else None
    return doubt(["LOCATION_UNKNOWN"], ["place.country"]) if only_evidence(w) else None


def itar_126_1_of(w: World, p: Party, group: str) -> Hit | None:
    """Technical data and the countries of a paragraph of 22 CFR 126.1(d)."""
    if w.kind != "technical_data" or w.action not in DESK:
        return None
    return strongest([itar_126_1_person(w, p, group), itar_126_1_organisation(w, p, group), itar_126_1_place(w, group)])


def itar_126_1(w: World, p: Party) -> Hit | None:
    """ITAR-126.1: the countries of (d)(1)."""
    return itar_126_1_of(w, p, "ITAR:126.1(d)(1)")


def itar_126_1_d2(w: World, p: Party) -> Hit | None:
    """ITAR-126.1-D2: the countries of (d)(2)."""
    return itar_126_1_of(w, p, "ITAR:126.1(d)(2)")


def itar_d2_release(w: World, p: Party) -> bool:
    """What lifts ITAR-126.1-D2: an exception of us-itar that a review left on file."""
    return w.kind == "technical_data" and bool(usable(w, p, holder_alone(p), "us-itar", ("exception",)))


def aeca_debarred(w: World, p: Party) -> Hit | None:
    """AECA-DEBARRED: a confirmed listing of list DTC, for technical data."""
    if w.kind != "technical_data" or w.action not in DESK:
        return None
    return yes("LISTED_PARTY") if any(is_listed(w, key, "DTC") for key in party_keys(w, p)) else None


def itar_release(w: World, p: Party) -> Hit | None:
    """ITAR-RELEASE: technical data to any foreign person, or abroad."""
    if w.kind != "technical_data" or w.action not in DESK:
        return None
    hits: list[Hit | None] = []
    if p.natural:
        if us_status(w, p) == "foreign":
            hits.append(yes("LICENCE_REQUIRED"))
        if us_status(w, p) == "unknown":
            hits.append(doubt(["PERSON_STATUS_UNVERIFIED"], ["person.us_status"]))
    if entity_status(w, p) == "foreign":
        hits.append(yes("LICENCE_REQUIRED"))
    if entity_status(w, p) == "unknown":
        hits.append(doubt(["PERSON_STATUS_UNVERIFIED"], ["organisation.incorporated"]))
    if w.reached_country is None:
        hits.append(doubt(["LOCATION_UNKNOWN"], ["place.country"]))
    elif not at_home(w, w.reached_country):
        hits.append(yes("LICENCE_REQUIRED"))
    return strongest(hits)


def itar_authorisations(w: World, p: Party) -> bool:
    """ITAR-AUTHORISATIONS: the organisation acting holds a licence of us-itar, and it is known where the data go."""
    if state_of(w, "ITAR-AUTHORISATIONS") != "enforced" or w.reached_country is None:
        return False
    return bool(usable(w, p, holder_alone(p), "us-itar", ("licence",)))


# ---------------------------------------------------------------------------------------------------------------
# Bars of us-ear.
# ---------------------------------------------------------------------------------------------------------------


def ear_published_undetermined(w: World, _p: Party) -> Hit | None:
    """EAR-PUBLISHED-UNDETERMINED: handing over weights of which nobody has decided whether they are published."""
    if w.kind not in {"model", "weights"} or w.action not in CUSTODY:
        return None
    if w.entry.get("weights") in {"undetermined", None}:
        return yes("PUBLISHED_STATUS_UNDETERMINED", missing=["model.weights"])
    return None


def covered_by_columns(w: World, country: str) -> bool | None:
    """A column of the entry's ECCN covers the country; None when the data do not know the ECCN."""
    columns = ECCN_COLUMNS.get(w.eccn or "")
    if columns is None:
        return False if country == "US" else None
    if "NS1" in columns and country not in NO_NS1:
        return True
    if "RS-worldwide" in columns and country != "US":
        return True
    return country in countries_in(w, "EAR:E:1") | countries_in(w, "EAR:E:2")


def deemed_export_to(w: World, deemed: Deemed, missing: set[str]) -> Hit | None:
    """A release to a foreign person deemed to be in these countries, or in one that the missing facts would say."""
    missing = missing | deemed.missing
    free = {all(covered_by_columns(w, country) is False for country in world) for world in deemed.worlds}
    if free == {True}:
        return None
    if len(free) == 2:
        missing |= deemed.undated
    codes = {"PERSON_STATUS_UNVERIFIED"} if missing else {"LICENCE_REQUIRED"}
    if (w.eccn or "") not in ECCN_COLUMNS:
        codes.add("LICENCE_REQUIRED")
        missing.add("model.eccn")
    return doubt(codes, missing) if missing else yes(*codes)


def ear_deemed_export_person(w: World, p: Party) -> Hit | None:
    """EAR-DEEMED-EXPORT for the natural person."""
    if not p.natural or us_status(w, p) == "us":
        return None
    missing = {"person.us_status"} if us_status(w, p) == "unknown" else set()
    return deemed_export_to(w, deemed_countries(w, p), missing)


def ear_deemed_export_organisation(w: World, p: Party) -> Hit | None:
    """EAR-DEEMED-EXPORT for an organisation acting that is not incorporated in the US."""
    if entity_status(w, p) in {"none", "us"} or p.org is None:
        return None
    if p.org.incorporated is None:
        return deemed_export_to(w, Deemed(), {"organisation.incorporated"})
    return deemed_export_to(w, Deemed(worlds=(frozenset({ear(w, p.org.incorporated)}),)), set())


def ear_deemed_export(w: World, p: Party) -> Hit | None:
    """EAR-DEEMED-EXPORT: technology released to a foreign person, at home or abroad."""
    if w.kind != "technology" or w.action not in DESK:
        return None
    return strongest([ear_deemed_export_person(w, p), ear_deemed_export_organisation(w, p)])


def on_the_chart(w: World) -> bool:
    """Whether EAR-CCL-COUNTRY is about the item."""
    if w.kind == "technology":
        return True
    if w.eccn in {"4E091", "EAR99"}:
        return False
    return w.kind == "weights" or (w.kind == "model" and not w.published and w.eccn is not None)


def ear_ccl_country(w: World, _p: Party) -> Hit | None:
    """EAR-CCL-COUNTRY: an item of the CCL sent to a country that a column of its ECCN covers.

    Weights of 4E091 have a row of their own, and so have models counted there; EAR99 is on no chart. Technology without
    an ECCN, and weights without one, could be anything; a model without one is none of the CCL.
    """
    if w.action not in DESK or not on_the_chart(w):
        return None
    known_eccn = (w.eccn or "") in ECCN_COLUMNS
    country = w.reached_country
    if country is None:
        if known_eccn:
            return doubt(["LOCATION_UNKNOWN"], ["place.country"])
        return doubt(["LOCATION_UNKNOWN", "LICENCE_REQUIRED"], ["place.country", "model.eccn"])
    covered = covered_by_columns(w, ear(w, country))
    if covered is None:
        return doubt(["LICENCE_REQUIRED"], ["model.eccn"])
    return yes("LICENCE_REQUIRED") if covered else None


def reach_of_4e091(w: World) -> str:
    """`yes`, `no`, `count` (undisclosed), `excluded?` (nobody knows) or `eccn` (not stated): what the item is."""
    if w.kind == "weights":
        if w.eccn is None:
            return "eccn"
        return "yes" if w.eccn == "4E091" else "no"
    if w.kind != "model" or w.published or w.model_id is None:
        return "no"
    excluded = derivative_excluded(w)
    count, whole = counted_operations(w, w.model_id, frozenset({w.model_id}))
    if excluded == "yes" or (whole and count < OPERATIONS_THRESHOLD):
        return "no"
    if count < OPERATIONS_THRESHOLD:
        return "count"
    return "excluded?" if excluded == "unknown" else "yes"


def ai_diffusion_4e091(w: World, _p: Party) -> Hit | None:
    """AI-DIFFUSION-4E091: weights of 1e26 counted operations or more sent abroad."""
    reach = reach_of_4e091(w)
    if w.action not in DESK or reach == "no":
        return None
    if w.reached_country is not None and at_home(w, w.reached_country):
        return None
    codes = set()
    missing = set()
    if w.reached_country is None:
        codes.add("LOCATION_UNKNOWN")
        missing.add("place.country")
    if reach != "yes":
        codes.add("LICENCE_REQUIRED")
        missing.add("model.eccn" if reach == "eccn" else "model.training_operations")
    return doubt(codes, missing) if missing else yes("LICENCE_REQUIRED")


def subject_to_the_ear(w: World) -> bool:
    """Models and items subject to the EAR: all but models with published weights."""
    return not w.published_model


def entity_list(w: World, p: Party) -> Hit | None:
    """ENTITY-LIST: a confirmed listing of list EL."""
    if not subject_to_the_ear(w):
        return None
    rows = [row for key in party_keys(w, p) for row in listings_of(w, key, ("EL",))]
    reached = {reaches_item(w, row) for row in rows if row.get("status") == "confirmed"}
    if True in reached:
        return yes("LISTED_PARTY")
    return doubt(["LISTED_PARTY"], ["model.eccn"]) if None in reached else None


def supp2_item(w: World) -> bool | None:
    """An item of Supp. 2 to Part 744; None when no ECCN is stated."""
    if w.eccn is None and w.kind in ("technology", "weights"):
        return None
    return w.eccn in MEU_SUPP2_ECCN


def military_owners_alone(w: World, roots: frozenset[str]) -> bool:
    """Every capturing owner is on the MEU List and on no other list that captures, nor may be."""
    return not any(
        row.get("status") in {"confirmed", "potential"} or not cleared_against_this_version(row)
        for root in roots
        for row in listings_of(w, root, ("EL", "SDN"))
        if counts_as_owner(row, "bis-affiliates")
    )


def american(w: World, org: Org) -> bool:
    """Known to be incorporated in the United States."""
    return org.incorporated is not None and at_home(w, org.incorporated)


def bis_affiliates_of(w: World, org: Org) -> Hit | None:
    """BIS-AFFILIATES for one organisation."""
    if american(w, org):
        return None
    control = listed_control(w, org, AFFILIATES)
    if control.state != "captured":
        return None
    missing = set()
    if military_owners_alone(w, control.roots):
        if supp2_item(w) is False:
            return None
        if supp2_item(w) is None:
            missing.add("model.eccn")
    if org.incorporated is None:
        missing.add("organisation.incorporated")
    codes = ["OWNERSHIP_CONTROL", "LICENCE_REQUIRED"]
    return doubt(codes, missing) if missing else yes(*codes)


def bis_affiliates(w: World, p: Party) -> Hit | None:
    """BIS-AFFILIATES: a foreign organisation that listed owners hold at 50 percent or more."""
    if not subject_to_the_ear(w):
        return None
    return strongest([bis_affiliates_of(w, org) for org in judged_organisations(w, p)])


def bis_affiliates_unresolved_of(w: World, org: Org) -> Hit | None:
    """BIS-AFFILIATES-UNRESOLVED for one organisation."""
    if american(w, org) or bis_affiliates_of(w, org) is not None:
        return None
    control = affiliates_at_worst(w, org)
    if control.state != "unresolved" or not control.missing:
        return None
    missing = set(control.missing)
    if military_owners_alone(w, control.roots):
        if supp2_item(w) is False:
            return None
        if supp2_item(w) is None:
            missing.add("model.eccn")
    if org.incorporated is None:
        missing.add("organisation.incorporated")
    return doubt(["OWNERSHIP_UNRESOLVED"], missing)


def bis_affiliates_unresolved(w: World, p: Party) -> Hit | None:
    """BIS-AFFILIATES-UNRESOLVED: an unknown share could reach 50."""
    if not subject_to_the_ear(w):
        return None
    return strongest([bis_affiliates_unresolved_of(w, org) for org in judged_organisations(w, p)])


def denied_persons(w: World, p: Party) -> Hit | None:
    """DENIED-PERSONS: a confirmed listing of list DPL; General Prohibition Four knows no licence."""
    if not subject_to_the_ear(w):
        return None
    return yes("LISTED_PARTY") if any(is_listed(w, key, "DPL") for key in party_keys(w, p)) else None


def mieu_744_22(w: World, _p: Party) -> Hit | None:
    """MIEU-744.22: a stated military-intelligence end use in one of the countries; nothing stated is none."""
    if not subject_to_the_ear(w) or w.purpose != "military_intelligence_end_use":
        return None
    if w.reached_country is None:
        return doubt(["LOCATION_UNKNOWN"], ["place.country"])
    return yes("LICENCE_REQUIRED") if ear(w, w.reached_country) in countries_in(w, "EAR:744.22") else None


def mieu_listed(w: World, p: Party) -> Hit | None:
    """MIEU-LISTED: a named military-intelligence end user, wherever."""
    if not subject_to_the_ear(w):
        return None
    return yes("LISTED_PARTY") if any(is_listed(w, key, "MIEU") for key in party_keys(w, p)) else None


def russia_belarus(w: World, _p: Party) -> Hit | None:
    """EAR-RUSSIA-BELARUS: whatever has an ECCN, or may have one."""
    if w.action not in DESK or w.published or w.eccn == "EAR99" or w.kind not in {"technology", "weights", "model"}:
        return None
    if w.kind == "model" and w.eccn is None:
        return None
    hit = bound_for(w, "EAR:746.8")
    unclassified = w.eccn is None and hit is not None
    return doubt(hit.codes, {*hit.missing, "model.eccn"}) if hit is not None and unclassified else hit


def bound_for(w: World, group: str) -> Hit | None:
    """Goes to a country of the group; with no place of any kind it is left to the rules that ask for one."""
    if w.reached_country is None:
        return doubt(["LOCATION_UNKNOWN"], ["place.country"]) if only_evidence(w) else None
    inside = {"SY"} if group == "SY" else countries_in(w, group)
    return yes("LICENCE_REQUIRED") if ear(w, w.reached_country) in inside else None


def ear_syria(w: World, _p: Party) -> Hit | None:
    """EAR-SYRIA: every item subject to the EAR."""
    if w.action not in DESK or w.published or w.kind == "technical_data":
        return None
    return bound_for(w, "SY")


def stated_end_use(w: World, purpose: str, group: str) -> Hit | None:
    """A stated end use in one of these countries; nothing stated is none."""
    if w.purpose != purpose:
        return None
    if w.reached_country is None:
        return doubt(["LOCATION_UNKNOWN"], ["place.country"])
    return yes("LICENCE_REQUIRED") if ear(w, w.reached_country) in countries_in(w, group) else None


def ear_744_23(w: World, _p: Party) -> Hit | None:
    """EAR-744.23: supercomputers and advanced nodes."""
    if not subject_to_the_ear(w):
        return None
    return stated_end_use(w, "advanced_computing_end_use", "EAR:MACAU_OR_D5")


def ear_support(w: World, _p: Party) -> Hit | None:
    """EAR-SUPPORT-744.6: what a US person does for a military-intelligence end use, with published weights too."""
    if not w.published_model or w.action not in SERVED:
        return None
    return stated_end_use(w, "military_intelligence_end_use", "EAR:744.22")


def ear_ai_training(w: World, p: Party) -> Hit | None:
    """EAR-AI-TRAINING: training for somebody with headquarters, or a parent, in Macau or D:5."""
    if w.kind != "model" or w.action not in {"fine_tune", "distill"} or p.org is None:
        return None
    group = countries_in(w, "EAR:MACAU_OR_D5")
    if p.org.headquarters is not None and ear(w, p.org.headquarters) in group:
        return yes("LICENCE_REQUIRED")
    missing = set() if p.org.headquarters is not None else {"organisation.headquarters"}
    if p.org.id is not None:
        stakes = stakes_now(w)
        parent, hidden = parent_or_facts(stakes, p.org.id)
        if parent is None:
            missing |= hidden
        else:
            headquarters = organisation(w, parent).headquarters
            if headquarters is not None and ear(w, headquarters) in group:
                return yes("LICENCE_REQUIRED")
            if headquarters is None:
                missing.add("organisation.headquarters")
    return doubt(["OWNERSHIP_UNRESOLVED"], missing) if missing else None


def uvl_parties(w: World, p: Party) -> list[str]:
    """Who is on the Unverified List."""
    return [key for key in party_keys(w, p) if is_listed(w, key, "UVL")]


def uvl_statement(w: World, p: Party) -> Hit | None:
    """UVL-STATEMENT: a party on the Unverified List."""
    if not subject_to_the_ear(w):
        return None
    return yes("STATEMENT_MISSING") if uvl_parties(w, p) else None


def statement_uvl(w: World, p: Party) -> bool:
    """What lifts UVL-STATEMENT: a statement for that organisation. A natural person has none."""
    return all(has_statement(w, key, "uvl") for key in uvl_parties(w, p))


def military_end_use(w: World) -> Hit | None:
    """MEU-744.21 for a request with purpose military_end_use."""
    if w.purpose != "military_end_use":
        return None
    if w.reached_country is None:
        return doubt(["LOCATION_UNKNOWN"], ["place.country"]) if only_evidence(w) else None
    country = ear(w, w.reached_country)
    if country in MEU_ANY_ITEM:
        return yes("LICENCE_REQUIRED")
    if country not in MEU_SUPP2_COUNTRIES or supp2_item(w) is False:
        return None
    return yes("LICENCE_REQUIRED") if supp2_item(w) else doubt(["LICENCE_REQUIRED"], ["model.eccn"])


def military_end_user(w: World, org: Org | None) -> Hit | None:
    """MEU-744.21 for one listed party; `org` is the listed organisation, None for a listed person."""
    orgs = [] if org is None else [org]
    countries = {ear(w, country) for country in establishments(orgs)}
    if w.reached_country is not None:
        countries.add(ear(w, w.reached_country))
    if countries & set(MEU_ANY_ITEM) or supp2_item(w):
        return yes("LICENCE_REQUIRED", "LISTED_PARTY")
    codes: set[str] = set()
    missing = unknown_establishments(orgs)
    if supp2_item(w) is None:
        missing.add("model.eccn")
    if only_evidence(w):
        missing.add("place.country")
    # Whatever leaves it open, it is open where the item is reached; that the party is listed is known.
    codes |= {"LISTED_PARTY", "LOCATION_UNKNOWN"}
    return doubt(codes, missing) if missing else None


def meu_744_21(w: World, p: Party) -> Hit | None:
    """MEU-744.21: military end use, or a party on the MEU List."""
    if not subject_to_the_ear(w):
        return None
    hits = [military_end_use(w)]
    if p.person is not None and is_listed(w, "person:" + p.person["id"], "MEU"):
        hits.append(military_end_user(w, None))
    hits.extend(
        military_end_user(w, org)
        for org in judged_organisations(w, p)
        if org.id is not None and is_listed(w, org.id, "MEU")
    )
    return strongest(hits)


def list_match_review(w: World, p: Party) -> Hit | None:
    """LIST-MATCH-REVIEW: a potential match, or one cleared against another version of the entry."""
    return unsettled_matches(w, p, SCREENED_LISTS) if subject_to_the_ear(w) else None


def unsettled_matches(w: World, p: Party, lists: tuple[str, ...]) -> Hit | None:
    """What waits for a person on these lists."""
    codes = set()
    for key in party_keys(w, p):
        for row in listings_of(w, key, lists):
            if row.get("status") == "potential":
                codes.add("LISTED_PARTY_UNRESOLVED")
            if row.get("status") == "cleared" and not cleared_against_this_version(row):
                codes.add("RESCREEN_REQUIRED")
    return yes(*codes) if codes else None


def cleared_against_this_version(row: Json) -> bool:
    """A cleared listing holds only while `cleared_version` equals `entry_version`."""
    return row.get("cleared_version") is not None and row["cleared_version"] == row.get("entry_version")


# What lifts bars of us-ear.


def ear_authorisations(w: World, p: Party) -> bool:
    """EAR-AUTHORISATIONS: the organisation acting or the host holds a licence of the regime us-ear."""
    if state_of(w, "EAR-AUTHORISATIONS") != "enforced":
        return False
    return bool(usable(w, p, holders_with_host(w, p), "us-ear", ("licence",)))


def exceptions_are_barred(w: World, p: Party) -> bool:
    """No licence exception for a party on EL or UVL, or captured (or not known to be free) by BIS-AFFILIATES."""
    if any(is_listed(w, key, "EL", "UVL") for key in party_keys(w, p)):
        return True
    if state_of(w, "BIS-AFFILIATES") != "enforced":
        return False
    return bis_affiliates(w, p) is not None or bis_affiliates_unresolved(w, p) is not None


STA_GROUPS = {"EAR-STA": ("EAR:A:5",), "EAR-STA-A6": ("EAR:A:5", "EAR:A:6")}
"""Whom each of the two serves: 740.20(c)(1), and for what is controlled for national security alone (c)(2) too."""


def sta_country(w: World, country: str | None, rule: str) -> bool:
    """The US or a country that the paragraph serves at the instant."""
    if country is None:
        return False
    return at_home(w, country) or any(ear(w, country) in countries_in(w, group) for group in STA_GROUPS[rule])


def uae_may(w: World, org: Org) -> bool:
    """Of the Emirates the approved companies (Supp. 8 to Part 740), and the government without approval."""
    established = (org.incorporated, org.headquarters)
    if has_statement(w, org.id, "supp8_740"):
        return True
    if "AE" in established:
        return org.sector == "government"
    return None not in established


def sta_holds(w: World, p: Party, rule: str, eccns: tuple[str, ...]) -> bool:
    """One of the two, for the place or destination."""
    if state_of(w, rule) != "enforced" or w.exception != "STA" or w.action not in CUSTODY:
        return False
    if w.eccn not in eccns or p.org is None or not has_statement(w, p.org.id, "sta_consignee"):
        return False
    if not sta_country(w, w.reached_country, rule) or not uae_may(w, p.org):
        return False
    return not exceptions_are_barred(w, p)


def ear_sta(w: World, p: Party) -> bool:
    """EAR-STA."""
    return sta_holds(w, p, "EAR-STA", STA_ECCN)


def ear_sta_a6(w: World, p: Party) -> bool:
    """EAR-STA-A6."""
    return sta_holds(w, p, "EAR-STA-A6", STA_A6_ECCN)


def sta_deemed(w: World, p: Party, rule: str) -> bool:
    """Either, for EAR-DEEMED-EXPORT: the deemed countries qualify too."""
    if not LIFTERS[rule](w, p):
        return False
    if p.natural and us_status(w, p) != "us":
        deemed = deemed_countries(w, p)
        if deemed.missing or not all(sta_country(w, country, rule) for world in deemed.worlds for country in world):
            return False
    if entity_status(w, p) == "us" or p.org is None:
        return True
    return sta_country(w, p.org.incorporated, rule)


def ace_excludes(w: World, country: str) -> bool:
    """Country Groups E:1 and E:2, and D:1 and D:5, whose end users the exception restricts."""
    groups = ("EAR:D:1", "EAR:D:5", "EAR:E:1", "EAR:E:2")
    return any(ear(w, country) in countries_in(w, group) for group in groups)


def ace_serves_organisation(w: World, org: Org) -> bool:
    """No government, and established elsewhere, as is known."""
    if org.sector in {None, "government"} or unknown_establishments([org]):
        return False
    return not any(ace_excludes(w, country) for country in establishments([org]))


def ace_serves_person(w: World, p: Party) -> bool:
    """A US person, or one of whom it is known that nothing is deemed to go to the excluded countries."""
    if not p.natural or us_status(w, p) == "us":
        return True
    deemed = deemed_countries(w, p)
    return not deemed.missing and not any(ace_excludes(w, country) for world in deemed.worlds for country in world)


def ear_ace(w: World, p: Party) -> bool:
    """EAR-ACE: no government, nobody on a list, and nobody and nothing of the excluded countries, all of it known."""
    if state_of(w, "EAR-ACE") != "enforced" or w.exception != "ACE" or w.action not in CUSTODY:
        return False
    if w.eccn not in ACE_ECCN or w.reached_country is None or ace_excludes(w, w.reached_country):
        return False
    if not ace_serves_person(w, p) or (p.org is not None and not ace_serves_organisation(w, p.org)):
        return False
    denied = any(is_listed(w, key, "DPL") for key in party_keys(w, p))
    return not denied and not exceptions_are_barred(w, p)


def on_lists(w: World, p: Party, *lists: str) -> bool:
    """A confirmed listing of the party, or of the host."""
    return any(is_listed(w, key, *lists) for key in party_keys(w, p))


def within(w: World, p: Party, *groups: str) -> bool:
    """Every country that a release to the party is deemed to go to is at home or in one of the groups, as is known."""
    inside = set().union(*(countries_in(w, group) for group in groups))
    if p.natural and us_status(w, p) != "us":
        deemed = deemed_countries(w, p)
        if deemed.missing or not all(country in inside for world in deemed.worlds for country in world):
            return False
    if entity_status(w, p) == "us" or p.org is None:
        return True
    return p.org.incorporated is not None and ear(w, p.org.incorporated) in inside


def ear_tsr(w: World, p: Party) -> bool:
    """EAR-TSR: claimed, with the assurance, for 4E001.a, to Country Group B."""
    if state_of(w, "EAR-TSR") != "enforced" or w.exception != "TSR" or w.action not in CUSTODY:
        return False
    if w.eccn != "4E001.a" or p.org is None or not has_statement(w, p.org.id, "tsr_assurance"):
        return False
    country = w.reached_country
    if country is None or not (at_home(w, country) or ear(w, country) in countries_in(w, "EAR:B")):
        return False
    return not on_lists(w, p, "DPL") and not exceptions_are_barred(w, p)


def no_reexport(w: World, p: Party, rule: str, *groups: str) -> bool:
    """What the two paragraphs of 734.20 have in common: an employee, a foreign employer, a place in the groups."""
    if state_of(w, rule) != "enforced" or w.action not in CUSTODY or w.kind != "technology":
        return False
    if not p.employee or entity_status(w, p) != "foreign" or w.reached_country is None:
        return False
    inside = set().union(*(countries_in(w, group) for group in groups))
    return ear(w, w.reached_country) in inside and not on_lists(w, p, "EL", "UVL", "DPL")


def ear_734_20_b(w: World, p: Party) -> bool:
    """EAR-734.20-B: everybody of A:5."""
    return no_reexport(w, p, "EAR-734.20-B", "EAR:A:5") and within(w, p, "EAR:US", "EAR:A:5")


def ear_734_20_c(w: World, p: Party) -> bool:
    """EAR-734.20-C: an employer that screens, established in A:5 or A:6 and nowhere in D:1, D:5 or E."""
    if not no_reexport(w, p, "EAR-734.20-C", "EAR:A:5", "EAR:A:6") or p.org is None:
        return False
    served = countries_in(w, "EAR:A:5") | countries_in(w, "EAR:A:6")
    established = {ear(w, country) for country in establishments([p.org])}
    if unknown_establishments([p.org]) or not established & served or any(ace_excludes(w, one) for one in established):
        return False
    embargoed = countries_in(w, "EAR:E:1") | countries_in(w, "EAR:E:2")
    if p.natural and us_status(w, p) != "us":
        deemed = deemed_countries(w, p)
        if deemed.missing or any(country in embargoed for world in deemed.worlds for country in world):
            return False
    return has_statement(w, p.org.id, "screening_734_20")


def bis_tgl_7(w: World, p: Party) -> bool:
    """BIS-TGL-7: allied destinations, in the first sixty days, and nobody who is listed."""
    if state_of(w, "BIS-TGL-7") != "enforced" or w.reached_country is None or on_lists(w, p, *AFFILIATES):
        return False
    return ear(w, w.reached_country) in countries_in(w, "EAR:A:5") | countries_in(w, "EAR:A:6")


def ear_spp(w: World, p: Party) -> bool:
    """EAR-SPP: EAR99 to Syria, claimed."""
    if state_of(w, "EAR-SPP") != "enforced" or w.exception != "SPP" or w.action not in CUSTODY or w.eccn != "EAR99":
        return False
    if w.reached_country != "SY" or on_lists(w, p, "DPL", "SDN", "MEU", "MIEU"):
        return False
    return not exceptions_are_barred(w, p)


def ear_training_release(w: World, p: Party) -> bool:
    """EAR-TRAINING-RELEASE: what a review left on file."""
    if state_of(w, "EAR-TRAINING-RELEASE") != "enforced":
        return False
    return bool(usable(w, p, holder_alone(p), "us-ear", ("exception",)))


def itar_126_18(w: World, p: Party) -> bool:
    """ITAR-126.18: an employee of the holder of an agreement, of these countries alone, in one of them."""
    if state_of(w, "ITAR-126.18") != "enforced" or w.kind != "technical_data" or w.action not in CUSTODY:
        return False
    countries = countries_in(w, "ITAR:126.18(d)(2)")
    held = every_country(w, p)
    if not p.employee or not held or not all(itar(w, country) in countries for country in held):
        return False
    if w.reached_country is None or itar(w, w.reached_country) not in countries or on_lists(w, p, "DTC"):
        return False
    return any(
        fits_whoever(w, row, holder_alone(p), "us-itar", ("licence",))
        and (row.get("purposes") is None or w.purpose in row["purposes"])
        and in_force(row, w.at)
        and has_place_left(w, row, p)
        for row in w.authorisations
    )


def ear_cyber_response(w: World, _p: Party) -> bool:
    """EAR-CYBER-RESPONSE: note 1 to 4E001 takes .a and .c away for these purposes."""
    if state_of(w, "EAR-CYBER-RESPONSE") != "enforced" or w.action not in DESK:
        return False
    return w.eccn in STA_ECCN and w.purpose in CYBER_RESPONSE


def aia_headquarters(w: World, org: Org) -> bool:
    """Headquartered in the US or EAR:AIA-Supp5-740(a)."""
    if org.headquarters is None:
        return False
    return at_home(w, org.headquarters) or ear(w, org.headquarters) in countries_in(w, "EAR:AIA-Supp5-740(a)")


def ear_aia(w: World, p: Party) -> bool:
    """EAR-AIA: the receiving organisation and its ultimate parent, and the country of destination."""
    if state_of(w, "EAR-AIA") != "enforced" or w.exception != "AIA" or w.action not in CUSTODY:
        return False
    receiver = w.host or p.org
    if receiver is None or receiver.id is None or w.reached_country is None:
        return False
    if ear(w, w.reached_country) in countries_in(w, "EAR:MACAU_OR_D5"):
        return False
    parent = ultimate_parent(w, receiver.id)
    if parent is None or not aia_headquarters(w, receiver) or not aia_headquarters(w, organisation(w, parent)):
        return False
    return not exceptions_are_barred(w, p)


# ---------------------------------------------------------------------------------------------------------------
# Bars of us-ofac.
# ---------------------------------------------------------------------------------------------------------------


def ofac_reaches(w: World) -> bool:
    """Published weights are information; calling them where they are served is a service (31 CFR 560.204, 560.410)."""
    return not w.published_model or w.action in SERVED


def ofac_embargo(w: World, p: Party) -> Hit | None:
    """OFAC-EMBARGO: CU, IR, KP, by place and by establishment."""
    if not ofac_reaches(w):
        return None
    orgs = judged_organisations(w, p)
    if (places_of_request(w) | establishments(orgs)) & {"CU", "IR", "KP"}:
        return yes("EMBARGOED_TERRITORY")
    missing = unknown_establishments(orgs)
    if no_place(w):
        missing.add("place.country")
    return doubt(["LOCATION_UNKNOWN"], missing) if missing else None


def ofac_syria(w: World, p: Party) -> Hit | None:
    """OFAC-SYRIA: SY; what is unknown is left to OFAC-EMBARGO."""
    if not ofac_reaches(w):
        return None
    found = places_of_request(w) | establishments(judged_organisations(w, p))
    return yes("EMBARGOED_TERRITORY") if "SY" in found else None


def ofac_ua_regions(w: World, _p: Party) -> Hit | None:
    """OFAC-UA-REGIONS: Crimea, Sevastopol, Donetsk, Luhansk."""
    if not ofac_reaches(w):
        return None
    where = part_of_ukraine(w, OFAC_SUBDIVISIONS)
    if "inside" in where:
        return yes("EMBARGOED_TERRITORY")
    return doubt(["LOCATION_UNKNOWN"], where) if where else None


def ofac_sdn(w: World, p: Party) -> Hit | None:
    """OFAC-SDN: a confirmed listing of list SDN."""
    if not ofac_reaches(w):
        return None
    return yes("LISTED_PARTY") if any(is_listed(w, key, "SDN") for key in party_keys(w, p)) else None


def ofac_gl_25(w: World, p: Party) -> bool:
    """OFAC-GL-25: claimed, while it and the programme ran, and nobody is blocked otherwise."""
    if state_of(w, "OFAC-GL-25") != "enforced" or w.exception != "GL25":
        return False
    return not any(is_listed(w, key, "SDN") for key in party_keys(w, p))


def communications(w: World, p: Party, rule: str, claim: str, country: str) -> bool:
    """A general licence for personal communications: claimed and stated, for one country alone, for no government."""
    if state_of(w, rule) != "enforced" or w.kind != "model" or w.action not in {"infer", "list", "embed"}:
        return False
    if w.exception != claim or w.purpose != "personal_communications" or on_lists(w, p, *BLOCKED_LISTS):
        return False
    orgs = judged_organisations(w, p, host=False)
    if unknown_establishments(orgs) or no_place(w) or any(org.sector in {None, "government"} for org in orgs):
        return False
    return (places_of_request(w) | establishments(orgs)) & {"CU", "IR", "KP"} == {country}


def ofac_560_540(w: World, p: Party) -> bool:
    """OFAC-560.540: Iran."""
    return communications(w, p, "OFAC-560.540", "GL560540", "IR")


def ofac_515_578(w: World, p: Party) -> bool:
    """OFAC-515.578: Cuba."""
    return communications(w, p, "OFAC-515.578", "GL515578", "CU")


def ofac_gov_blocked(w: World, p: Party) -> Hit | None:
    """OFAC-GOV-BLOCKED: a blocked government, wherever it is established."""
    if not ofac_reaches(w):
        return None
    return yes("LISTED_PARTY") if any(is_listed(w, key, "GOV-BLOCKED") for key in party_keys(w, p)) else None


def ofac_match_review(w: World, p: Party) -> Hit | None:
    """OFAC-MATCH-REVIEW: as LIST-MATCH-REVIEW, for a call of published weights and the lists of blocked parties."""
    if not w.published_model or w.action not in SERVED:
        return None
    return unsettled_matches(w, p, BLOCKED_LISTS)


def ofac_ru_services(w: World, _p: Party) -> Hit | None:
    """OFAC-RU-SERVICES: services of the determination, stated as the purpose, to Russia."""
    if not ofac_reaches(w) or w.purpose not in RUSSIAN_SERVICES:
        return None
    if w.reached_country is None:
        return doubt(["LOCATION_UNKNOWN"], ["place.country"])
    return yes("PURPOSE_NOT_PERMITTED") if w.reached_country == "RU" else None


def ofac_50(w: World, p: Party) -> Hit | None:
    """OFAC-50: any organisation that SDN owners hold at 50 percent or more."""
    if not ofac_reaches(w):
        return None
    for org in judged_organisations(w, p):
        if listed_control(w, org, ("SDN",)).state == "captured":
            return yes("OWNERSHIP_CONTROL")
    return None


def ofac_50_unresolved(w: World, p: Party) -> Hit | None:
    """OFAC-50-UNRESOLVED: an unknown share could reach 50."""
    if not ofac_reaches(w):
        return None
    hits = []
    for org in judged_organisations(w, p):
        control = listed_control(w, org, ("SDN",))
        if control.state == "unresolved":
            hits.append(doubt(["OWNERSHIP_UNRESOLVED"], control.missing))
    return strongest(hits)


# ---------------------------------------------------------------------------------------------------------------
# Bars of the vendor.
# ---------------------------------------------------------------------------------------------------------------


def vendor_supports(w: World, country: str) -> bool:
    """The country is on the vendor's list, or not on the list of unsupported places where only that one is known."""
    country = treated_as(w, "VENDOR", country)
    if find_group(w, f"VENDOR:{w.vendor}:supported") is not None:
        return country in countries_in(w, f"VENDOR:{w.vendor}:supported")
    return country not in countries_in(w, f"VENDOR:{w.vendor}:unsupported")


def vendor_region_reaches(w: World) -> bool:
    """VENDOR-REGION: kind model, weights not published, a vendor with a list, and not a licence determination."""
    if w.kind != "model" or w.published or w.vendor is None or w.action == "licence_determination":
        return False
    supported = find_group(w, f"VENDOR:{w.vendor}:supported")
    return supported is not None or find_group(w, f"VENDOR:{w.vendor}:unsupported") is not None


def vendor_region(w: World, p: Party) -> Hit | None:
    """VENDOR-REGION: places of the request and establishments that the vendor does not serve."""
    if not vendor_region_reaches(w):
        return None
    orgs = judged_organisations(w, p)
    parts = parts_in(w, f"VENDOR:{w.vendor}:excluded-parts")
    if any(not vendor_supports(w, country) for country in places_of_request(w) | establishments(orgs)):
        return yes("REGION_UNSUPPORTED")
    where = part_of_ukraine(w, parts) if parts else {}
    if "inside" in where:
        return yes("REGION_UNSUPPORTED")
    missing = unknown_establishments(orgs)
    if no_place(w):
        missing.add("place.country")
    missing.update(where)
    return doubt(["LOCATION_UNKNOWN"], missing) if missing else None


def anthropic_terms(w: World) -> bool:
    """Vendor anthropic, weights not published."""
    return w.vendor == "anthropic" and not w.published


def vendor_control(w: World, org: Org) -> Control:
    """VENDOR-OWNERSHIP for one organisation."""
    supported = countries_in(w, "VENDOR:anthropic:supported")
    return headquarters_control(w, org, lambda headquarters: treated_as(w, "VENDOR", headquarters) not in supported)


def vendor_ownership(w: World, p: Party) -> Hit | None:
    """VENDOR-OWNERSHIP: more than 50 percent, by either method, held from outside the supported places."""
    if not anthropic_terms(w) or w.action == "licence_determination":
        return None
    for org in judged_organisations(w, p):
        if vendor_control(w, org).state == "captured":
            return yes("OWNERSHIP_CONTROL")
    return None


def vendor_ownership_unresolved(w: World, p: Party) -> Hit | None:
    """VENDOR-OWNERSHIP-UNRESOLVED: an unknown share or headquarters could decide."""
    if not anthropic_terms(w) or w.action == "licence_determination":
        return None
    hits = []
    for org in judged_organisations(w, p):
        control = vendor_control(w, org)
        if control.state == "unresolved":
            hits.append(doubt(["OWNERSHIP_UNRESOLVED"], control.missing))
    return strongest(hits)


def chinese_control(w: World, org: Org) -> Control:
    """CN-CONTROLLED-BAN for one organisation: its own establishment, then its owners'."""
    chinese = countries_in(w, "VENDOR:anthropic:cn-controlled")
    if establishments([org]) & chinese:
        return Control("captured")
    control = headquarters_control(w, org, lambda headquarters: headquarters in chinese)
    own = unknown_establishments([org])
    if control.state == "captured" or not own:
        return control
    return Control("unresolved", missing=control.missing | own)


def cn_controlled_ban(w: World, p: Party) -> Hit | None:
    """CN-CONTROLLED-BAN: a Chinese-controlled company; the host is not reached."""
    if not anthropic_terms(w) or w.action not in CALLS_AND_DISTILL or p.org is None:
        return None
    return yes("OWNERSHIP_CONTROL") if chinese_control(w, p.org).state == "captured" else None


def cn_controlled_unresolved(w: World, p: Party) -> Hit | None:
    """CN-CONTROLLED-UNRESOLVED: an unknown share, or an unknown place of establishment, could decide."""
    if not anthropic_terms(w) or w.action not in CALLS_AND_DISTILL or p.org is None:
        return None
    control = chinese_control(w, p.org)
    return doubt(["OWNERSHIP_UNRESOLVED"], control.missing) if control.state == "unresolved" else None


def vendor_reseller_end_user(w: World, p: Party) -> Hit | None:
    """VENDOR-RESELLER-END-USER: a reseller that names no end user. An end user names none: a request has no place for
    that."""
    if w.entry.get("requires_end_user") is False or w.action == "licence_determination":
        return None
    if p.org is None or p.org.reseller is False:
        return None
    if p.side != "end_user" and w.request.get("end_user") is not None:
        return None
    named = set() if p.side == "end_user" else {"end_user"}
    doubts = set()
    if p.org.reseller is None:
        doubts.add("organisation.reseller")
    if w.entry.get("requires_end_user") is None:
        doubts.add("model.requires_end_user")
    # Of a reseller that names nobody it is not known whom it would name.
    missing = named | doubts
    return doubt(["END_USER_UNDISCLOSED"], missing) if missing else yes("END_USER_UNDISCLOSED")


# ---------------------------------------------------------------------------------------------------------------
# Bars of the consortium.
# ---------------------------------------------------------------------------------------------------------------


def glasswing_reaches(w: World) -> bool:
    """Consortium glasswing, calls and distill."""
    return w.entry.get("consortium") == "glasswing" and w.action in CALLS_AND_DISTILL


def glasswing_memberships(w: World, p: Party) -> list[Json]:
    """Membership rows of the legal entity acting, whatever their time."""
    if p.org is None or p.org.id is None:
        return []
    return [row for row in w.memberships if row["organisation"] == p.org.id and row["consortium"] == "glasswing"]


def glasswing_member(w: World, p: Party) -> bool:
    """A membership row is in force, and every one in force has status active."""
    rows = [row for row in glasswing_memberships(w, p) if in_force(row, w.at)]
    return bool(rows) and all(row.get("status") == "active" for row in rows)


def glasswing_membership(w: World, p: Party) -> Hit | None:
    """GLASSWING-MEMBERSHIP: no active membership of the entity acted for."""
    if not glasswing_reaches(w) or glasswing_member(w, p):
        return None
    rows = glasswing_memberships(w, p)
    if any(in_force(row, w.at) and row.get("status") == "suspended" for row in rows):
        return yes("MEMBERSHIP_SUSPENDED")
    if any(has_begun(row, w.at) and has_ended(row, w.at) for row in rows):
        return yes("MEMBERSHIP_EXPIRED")
    return yes("MEMBERSHIP_NOT_FOUND")


def glasswing_purpose(w: World, _p: Party) -> Hit | None:
    """GLASSWING-PURPOSE: a purpose in neither list, or none."""
    if not glasswing_reaches(w):
        return None
    if w.purpose is None:
        return yes("PURPOSE_UNDECLARED", missing=["purpose"])
    known = [*(w.entry.get("purposes") or []), *(w.entry.get("purposes_needing_review") or [])]
    return None if w.purpose in known else yes("PURPOSE_NOT_PERMITTED")


def glasswing_purpose_review(w: World, _p: Party) -> Hit | None:
    """GLASSWING-PURPOSE-REVIEW: a purpose that a person decides. None at all is left to GLASSWING-PURPOSE."""
    if not glasswing_reaches(w) or w.purpose not in (w.entry.get("purposes_needing_review") or []):
        return None
    return yes("PURPOSE_NEEDS_REVIEW")


# ---------------------------------------------------------------------------------------------------------------
# Bars of the operator.
# ---------------------------------------------------------------------------------------------------------------


def operator_assertion_conflict(w: World, _p: Party) -> Hit | None:
    """OPERATOR-ASSERTION-CONFLICT: an asserted property or acting_for clashes with the file."""
    return yes("ASSERTION_CONFLICT") if w.conflict else None


def vendor_region_at(w: World, country: str) -> Hit | None:
    """VENDOR-REGION for one place of the request alone, with what is stated about the part of Ukraine."""
    if not vendor_supports(w, country):
        return yes("LOCATION_CONFLICT")
    parts = parts_in(w, f"VENDOR:{w.vendor}:excluded-parts")
    where = part_of_ukraine(w, parts, destination=False) if parts and country == "UA" else {}
    if "inside" in where:
        return yes("LOCATION_CONFLICT")
    return doubt(["LOCATION_CONFLICT"], where) if where else None


def operator_location_evidence(w: World, _p: Party) -> Hit | None:
    """OPERATOR-LOCATION-EVIDENCE: two places of which an enforced place row bars one and not the other."""
    if not ofac_reaches(w) or w.action == "licence_determination":
        return None
    first, second = w.place_country, w.ip_country
    if first is None or second is None or first == second:
        return None
    hits: list[Hit | None] = []
    if vendor_region_reaches(w) and state_of(w, "VENDOR-REGION") == "enforced":
        one, other = vendor_region_at(w, first), vendor_region_at(w, second)
        if (one is None) != (other is None):
            hits.append(one or other)
    for rule, countries in (("OFAC-EMBARGO", {"CU", "IR", "KP"}), ("OFAC-SYRIA", {"SY"})):
        if state_of(w, rule) == "enforced" and (first in countries) != (second in countries):
            hits.append(yes("LOCATION_CONFLICT"))
    return strongest(hits)


def last_reading(w: World, cluster: str) -> Json | None:
    """The last reading of a cluster at the instant; of two for the same instant, the one recorded last."""
    readings = [row for row in w.clusters if row["id"] == cluster and sure_instant(row["as_of"]) <= w.at]
    if not readings:
        return None
    return max(readings, key=lambda row: (sure_instant(row["as_of"]), recorded(row)))


def operator_distillation_pattern(w: World, p: Party) -> Hit | None:
    """OPERATOR-DISTILLATION-PATTERN: an account in a cluster that reaches all three thresholds."""
    if w.action not in {"infer", "embed", "distill"} or w.published or w.tier == "distilled":
        return None
    if w.tier is None and w.kind != "model":
        return None
    cluster = None if p.account is None else p.account.get("cluster")
    reading = None if cluster is None else last_reading(w, cluster)
    if reading is None:
        return None
    missing = set() if w.tier is not None else {"model.tier"}
    if w.at - sure_instant(reading["as_of"]) > timedelta(hours=24):
        return doubt(["STALE_DATA"], {"cluster.as_of", *missing})
    enough = len(set(reading["shared"])) >= 2 and reading["accounts"] >= 100 and reading["exchanges_24h"] >= 100_000
    if not enough:
        return None
    return doubt(["AGGREGATE_PATTERN"], missing) if missing else yes("AGGREGATE_PATTERN")


def operator_suspend_all(w: World, _p: Party) -> Hit | None:
    """OPERATOR-SUSPEND-ALL: both models, for everybody."""
    if w.model_id not in ORDERED_MODELS or w.action in {"administer", "licence_determination"}:
        return None
    return yes("OPERATOR_SUSPENSION")


def inbound(w: World, p: Party, sector: str) -> Hit | None:
    """Distilled models and one sector; a sector that is not on file is not known to be another."""
    if w.kind != "model" or w.action == "licence_determination" or w.tier not in {"distilled", None}:
        return None
    if p.org is None or p.org.sector not in {sector, None}:
        return None
    missing = set()
    if p.org.sector is None:
        missing.add("organisation.sector")
    if w.tier is None:
        missing.add("model.tier")
    return doubt(["DISTILLED_RESTRICTED"], missing) if missing else yes("DISTILLED_RESTRICTED")


def inbound_distilled(w: World, p: Party) -> Hit | None:
    """INBOUND-DISTILLED: government."""
    return inbound(w, p, "government")


def inbound_distilled_review(w: World, p: Party) -> Hit | None:
    """INBOUND-DISTILLED-REVIEW: critical infrastructure."""
    return inbound(w, p, "critical_infrastructure")


# ---------------------------------------------------------------------------------------------------------------
# cn-blocking.
# ---------------------------------------------------------------------------------------------------------------


def mofcom_blocking(w: World, p: Party) -> Hit | None:
    """MOFCOM-BLOCKING, once it is known that a bar of the regimes it names stands against this party."""
    if p.org is None or not has_statement(w, p.org.id, "mofcom_order"):
        return None
    if "CN" in establishments([p.org]):
        return yes("CONFLICT_OF_LAWS")
    missing = unknown_establishments([p.org])
    return doubt(["CONFLICT_OF_LAWS"], missing) if missing else None


# ---------------------------------------------------------------------------------------------------------------
# Grants.
# ---------------------------------------------------------------------------------------------------------------


def vendor_general_access(w: World, _p: Party) -> set[str]:
    """VENDOR-GENERAL-ACCESS: calls of commodity and distilled models."""
    if w.kind == "model" and w.tier in {"commodity", "distilled"} and w.action in CALLS:
        return {"COMMODITY_OK"}
    return set()


def vendor_published_weights(w: World, _p: Party) -> set[str]:
    """VENDOR-PUBLISHED-WEIGHTS: everything that one does with published weights."""
    if w.published_model and w.action in {*CALLS_AND_DISTILL, "download_weights", "replicate_weights"}:
        return {"PUBLISHED_OPEN"}
    return set()


def glasswing_access(w: World, p: Party) -> set[str]:
    """GLASSWING-ACCESS: calls by members for a purpose of the model."""
    if w.entry.get("consortium") != "glasswing" or w.action not in CALLS:
        return set()
    if w.purpose is None or w.purpose not in (w.entry.get("purposes") or []):
        return set()
    return {"MEMBER_ACTIVE", "PURPOSE_OK"} if glasswing_member(w, p) else set()


def glasswing_reviewed_access(w: World, p: Party) -> set[str]:
    """GLASSWING-REVIEWED-ACCESS: calls by members for a purpose that was reviewed."""
    if w.entry.get("consortium") != "glasswing" or w.action not in CALLS:
        return set()
    if w.purpose is None or w.purpose not in (w.entry.get("purposes_needing_review") or []):
        return set()
    return {"MEMBER_ACTIVE"} if glasswing_member(w, p) else set()


def released(w: World, p: Party, regime: str) -> bool:
    """A review left an exception of the regime on file for the organisation acting."""
    return bool(usable(w, p, holder_alone(p), regime, ("exception",)))


def glasswing_release(w: World, p: Party) -> bool:
    """What lifts GLASSWING-PURPOSE-REVIEW."""
    return released(w, p, "consortium")


def inbound_release(w: World, p: Party) -> bool:
    """What lifts INBOUND-DISTILLED-REVIEW."""
    return released(w, p, "operator")


def operator_staff_access(w: World, p: Party) -> set[str]:
    """OPERATOR-STAFF-ACCESS: employees of the vendor administer its models."""
    if w.kind != "model" or w.action != "administer" or w.vendor is None or p.org is None:
        return set()
    return {"STAFF_ACCESS"} if p.org.id == w.vendor and p.employee else set()


def operator_export_desk(w: World, _p: Party) -> set[str]:
    """OPERATOR-EXPORT-DESK: what the desk hands out, and the question about any entry."""
    if w.action == "licence_determination":
        return {"DESK_ACCESS"}
    handed_out = w.kind in {"technology", "technical_data", "weights"} and w.action in CUSTODY
    return {"DESK_ACCESS"} if handed_out else set()


def operator_authorised_use(w: World, p: Party) -> set[str]:
    """OPERATOR-AUTHORISED-USE: a licence or exception on file that names the model and the action."""
    if w.kind != "model" or w.action not in {"distill", *CUSTODY}:
        return set()
    rows = usable(w, p, holders_with_host(w, p), None, ("licence", "exception"))
    codes = {"licence": "LICENCE_APPLIED", "exception": "EXCEPTION_APPLIED"}
    return {codes[row["kind"]] for row in rows}


# ---------------------------------------------------------------------------------------------------------------
# Notes that lift nothing.
# ---------------------------------------------------------------------------------------------------------------


def us_person_status(w: World, p: Party) -> set[str]:
    """US-PERSON-STATUS: when a row in force reads the status for this request."""
    read = w.model_id in ORDERED_MODELS and state_of(w, "US-COM-2026-06-12") is not None
    read = read or (w.kind in {"technology", "technical_data"} and w.action in DESK)
    return {"US_PERSON"} if read and p.natural and us_status(w, p) == "us" else set()


def ear_published(w: World, _p: Party) -> set[str]:
    """EAR-PUBLISHED: a model with published weights."""
    return {"PUBLISHED_NOT_CONTROLLED"} if w.published_model else set()


def ear_nlr(w: World) -> set[str]:
    """EAR-NLR, once it is known that no enforced bar of us-ear and us-order matched."""
    reached = subject_to_the_ear(w) and w.kind != "technical_data" and w.action in DESK
    return {"NO_LICENCE_REQUIRED"} if reached else set()


def ear_deemed_country(w: World, p: Party) -> set[str]:
    """EAR-DEEMED-COUNTRY: a foreign person, natural or not, whose country is known."""
    if w.kind != "technology" or w.eccn is None or w.action not in DESK:
        return set()
    deemed = deemed_countries(w, p)
    known = p.natural and us_status(w, p) == "foreign" and bool(deemed.worlds) and not deemed.undated
    return {"DEEMED_EXPORT_COUNTRY"} if known or entity_status(w, p) == "foreign" else set()


def ai_diffusion_count(w: World, _p: Party) -> set[str]:
    """AI-DIFFUSION-COUNT: why AI-DIFFUSION-4E091 does not match."""
    if w.kind != "model" or w.published or w.model_id is None or w.action not in DESK:
        return set()
    if w.reached_country is None or at_home(w, w.reached_country):
        return set()
    codes = set()
    count, whole = counted_operations(w, w.model_id, frozenset({w.model_id}))
    if whole and count < OPERATIONS_THRESHOLD:
        codes.add("BELOW_THRESHOLD")
    if derivative_excluded(w) == "yes":
        codes.add("PUBLISHED_NOT_CONTROLLED")
    return codes


def bis_affiliates_minority(w: World, p: Party) -> set[str]:
    """BIS-AFFILIATES-MINORITY: a listed or captured owner holds a share that does not capture."""
    if not subject_to_the_ear(w):
        return set()
    for org in judged_organisations(w, p):
        foreign = org.incorporated is not None and not american(w, org)
        if foreign and listed_control(w, org, AFFILIATES).state == "minority":
            return {"OWNERSHIP_MINORITY_FLAG"}
    return set()


def list_match_cleared(w: World, p: Party) -> set[str]:
    """LIST-MATCH-CLEARED: a false positive on file."""
    if not subject_to_the_ear(w):
        return set()
    for key in party_keys(w, p):
        for row in listings_of(w, key, SCREENED_LISTS):
            if row.get("status") == "cleared" and cleared_against_this_version(row):
                return {"FALSE_POSITIVE_ON_FILE"}
    return set()


def ofac_50_minority(w: World, p: Party) -> set[str]:
    """OFAC-50-MINORITY: an SDN-listed or captured owner holds a share that does not capture."""
    if not ofac_reaches(w):
        return set()
    found = any(listed_control(w, org, ("SDN",)).state == "minority" for org in judged_organisations(w, p))
    return {"OWNERSHIP_MINORITY_FLAG"} if found else set()


def vendor_ownership_minority(w: World, p: Party) -> set[str]:
    """VENDOR-OWNERSHIP-MINORITY: owners from outside hold a share that does not capture."""
    if not anthropic_terms(w) or w.action == "licence_determination":
        return set()
    found = any(vendor_control(w, org).state == "minority" for org in judged_organisations(w, p))
    return {"OWNERSHIP_MINORITY_FLAG"} if found else set()


def inbound_distilled_note(w: World, p: Party) -> set[str]:
    """INBOUND-DISTILLED-NOTE: sector other, and persons who act for no organisation."""
    if w.kind != "model" or w.tier != "distilled" or w.action == "licence_determination":
        return set()
    return {"DISTILLED_ORIGIN"} if p.org is None or p.org.sector == "other" else set()


def exemption_note(w: World, p: Party) -> set[str]:
    """US-COM-2026-06-26 as a finding: the party is exempt."""
    return {"EXEMPTION_APPLIED"} if us_com_2026_06_26(w, p) else set()


def glasswing_release_note(w: World, p: Party) -> set[str]:
    """GLASSWING-RELEASE as a finding."""
    return {"EXCEPTION_APPLIED"} if glasswing_release(w, p) else set()


def inbound_release_note(w: World, p: Party) -> set[str]:
    """INBOUND-RELEASE as a finding."""
    return {"EXCEPTION_APPLIED"} if inbound_release(w, p) else set()


def sta_note(w: World, p: Party) -> set[str]:
    """EAR-STA as a finding: claimed and available."""
    return {"EXCEPTION_APPLIED"} if ear_sta(w, p) else set()


def sta_a6_note(w: World, p: Party) -> set[str]:
    """EAR-STA-A6 as a finding."""
    return {"EXCEPTION_APPLIED"} if ear_sta_a6(w, p) else set()


def ace_note(w: World, p: Party) -> set[str]:
    """EAR-ACE as a finding."""
    return {"EXCEPTION_APPLIED"} if ear_ace(w, p) else set()


def cyber_response_note(w: World, p: Party) -> set[str]:
    """EAR-CYBER-RESPONSE as a finding."""
    return {"NO_LICENCE_REQUIRED"} if ear_cyber_response(w, p) else set()


def itar_d2_release_note(w: World, p: Party) -> set[str]:
    """ITAR-D2-RELEASE as a finding."""
    return {"EXCEPTION_APPLIED"} if itar_d2_release(w, p) else set()


def gl_25_note(w: World, p: Party) -> set[str]:
    """OFAC-GL-25 as a finding."""
    return {"EXCEPTION_APPLIED"} if ofac_gl_25(w, p) else set()


def list_others(w: World, p: Party) -> set[str]:
    """LIST-OTHERS: lists that bar other dealings."""
    return {"LISTED_PARTY"} if on_lists(w, p, *OTHER_LISTS) else set()


def noted(lifter: Callable[[World, Party], bool], code: str) -> Callable[[World, Party], set[str]]:
    """What lifts, as a finding."""
    return lambda w, p: {code} if lifter(w, p) else set()


def aia_note(w: World, p: Party) -> set[str]:
    """EAR-AIA as a finding: claimed and available, for what AI-DIFFUSION-4E091 reaches."""
    return {"EXCEPTION_APPLIED"} if ai_diffusion_4e091(w, p) is not None and ear_aia(w, p) else set()


# ---------------------------------------------------------------------------------------------------------------
# The tables that join rows and functions.
# ---------------------------------------------------------------------------------------------------------------

BARS: dict[str, Callable[[World, Party], Hit | None]] = {
    "US-COM-2026-06-12": us_com_2026_06_12,
    "ITAR-126.1": itar_126_1,
    "ITAR-126.1-D2": itar_126_1_d2,
    "AECA-DEBARRED": aeca_debarred,
    "ITAR-RELEASE": itar_release,
    "EAR-PUBLISHED-UNDETERMINED": ear_published_undetermined,
    "EAR-DEEMED-EXPORT": ear_deemed_export,
    "EAR-CCL-COUNTRY": ear_ccl_country,
    "AI-DIFFUSION-4E091": ai_diffusion_4e091,
    "ENTITY-LIST": entity_list,
    "BIS-AFFILIATES": bis_affiliates,
    "BIS-AFFILIATES-UNRESOLVED": bis_affiliates_unresolved,
    "DENIED-PERSONS": denied_persons,
    "MIEU-744.22": mieu_744_22,
    "MIEU-LISTED": mieu_listed,
    "EAR-RUSSIA-BELARUS": russia_belarus,
    "EAR-SYRIA": ear_syria,
    "EAR-744.23": ear_744_23,
    "EAR-SUPPORT-744.6": ear_support,
    "EAR-AI-TRAINING": ear_ai_training,
    "UVL-STATEMENT": uvl_statement,
    "MEU-744.21": meu_744_21,
    "LIST-MATCH-REVIEW": list_match_review,
    "OFAC-EMBARGO": ofac_embargo,
    "OFAC-SYRIA": ofac_syria,
    "OFAC-UA-REGIONS": ofac_ua_regions,
    "OFAC-SDN": ofac_sdn,
    "OFAC-GOV-BLOCKED": ofac_gov_blocked,
    "OFAC-MATCH-REVIEW": ofac_match_review,
    "OFAC-RU-SERVICES": ofac_ru_services,
    "OFAC-50": ofac_50,
    "OFAC-50-UNRESOLVED": ofac_50_unresolved,
    "VENDOR-REGION": vendor_region,
    "VENDOR-OWNERSHIP": vendor_ownership,
    "VENDOR-OWNERSHIP-UNRESOLVED": vendor_ownership_unresolved,
    "CN-CONTROLLED-BAN": cn_controlled_ban,
    "CN-CONTROLLED-UNRESOLVED": cn_controlled_unresolved,
    "VENDOR-RESELLER-END-USER": vendor_reseller_end_user,
    "GLASSWING-MEMBERSHIP": glasswing_membership,
    "GLASSWING-PURPOSE": glasswing_purpose,
    "GLASSWING-PURPOSE-REVIEW": glasswing_purpose_review,
    "OPERATOR-ASSERTION-CONFLICT": operator_assertion_conflict,
    "OPERATOR-LOCATION-EVIDENCE": operator_location_evidence,
    "OPERATOR-DISTILLATION-PATTERN": operator_distillation_pattern,
    "OPERATOR-SUSPEND-ALL": operator_suspend_all,
    "INBOUND-DISTILLED": inbound_distilled,
    "INBOUND-DISTILLED-REVIEW": inbound_distilled_review,
}

GRANTS: dict[str, Callable[[World, Party], set[str]]] = {
    "VENDOR-GENERAL-ACCESS": vendor_general_access,
    "VENDOR-PUBLISHED-WEIGHTS": vendor_published_weights,
    "GLASSWING-ACCESS": glasswing_access,
    "GLASSWING-REVIEWED-ACCESS": glasswing_reviewed_access,
    "OPERATOR-STAFF-ACCESS": operator_staff_access,
    "OPERATOR-EXPORT-DESK": operator_export_desk,
    "OPERATOR-AUTHORISED-USE": operator_authorised_use,
}

NOTES: dict[str, Callable[[World, Party], set[str]]] = {
    "US-COM-2026-06-26": exemption_note,
    "US-PERSON-STATUS": us_person_status,
    "EAR-PUBLISHED": ear_published,
    "EAR-DEEMED-COUNTRY": ear_deemed_country,
    "AI-DIFFUSION-COUNT": ai_diffusion_count,
    "EAR-STA": sta_note,
    "EAR-STA-A6": sta_a6_note,
    "EAR-ACE": ace_note,
    "EAR-CYBER-RESPONSE": cyber_response_note,
    "ITAR-D2-RELEASE": itar_d2_release_note,
    "OFAC-GL-25": gl_25_note,
    "LIST-OTHERS": list_others,
    "EAR-TSR": noted(ear_tsr, "EXCEPTION_APPLIED"),
    "EAR-734.20-B": noted(ear_734_20_b, "NO_LICENCE_REQUIRED"),
    "EAR-734.20-C": noted(ear_734_20_c, "NO_LICENCE_REQUIRED"),
    "BIS-TGL-7": noted(bis_tgl_7, "EXCEPTION_APPLIED"),
    "EAR-SPP": noted(ear_spp, "EXCEPTION_APPLIED"),
    "EAR-TRAINING-RELEASE": noted(ear_training_release, "EXCEPTION_APPLIED"),
    "ITAR-126.18": noted(itar_126_18, "EXEMPTION_APPLIED"),
    "OFAC-560.540": noted(ofac_560_540, "EXCEPTION_APPLIED"),
    "OFAC-515.578": noted(ofac_515_578, "EXCEPTION_APPLIED"),
    "EAR-AIA": aia_note,
    "BIS-AFFILIATES-MINORITY": bis_affiliates_minority,
    "LIST-MATCH-CLEARED": list_match_cleared,
    "OFAC-50-MINORITY": ofac_50_minority,
    "VENDOR-OWNERSHIP-MINORITY": vendor_ownership_minority,
    "INBOUND-DISTILLED-NOTE": inbound_distilled_note,
    "GLASSWING-RELEASE": glasswing_release_note,
    "INBOUND-RELEASE": inbound_release_note,
}

LICENCE_NOTES = ("US-ORDER-LICENCES", "ITAR-AUTHORISATIONS", "EAR-AUTHORISATIONS")
"""These say that a licence lifts something, so they are findings only where one does."""

CODE_BESIDE_WHICH = {
    "EAR-DEEMED-EXPORT": "LICENCE_REQUIRED",
    "EAR-CCL-COUNTRY": "LICENCE_REQUIRED",
    "AI-DIFFUSION-4E091": "LICENCE_REQUIRED",
    "ENTITY-LIST": "LISTED_PARTY",
    "BIS-AFFILIATES": "OWNERSHIP_CONTROL",
    "MEU-744.21": "LICENCE_REQUIRED",
    "MIEU-744.22": "LICENCE_REQUIRED",
    "MIEU-LISTED": "LISTED_PARTY",
    "EAR-RUSSIA-BELARUS": "LICENCE_REQUIRED",
    "EAR-SYRIA": "LICENCE_REQUIRED",
    "EAR-744.23": "LICENCE_REQUIRED",
    "EAR-SUPPORT-744.6": "LICENCE_REQUIRED",
}
"""Bars that name EXCEPTION_NOT_AVAILABLE and the AUTHORISATION codes, and the code beside which they stand."""


LIFTERS: dict[str, Callable[[World, Party], bool]] = {
    "GLASSWING-RELEASE": glasswing_release,
    "INBOUND-RELEASE": inbound_release,
    "US-COM-2026-06-26": us_com_2026_06_26,
    "US-ORDER-LICENCES": us_order_licences,
    "ITAR-AUTHORISATIONS": itar_authorisations,
    "EAR-AUTHORISATIONS": ear_authorisations,
    "EAR-STA": ear_sta,
    "EAR-STA-A6": ear_sta_a6,
    "EAR-ACE": ear_ace,
    "EAR-CYBER-RESPONSE": ear_cyber_response,
    "ITAR-D2-RELEASE": itar_d2_release,
    "OFAC-GL-25": ofac_gl_25,
    "EAR-TSR": ear_tsr,
    "EAR-734.20-B": ear_734_20_b,
    "EAR-734.20-C": ear_734_20_c,
    "BIS-TGL-7": bis_tgl_7,
    "EAR-SPP": ear_spp,
    "EAR-TRAINING-RELEASE": ear_training_release,
    "ITAR-126.18": itar_126_18,
    "OFAC-560.540": ofac_560_540,
    "OFAC-515.578": ofac_515_578,
    "EAR-AIA": ear_aia,
    "statement uvl": statement_uvl,
}


def lifts(w: World, p: Party, bar: str, lifter: str) -> bool:
    """Whether one of the words in `unless` lifts this bar for this party."""
    if bar == "EAR-DEEMED-EXPORT" and lifter in STA_GROUPS:
        return sta_deemed(w, p, lifter)
    if bar == "EAR-DEEMED-EXPORT" and lifter == "EAR-TSR":
        return ear_tsr(w, p) and within(w, p, "EAR:US", "EAR:B")
    return LIFTERS[lifter](w, p)


def codes_beside(w: World, p: Party, bar: str, hit: Hit, state: str) -> set[str]:
    """Codes that an unlifted bar has beside its own. A licence is not consulted for a suspended or advisory bar."""
    if bar == "US-COM-2026-06-12":
        expired = state == "enforced" and authorisation_expired(w, p, holder_alone(p), "us-order")
        return {"AUTHORISATION_EXPIRED"} if expired else set()
    if CODE_BESIDE_WHICH.get(bar) not in hit.codes:
        return set()
    codes = set()
    exception_applies = any(lifts(w, p, bar, name) for name in ROWS[bar].unless if name in {*EXCEPTIONS, "EAR-AIA"})
    if w.exception is not None and not exception_applies:
        codes.add("EXCEPTION_NOT_AVAILABLE")
    if state == "enforced":
        holders = holders_with_host(w, p)
        if authorisation_expired(w, p, holders, "us-ear"):
            codes.add("AUTHORISATION_EXPIRED")
        if authorisation_exhausted(w, p, holders, "us-ear"):
            codes.add("AUTHORISATION_CAP_EXHAUSTED")
    return codes


# ---------------------------------------------------------------------------------------------------------------
# Putting it together.
# ---------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Judged:
    """What one bar comes to: for which parties it stands, for which it is lifted, and by what."""

    rule: str
    state: str
    standing: dict[int, Hit] = field(default_factory=dict)
    lifted: dict[int, Hit] = field(default_factory=dict)
    lifters: set[str] = field(default_factory=set)


def judge_bar(w: World, parties: list[Party], rule: str, bar: Callable[[World, Party], Hit | None]) -> Judged | None:
    """One bar for every party; None when it is not in force or matches nobody."""
    state = state_of(w, rule)
    if state is None:
        return None
    judged = Judged(rule, state)
    for i, p in enumerate(parties):
        hit = bar(w, p)
        if hit is None:
            continue
        lifters = [name for name in ROWS[rule].unless if lifts(w, p, rule, name)] if state == "enforced" else []
        if lifters:
            judged.lifted[i] = hit
            judged.lifters.update(lifters)
        else:
            beside = codes_beside(w, p, rule, hit, state)
            judged.standing[i] = Hit(hit.sure, hit.codes | beside, hit.missing)
    return judged if judged.standing or judged.lifted else None


def judge_mofcom(w: World, parties: list[Party], bars: list[Judged]) -> Judged | None:
    """MOFCOM-BLOCKING looks at the bars that stand, so it is judged after them."""
    against: set[int] = set()
    for judged in bars:
        regime = ROWS[judged.rule].regime
        if judged.state == "enforced" and regime in {"us-order", "us-itar", "us-ear", "us-ofac", "vendor"}:
            against |= set(judged.standing)
    return judge_bar(
        w,
        parties,
        "MOFCOM-BLOCKING",
        lambda world, p: mofcom_blocking(world, p) if parties.index(p) in against else None,
    )


def finding(rule: str, state: str, codes: Iterable[str], lifted_by: str | None = None) -> Json:
    """A finding as the answer has it."""
    row = ROWS[rule]
    return {
        "rule": rule,
        "regime": row.regime,
        "effect": row.effect,
        "state": state,
        "hold": row.hold,
        "codes": sorted(codes),
        "lifted_by": lifted_by,
    }


def bar_finding(judged: Judged) -> Json:
    """A bar as a finding: it stands if it stands for any party, and is lifted only when lifted for all."""
    hit = strongest(judged.standing.values()) or strongest(judged.lifted.values())
    codes = frozenset() if hit is None else hit.codes
    if judged.standing:
        return finding(judged.rule, "deciding" if judged.state == "enforced" else judged.state, codes)
    order = ROWS[judged.rule].unless
    return finding(judged.rule, "lifted", codes, min(judged.lifters, key=order.index))


def granted(w: World, parties: list[Party], rule: str) -> set[str]:
    """The codes of a grant that holds for every party; empty when it does not."""
    found = [GRANTS[rule](w, p) for p in parties]
    return set().union(*found) if found and all(found) else set()


def enforced_grants(w: World, parties: list[Party]) -> list[str]:
    """The enforced grants that hold for every party."""
    return [rule for rule in GRANTS if state_of(w, rule) == "enforced" and granted(w, parties, rule)]


def acting_for_matters(w: World, parties: list[Party], bars: list[Judged]) -> bool:
    """Of several organisations on file, a deciding bar stands for one and not another, or the decision differs."""
    subjects = [i for i, p in enumerate(parties) if p.side == "subject"]
    if len(subjects) < 2:
        return False
    deciding = [judged for judged in bars if judged.state == "enforced" and judged.standing]
    for judged in deciding:
        if 0 < len([i for i in subjects if i in judged.standing]) < len(subjects):
            return True
    if deciding:
        return False
    others = [p for p in parties if p.side != "subject"]
    alone = {bool(enforced_grants(w, [parties[i], *others])) for i in subjects}
    return len(alone) == 2


def note_findings(w: World, parties: list[Party], bars: list[Judged]) -> list[Json]:
    """Notes: each matches when it matches for any party."""
    found = []
    for rule, note in NOTES.items():
        codes = set().union(*(note(w, p) for p in parties))
        state = state_of(w, rule)
        if codes and state is not None:
            found.append(finding(rule, "note" if state == "enforced" else state, codes))
    found.extend(
        finding(rule, "note", ["LICENCE_APPLIED"])
        for rule in LICENCE_NOTES
        if any(rule in judged.lifters for judged in bars)
    )
    matched = any(j.state == "enforced" and ROWS[j.rule].regime in {"us-ear", "us-order"} for j in bars)
    nlr_state = state_of(w, "EAR-NLR")
    if ear_nlr(w) and not matched and nlr_state is not None:
        found.append(finding("EAR-NLR", "note" if nlr_state == "enforced" else nlr_state, ear_nlr(w)))
    return found


def conclude(findings: list[Json], missing: set[str], obligations: set[str]) -> Json:
    """The answer from the findings: allow when the deciding ones grant, deny otherwise."""
    findings = sorted(findings, key=lambda f: (REGIMES.index(f["regime"]), f["rule"]))
    deciding = [f for f in findings if f["state"] == "deciding"]
    allowed = all(f["effect"] == "permit" for f in deciding)
    return {
        "decision": "allow" if allowed else "deny",
        "hold": any(f["hold"] for f in deciding),
        "reason": deciding[0]["codes"][0],
        "reason_rule": deciding[0]["rule"],
        "missing": [] if allowed else sorted(missing),
        "findings": findings,
        "obligations": sorted(obligations),
    }


def known_model_finding(w: World) -> list[Json]:
    """OPERATOR-MODEL-KNOWN: not, byte for byte, a catalogue id or an alias of the calling gateway."""
    state = state_of(w, "OPERATOR-MODEL-KNOWN")
    if w.model_id is not None or state is None:
        return []
    return [finding("OPERATOR-MODEL-KNOWN", "deciding" if state == "enforced" else state, ["MODEL_UNKNOWN"])]


def known_subject_finding(w: World) -> list[Json]:
    """OPERATOR-SUBJECT-KNOWN: a subject or end user whose id is not on file under its type."""
    end_user = w.request.get("end_user")
    state = state_of(w, "OPERATOR-SUBJECT-KNOWN")
    known = on_file(w, w.request["subject"]) and (end_user is None or on_file(w, end_user))
    if known or state is None:
        return []
    return [finding("OPERATOR-SUBJECT-KNOWN", "deciding" if state == "enforced" else state, ["SUBJECT_UNKNOWN"])]


def decide(w: World) -> Json:
    """One decision, without alternatives."""
    end_user = w.request.get("end_user")
    known = known_subject_finding(w)
    if w.model_id is None or not on_file(w, w.request["subject"]):
        return conclude(with_no_grant([*known_model_finding(w), *known]), set(), set())
    parties = parties_of(w, w.request["subject"], "subject", w.request.get("acting_for") or None)
    end_user_on_file = end_user is None or on_file(w, end_user)
    if end_user is not None and end_user_on_file:
        parties += parties_of(w, end_user, "end_user", None)
        parties = [refreshed(w, p) for p in parties]

    bars = [j for j in (judge_bar(w, parties, rule, bar) for rule, bar in BARS.items()) if j is not None]
    mofcom = judge_mofcom(w, parties, bars)
    if mofcom is not None:
        bars.append(mofcom)

    findings = [*known, *(bar_finding(judged) for judged in bars), *note_findings(w, parties, bars)]
    barred = any(f["state"] == "deciding" for f in findings)
    if end_user_on_file:
        for rule in GRANTS:
            codes = granted(w, parties, rule)
            state = state_of(w, rule)
            if codes and state is not None:
                enforced = "note" if barred else "deciding"
                findings.append(finding(rule, enforced if state == "enforced" else state, codes))
    findings = with_no_grant(findings)

    missing: set[str] = set()
    for judged in bars:
        hit = strongest(judged.standing.values())
        if judged.state == "enforced" and hit is not None:
            missing |= hit.missing
    if acting_for_matters(w, parties, bars):
        missing.add("acting_for")

    return conclude(findings, missing, obligations_of(findings, bars))


def obligations_of(findings: list[Json], bars: list[Judged]) -> set[str]:
    """Those of deciding rows, and of everything that lifts a bar, also where one of several would have been enough."""
    deciding = {found["rule"]: found["codes"] for found in findings if found["state"] == "deciding"}
    lifters = {lifter for judged in bars if not judged.standing for lifter in judged.lifters}
    whatever = {obligation for rule in {*deciding, *lifters} if rule in ROWS for obligation in ROWS[rule].obligations}
    return whatever | {
        obligation
        for rule, codes in deciding.items()
        if rule in ROWS
        for code, obligation in ROWS[rule].reports
        if code in codes
    }


def refreshed(w: World, p: Party) -> Party:
    """The party again with the file as an assertion about the other party may have filled it."""
    person = None if p.person is None else w.people[p.person["id"]]
    org = p.org if p.org is None or p.org.id is None else organisation(w, p.org.id)
    return Party(
        side=p.side,
        type=p.type,
        natural=p.natural,
        person=person,
        org=org,
        account=p.account,
        employee=p.employee,
    )


def with_no_grant(findings: list[Json]) -> list[Json]:
    """ENGINE-NO-GRANT: when nothing decides, nothing granted."""
    if any(f["state"] == "deciding" for f in findings):
        return findings
    return [*findings, finding("ENGINE-NO-GRANT", "deciding", ["ACTION_NOT_PERMITTED"])]


def alternatives(case: Json, catalogue: Json, groups: Json) -> list[str]:
    """Models that the same requester may use: the request's fallbacks where given, else the catalogue's."""
    w = build_world(case, catalogue, groups, case["request"])
    names = case["request"].get("fallbacks")
    if names is None:
        names = w.entry.get("fallbacks") or []
    found: list[str] = []
    seen = {w.model_id}
    for name in names:
        other = build_world(case, catalogue, groups, {**case["request"], "model": name})
        if other.model_id is None or other.model_id in seen:
            continue
        seen.add(other.model_id)
        if decide(other)["decision"] == "allow":
            found.append(name)
    return found


def evaluate(case: Json, catalogue: Json, groups: Json) -> Json:
    """The answer to a case entry (contract 5) by the contract and the timeline.

    `catalogue` and `groups` are the shipped files as parsed; the case's own catalogue entries replace or add.
    The answer has decision, hold, reason (a code), reason_rule, missing, findings, obligations and alternatives.
    """
    answer = decide(build_world(case, catalogue, groups, case["request"]))
    answer["alternatives"] = alternatives(case, catalogue, groups)
    return answer
