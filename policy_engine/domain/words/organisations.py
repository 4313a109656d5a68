"""Words about the organisation acting and the party as such: establishment, employment, consortium, cluster."""

from __future__ import annotations

from datetime import timedelta

from policy_engine.domain import logic
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
from policy_engine.domain.words.groups import places_in
from policy_engine.domain.words.items import item_of


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
    """Whether the request says who is behind the party; of an end user nobody can say that, so it is not said."""
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
