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
from policy_engine.domain.words.dimensions import Dimensions, always, by_parameter, countries
from policy_engine.domain.words.groups import TERRITORIES, places_in
from policy_engine.domain.words.items import item_of
from policy_engine.domain.words.word import HOUSE, PLAIN, Absent, Fact, ItemPart, Looks, own, word

_PARTY: Final = ("party",)
_UNFILED: Final = PLAIN
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


_GATEWAY: Final = replace(_STATED, dimensions=by_parameter(lambda name: {dimensions.GATEWAY: frozenset({name})}))
_SECTOR: Final = replace(_UNFILED, facts=own(Fact.SECTOR), dimensions=always({dimensions.SECTOR: None}))
_RESELLER: Final = replace(_UNFILED, facts=own(Fact.RESELLER), dimensions=always({dimensions.RESELLER: None}))
_ACTS_FOR_VENDOR: Final = replace(_FILED, item=ItemPart.VENDOR, dimensions=_vendors)
_PATTERN: Final = replace(_FILED, facts=own(Fact.CLUSTER), dimensions=always({dimensions.CLUSTER: None}))


@word(
    _PARTY,
    None,
    replace(
        _FILED,
        looks=Looks.AT_EXISTENCE,
        dimensions=always({dimensions.REQUESTER: frozenset({dimensions.STRANGER})}),
    ),
    HOUSE,
    example="!on-file",
)
def on_file(party: Party, _: str) -> Answer:
    """The subject, or the end user, is on file under its type."""
    return known(party.on_file)


@word(
    _PARTY,
    None,
    replace(_UNFILED, facts=own(Fact.INCORPORATED), dimensions=always({dimensions.INCORPORATED: dimensions.US})),
    TERRITORIES,
    example="foreign-person | foreign-organisation",
)
def foreign_organisation(party: Party, _: str) -> Answer:
    """The organisation acting, or the host, is not incorporated in the US or one of its territories."""
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


@word(
    _PARTY,
    parameters.PLACES,
    replace(
        _UNFILED,
        facts=own(Fact.INCORPORATED, Fact.HEADQUARTERS),
        dimensions=countries(dimensions.INCORPORATED, dimensions.HEADQUARTERS),
    ),
    HOUSE,
    example="established-in:CN",
)
def established_in(party: Party, parameter: str) -> Answer:
    """The organisation is incorporated or headquartered in one of these."""
    places = establishments(party.organisation)
    hits = tuple(name for name, country in places if country is not None and places_in(party, (country,), parameter))
    if hits:
        return yes(("established", hits))
    missing = [name for name, country in places if country is None]
    return unknown(*missing) if missing else NO


@word(
    _PARTY,
    None,
    replace(
        _UNFILED,
        dimensions=always({dimensions.REQUESTER: frozenset({dimensions.INDIVIDUAL, dimensions.STRANGER})}),
    ),
    HOUSE,
    example="sector:other | no-organisation",
)
def no_organisation(party: Party, _: str) -> Answer:
    """A natural person who acts for no organisation."""
    return known(party.organisation is None)


@word(
    _PARTY,
    parameters.ORGANISATION,
    replace(
        _UNFILED,
        dimensions=by_parameter(
            lambda name: {
                dimensions.REQUESTER: frozenset({dimensions.UNFILED}),
                dimensions.IDENTITY: frozenset({name}),
            }
        ),
    ),
    HOUSE,
    example="organisation:alder-bank",
)
def organisation(party: Party, parameter: str) -> Answer:
    """The organisation judged is this one; unknown for a person whose employment was never filed."""
    if party.organisation_id == UNFILED.id:
        return unknown("acting_for")
    return known(party.organisation_id == parameter)


@word(_PARTY, parameters.GATEWAY, _GATEWAY, HOUSE, example="gateway:main")
def gateway(party: Party, parameter: str) -> Answer:
    """The request came through this gateway."""
    return known(party.question.caller.gateway == parameter)


@word(_PARTY, parameters.SECTOR, _SECTOR, HOUSE, example="sector:government")
def sector(party: Party, parameter: str) -> Answer:
    """The organisation is of this sector."""
    if party.organisation is None:
        return NO
    if party.organisation.sector is None:
        return unknown("organisation.sector")
    return known(party.organisation.sector.value == parameter)


