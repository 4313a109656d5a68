"""Words about the organisation acting and the party as such: establishment, employment, consortium, cluster."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.catalogue import Entry
from policy_engine.domain.facts import UNFILED, Edition, Party, Role
from policy_engine.domain.in_force import memberships_in_force
from policy_engine.domain.instants import Validity, earliest, format_instant, later
from policy_engine.domain.logic import NO, YES, Answer, Tri, known, unknown, yes
from policy_engine.domain.roster import (
    EmploymentKind,
    Membership,
    MembershipStatus,
    Organisation,
)
from policy_engine.domain.rules import Book
from policy_engine.domain.words import dimensions, parameters
from policy_engine.domain.words.dimensions import NO_REQUESTER, Dimensions, always, by_parameter, countries
from policy_engine.domain.words.groups import TERRITORIES, places_in
from policy_engine.domain.words.items import item_of
from policy_engine.domain.words.word import HOUSE, Absent, Fact, ItemPart, Looks, Reads, Word, own


def on_file(party: Party, _: str) -> Answer:
    return known(party.on_file)


def foreign_organisation(party: Party, _: str) -> Answer:
    if party.organisation is None:
        return NO
    incorporated = party.organisation.incorporated
    if incorporated is None:
        return unknown("organisation.incorporated")
    read = party.question.tables.places.read_as(incorporated, "EAR", party.question.at)
    return yes(("incorporated", incorporated)) if read != "US" else NO


def establishments(organisation: Organisation | None) -> tuple[tuple[str, str | None], ...]:
    if organisation is None:
        return ()
    return (
        ("organisation.incorporated", organisation.incorporated),
        ("organisation.headquarters", organisation.headquarters),
    )


def established_in(party: Party, parameter: str) -> Answer:
    places = establishments(party.organisation)
    hits = tuple(name for name, country in places if country is not None and places_in(party, (country,), parameter))
    if hits:
        return yes(("established", hits))
    missing = [name for name, country in places if country is None]
    return unknown(*missing) if missing else NO


def no_organisation(party: Party, _: str) -> Answer:
    return known(party.organisation is None)


def is_organisation(party: Party, parameter: str) -> Answer:
    if party.organisation_id == UNFILED.id:
        return unknown("acting_for")
    return known(party.organisation_id == parameter)


def by_gateway(party: Party, parameter: str) -> Answer:
    return known(party.question.caller.gateway == parameter)


def sector(party: Party, parameter: str) -> Answer:
    if party.organisation is None:
        return NO
    if party.organisation.sector is None:
        return unknown("organisation.sector")
    return known(party.organisation.sector.value == parameter)


def reseller(party: Party, _: str) -> Answer:
    if party.organisation is None:
        return NO
    if party.organisation.reseller is None:
        return unknown("organisation.reseller")
    return known(party.organisation.reseller)


def end_user_named(party: Party, _: str) -> Answer:
    """Whether the request names an end user behind the party; an end user cannot name another one."""
    if party.role is Role.END_USER and party.question.edition >= Edition.DOUBTS:
        return NO
    return unknown("end_user") if party.question.request.end_user is None else YES


def acts_for_vendor(party: Party, _: str) -> Answer:
    vendor = item_of(party).vendor
    return known(vendor is not None and party.organisation_id == vendor)


def own_staff(party: Party, _: str) -> Answer:
    if party.organisation is None:
        return NO
    return known(party.person is None or EmploymentKind.EMPLOYEE in party.employment)


def employee(party: Party, _: str) -> Answer:
    return known(party.person is not None and EmploymentKind.EMPLOYEE in party.employment)


def assertion_conflict(party: Party, _: str) -> Answer:
    conflicts = party.question.conflicts
    if not conflicts:
        return NO
    return yes(
        ("property", tuple(one.property for one in conflicts)),
        ("asserted", tuple(one.asserted for one in conflicts)),
        ("on_file", tuple(one.on_file for one in conflicts)),
    )


def memberships(party: Party, consortium: str) -> tuple[Membership, ...]:
    if party.organisation is None:
        return ()
    rows = tuple(
        row for row in party.question.roster.memberships.get(party.organisation.id, ()) if row.consortium == consortium
    )
    party.question.horizon.note(earliest((row.valid for row in rows), at=party.question.at))
    return rows


def member(party: Party, parameter: str) -> Answer:
    rows = memberships_in_force(memberships(party, parameter), party.question.at)
    active = any(row.status is MembershipStatus.ACTIVE for row in rows)
    return yes(("consortium", parameter)) if active else NO


def membership_suspended(party: Party, parameter: str) -> Answer:
    rows = memberships_in_force(memberships(party, parameter), party.question.at)
    return known(any(row.status is MembershipStatus.SUSPENDED for row in rows))


def membership_ended(party: Party, parameter: str) -> Answer:
    rows = memberships(party, parameter)
    at = party.question.at
    return known(not memberships_in_force(rows, at) and any(row.valid.ended(at) for row in rows))


def membership_never(party: Party, parameter: str) -> Answer:
    rows = memberships(party, parameter)
    at = party.question.at
    return known(not memberships_in_force(rows, at) and not any(row.valid.ended(at) for row in rows))


def host_of(party: Party) -> Organisation | None:
    host = party.question.request.destination.host
    if host is None:
        return None
    return next((one.organisation for one in party.question.parties if one.role is Role.HOST), None)


def pattern(party: Party, parameter: str) -> Answer:
    question = party.question
    cluster = party.account.cluster if party.account is not None else None
    if cluster is None:
        return NO
    test = question.tables.patterns[parameter]
    readings = question.roster.clusters.get(cluster, ())
    for reading in readings:
        question.horizon.note(Validity(start=reading.as_of).next_change(question.at))
    past = [reading for reading in readings if reading.as_of <= question.at]
    if not past:
        return NO
    last = max(past, key=lambda reading: reading.as_of)
    stale_from = later(last.as_of, timedelta(hours=test.max_age_hours))
    if question.at > stale_from:
        return unknown("cluster.as_of")
    question.horizon.note(later(stale_from, timedelta(microseconds=1)))
    measures = (
        ("cluster.shared", None if last.shared is None else len(set(last.shared)), test.min_shared),
        ("cluster.accounts", last.accounts, test.min_accounts),
        ("cluster.exchanges_24h", last.exchanges_24h, test.min_exchanges_24h),
    )
    reached = logic.all_of(unknown(name) if value is None else known(value >= bound) for name, value, bound in measures)
    if reached.value is not Tri.YES:
        return reached
    return yes(
        ("cluster", cluster),
        ("as_of", format_instant(last.as_of)),
        *((name.partition(".")[2], str(value)) for name, value, _ in measures),
    )


_PARTY: Final = ("party",)
_UNFILED: Final = Reads(
    absent=Absent.OPEN,
    looks=Looks.AT_FACTS,
    facts=(),
    item=ItemPart.NOTHING,
    dimensions=NO_REQUESTER,
    obtainable=None,
)
_FILED: Final = replace(_UNFILED, absent=Absent.CLOSED)
_STATED: Final = replace(_UNFILED, absent=Absent.REQUEST)
_EMPLOYMENT: Final = replace(_FILED, facts=own(Fact.EMPLOYMENT), dimensions=always({dimensions.REQUESTER: None}))
_MEMBERSHIPS: Final = replace(
    _FILED,
    facts=own(Fact.MEMBERSHIPS),
    dimensions=by_parameter(lambda consortium: {dimensions.MEMBERSHIP + consortium: None}),
)


def _vendors(_parameter: str, _book: Book, entry: Entry | None) -> Dimensions:
    return {dimensions.IDENTITY: frozenset() if entry is None else frozenset({entry.vendor or ""})}


WORDS: Final = (
    Word(
        name="on-file",
        columns=_PARTY,
        parameter=None,
        reads=replace(
            _FILED,
            looks=Looks.AT_EXISTENCE,
            dimensions=always({dimensions.REQUESTER: frozenset({dimensions.STRANGER})}),
        ),
        answer=on_file,
        meaning="The subject, or the end user, is on file under its type.",
        example="!on-file",
        clause=HOUSE,
    ),
    Word(
        name="foreign-organisation",
        columns=_PARTY,
        parameter=None,
        reads=replace(
            _UNFILED, facts=own(Fact.INCORPORATED), dimensions=always({dimensions.INCORPORATED: dimensions.US})
        ),
        answer=foreign_organisation,
        meaning="The organisation acting, or the host, is not incorporated in the US or one of its territories.",
        example="foreign-person | foreign-organisation",
        clause=TERRITORIES,
    ),
    Word(
        name="established-in",
        columns=_PARTY,
        parameter=parameters.PLACES,
        reads=replace(
            _UNFILED,
            facts=own(Fact.INCORPORATED, Fact.HEADQUARTERS),
            dimensions=countries(dimensions.INCORPORATED, dimensions.HEADQUARTERS),
        ),
        answer=established_in,
        meaning="The organisation is incorporated or headquartered in one of these.",
        example="established-in:CN",
        clause=HOUSE,
    ),
    Word(
        name="no-organisation",
        columns=_PARTY,
        parameter=None,
        reads=replace(
            _UNFILED,
            dimensions=always({dimensions.REQUESTER: frozenset({dimensions.INDIVIDUAL, dimensions.STRANGER})}),
        ),
        answer=no_organisation,
        meaning="A natural person who acts for no organisation.",
        example="sector:other | no-organisation",
        clause=HOUSE,
    ),
    Word(
        name="organisation",
        columns=_PARTY,
        parameter=parameters.ORGANISATION,
        reads=replace(
            _UNFILED,
            dimensions=by_parameter(
                lambda name: {
                    dimensions.REQUESTER: frozenset({dimensions.UNFILED}),
                    dimensions.IDENTITY: frozenset({name}),
                }
            ),
        ),
        answer=is_organisation,
        meaning="The organisation judged is this one; unknown for a person whose employment was never filed.",
        example="organisation:alder-bank",
        clause=HOUSE,
    ),
    Word(
        name="gateway",
        columns=_PARTY,
        parameter=parameters.GATEWAY,
        reads=replace(_STATED, dimensions=by_parameter(lambda name: {dimensions.GATEWAY: frozenset({name})})),
        answer=by_gateway,
        meaning="The request came through this gateway.",
        example="gateway:main",
        clause=HOUSE,
    ),
    Word(
        name="sector",
        columns=_PARTY,
        parameter=parameters.SECTOR,
        reads=replace(_UNFILED, facts=own(Fact.SECTOR), dimensions=always({dimensions.SECTOR: None})),
        answer=sector,
        meaning="The organisation is of this sector.",
        example="sector:government",
        clause=HOUSE,
    ),
    Word(
        name="reseller",
        columns=_PARTY,
        parameter=None,
        reads=replace(_UNFILED, facts=own(Fact.RESELLER), dimensions=always({dimensions.RESELLER: None})),
        answer=reseller,
        meaning="The organisation resells access.",
        example="reseller & !end-user-named",
        clause=HOUSE,
    ),
    Word(
        name="end-user-named",
        columns=_PARTY,
        parameter=None,
        reads=_STATED,
        answer=end_user_named,
        meaning="The request names an end user behind the party; an end user cannot name another, so for one who"
        " resells the answer is no.",
        example="!end-user-named",
        clause=HOUSE,
    ),
    Word(
        name="acts-for-vendor",
        columns=_PARTY,
        parameter=None,
        reads=replace(_FILED, item=ItemPart.VENDOR, dimensions=_vendors),
        answer=acts_for_vendor,
        meaning="The organisation acting is the vendor of the model.",
        example="acts-for-vendor & employee",
        clause=HOUSE,
    ),
    Word(
        name="own-staff",
        columns=_PARTY,
        parameter=None,
        reads=_EMPLOYMENT,
        answer=own_staff,
        meaning="The organisation itself, an account or service of it with no person on file, or an employee; a"
        " contractor is not.",
        example="holds:us-order/exemption & own-staff",
        clause=HOUSE,
    ),
    Word(
        name="employee",
        columns=_PARTY,
        parameter=None,
        reads=_EMPLOYMENT,
        answer=employee,
        meaning="The natural person is an employee, not a contractor, of the organisation acting.",
        example="acts-for-vendor & employee",
        clause=HOUSE,
    ),
    Word(
        name="assertion-conflict",
        columns=_PARTY,
        parameter=None,
        reads=replace(_FILED, dimensions=always({dimensions.ASSERTION: None})),
        answer=assertion_conflict,
        meaning="The request asserts what the file contradicts.",
        example="assertion-conflict",
        clause=HOUSE,
    ),
    Word(
        name="member",
        columns=_PARTY,
        parameter=parameters.CONSORTIUM,
        reads=replace(_MEMBERSHIPS, obtainable=Fact.MEMBERSHIPS),
        answer=member,
        meaning="The organisation acting has an active membership of the consortium in force, and no row in force says"
        " otherwise.",
        example="member:glasswing",
        clause=HOUSE,
    ),
    Word(
        name="membership-never",
        columns=_PARTY,
        parameter=parameters.CONSORTIUM,
        reads=_MEMBERSHIPS,
        answer=membership_never,
        meaning="The organisation acting has no membership row, or only rows that begin later.",
        example="membership-never:glasswing",
        clause=HOUSE,
    ),
    Word(
        name="membership-ended",
        columns=_PARTY,
        parameter=parameters.CONSORTIUM,
        reads=_MEMBERSHIPS,
        answer=membership_ended,
        meaning="No membership row is in force, and one has ended.",
        example="membership-ended:glasswing",
        clause=HOUSE,
    ),
    Word(
        name="membership-suspended",
        columns=_PARTY,
        parameter=parameters.CONSORTIUM,
        reads=_MEMBERSHIPS,
        answer=membership_suspended,
        meaning="A membership row in force is suspended, whatever another one says.",
        example="membership-suspended:glasswing",
        clause=HOUSE,
    ),
    Word(
        name="pattern",
        columns=_PARTY,
        parameter=parameters.PATTERN_TEST,
        reads=replace(_FILED, facts=own(Fact.CLUSTER), dimensions=always({dimensions.CLUSTER: None})),
        answer=pattern,
        meaning="The account's cluster reaches every bound of the pattern at its last reading; a reading that is too"
        " old is unknown.",
        example="pattern:distillation",
        clause=HOUSE,
    ),
)
"""The words of this family, each with all that anybody asks about it."""