@word(_PARTY, None, _RESELLER, HOUSE, example="reseller & !end-user-named")
def reseller(party: Party, _: str) -> Answer:
    """The organisation resells access."""
    if party.organisation is None:
        return NO
    if party.organisation.reseller is None:
        return unknown("organisation.reseller")
    return known(party.organisation.reseller)


@word(_PARTY, None, _STATED, HOUSE, example="!end-user-named")
def end_user_named(party: Party, _: str) -> Answer:
    """The request names an end user behind the party; an end user cannot name another, so for one who resells the
    answer is no."""
    if party.role is Role.END_USER and party.question.edition >= Edition.DOUBTS:
        return NO
    return unknown("end_user") if party.question.request.end_user is None else YES


@word(_PARTY, None, _ACTS_FOR_VENDOR, HOUSE, example="acts-for-vendor & employee")
def acts_for_vendor(party: Party, _: str) -> Answer:
    """The organisation acting is the vendor of the model."""
    vendor = item_of(party).vendor
    return known(vendor is not None and party.organisation_id == vendor)


@word(_PARTY, None, _EMPLOYMENT, HOUSE, example="holds:us-order/exemption & own-staff")
def own_staff(party: Party, _: str) -> Answer:
    """The organisation itself, an account or service of it with no person on file, or an employee; a contractor is
    not."""
    if party.organisation is None:
        return NO
    return known(party.person is None or EmploymentKind.EMPLOYEE in party.employment)


@word(_PARTY, None, _EMPLOYMENT, HOUSE, example="acts-for-vendor & employee")
def employee(party: Party, _: str) -> Answer:
    """The natural person is an employee, not a contractor, of the organisation acting."""
    return known(party.person is not None and EmploymentKind.EMPLOYEE in party.employment)


@word(
    _PARTY, None, replace(_FILED, dimensions=always({dimensions.ASSERTION: None})), HOUSE, example="assertion-conflict"
)
def assertion_conflict(party: Party, _: str) -> Answer:
    """The request asserts what the file contradicts."""
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


@word(
    _PARTY, parameters.CONSORTIUM, replace(_MEMBERSHIPS, obtainable=Fact.MEMBERSHIPS), HOUSE, example="member:glasswing"
)
def member(party: Party, parameter: str) -> Answer:
    """The organisation acting has an active membership of the consortium in force, and no row in force says
    otherwise."""
    rows = memberships_in_force(memberships(party, parameter), party.question.at)
    active = any(row.status is MembershipStatus.ACTIVE for row in rows)
    return yes(("consortium", parameter)) if active else NO


@word(_PARTY, parameters.CONSORTIUM, _MEMBERSHIPS, HOUSE, example="membership-never:glasswing")
def membership_never(party: Party, parameter: str) -> Answer:
    """The organisation acting has no membership row, or only rows that begin later."""
    rows = memberships(party, parameter)
    at = party.question.at
    return known(not memberships_in_force(rows, at) and not any(row.valid.ended(at) for row in rows))


@word(_PARTY, parameters.CONSORTIUM, _MEMBERSHIPS, HOUSE, example="membership-ended:glasswing")
def membership_ended(party: Party, parameter: str) -> Answer:
    """No membership row is in force, and one has ended."""
    rows = memberships(party, parameter)
    at = party.question.at
    return known(not memberships_in_force(rows, at) and any(row.valid.ended(at) for row in rows))


@word(_PARTY, parameters.CONSORTIUM, _MEMBERSHIPS, HOUSE, example="membership-suspended:glasswing")
def membership_suspended(party: Party, parameter: str) -> Answer:
    """A membership row in force is suspended, whatever another one says."""
    rows = memberships_in_force(memberships(party, parameter), party.question.at)
    return known(any(row.status is MembershipStatus.SUSPENDED for row in rows))


def host_of(party: Party) -> Organisation | None:
    host = party.question.request.destination.host
    if host is None:
        return None
    return next((one.organisation for one in party.question.parties if one.role is Role.HOST), None)


@word(_PARTY, parameters.PATTERN_TEST, _PATTERN, HOUSE, example="pattern:distillation")
def pattern(party: Party, parameter: str) -> Answer:
    """The account's cluster reaches every bound of the pattern at its last reading; a reading that is too old is
    unknown."""
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
