"""From a profile to the facts that it stands for: a roster and a request, as concrete as any other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from policy_engine.analysis.dimensions import ORGANISED, PEOPLE, Profile
from policy_engine.analysis.profiles import ClusterProfile
from policy_engine.domain.catalogue import Entry
from policy_engine.domain.instants import Validity
from policy_engine.domain.request import Action, Caller, Destination, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Consortium,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PersonEntry,
    RosterRows,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.words import dimensions

PERSON_ID: Final = "person-1"
ORGANISATION_ID: Final = "organisation-1"
OWNER_ID: Final = "owner-1"
ACCOUNT_ID: Final = "account-1"
CLUSTER_ID: Final = "cluster-1"
ELSEWHERE_ID: Final = "organisation-2"
CALLER_ID: Final = "analysis"

_VERSION: Final = "2"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleAsked:
    """What is asked for, as a catalogue knows it, and when. `readings` are those that a cluster may have."""

    model: str
    entry: Entry | None
    action: Action
    at: datetime
    readings: Mapping[str, ClusterProfile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """A roster's rows and a request, and the gateway that it came through."""

    rows: RosterRows
    request: Request
    gateway: str | None

    @property
    def caller(self) -> Caller:
        """Who asks: may assert nothing, and is not told of remedies."""
        return caller_through(self.gateway)


def caller_through(gateway: str | None) -> Caller:
    """Whoever asks through a gateway."""
    return Caller(id=CALLER_ID, gateway=gateway)


def _country(value: str) -> str | None:
    return None if value in (dimensions.UNKNOWN, dimensions.NOT_APPLICABLE) else value


def facts_of(profile: Profile, asked: ExampleAsked) -> Facts:
    """The facts that the profile stands for, when this is asked."""
    return Facts(rows=rows_of(profile, asked), request=request_of(profile, asked), gateway=gateway_of(profile))


REQUEST_AXES: Final = frozenset(
    {
        dimensions.PLACE,
        dimensions.PART,
        dimensions.ADDRESS,
        dimensions.DESTINATION,
        dimensions.PURPOSE,
        dimensions.CLAIM,
        dimensions.ASSERTION,
        dimensions.GATEWAY,
    }
)
"""Axes that are stated with the request; the roster is the same whatever they are."""


def gateway_of(profile: Profile) -> str | None:
    """The gateway that the request comes through, if a rule names it."""
    gateway = profile[dimensions.GATEWAY]
    return None if gateway == dimensions.NONE else gateway


def _organisation_id(profile: Profile) -> str:
    identity = profile[dimensions.IDENTITY]
    return ORGANISATION_ID if identity in (dimensions.OTHER, dimensions.NOT_APPLICABLE) else identity


def rows_of(profile: Profile, asked: ExampleAsked) -> RosterRows:
    """What is on file."""
    requester = profile[dimensions.REQUESTER]
    organisation = _organisation_id(profile)
    past = Validity(end=asked.at)
    organised = requester in ORGANISED
    organisations = [_organisation(organisation, profile)] if organised else []
    stakes: tuple[Stake, ...] = ()
    named = _named(profile)
    listings = _listings(named[dimensions.LISTING], organisation)
    if profile[dimensions.SHARE] not in (dimensions.NONE, dimensions.NOT_APPLICABLE):
        share = profile[dimensions.SHARE]
        percent = None if share == dimensions.UNKNOWN else Decimal(share)
        stakes = (Stake(owner=OWNER_ID, owned=organisation, percent=percent),)
        home = _country(profile[dimensions.OWNER_HOME])
        organisations.append(Organisation(id=OWNER_ID, incorporated=home, headquarters=home))
        if profile[dimensions.OWNER_LIST] != dimensions.NONE:
            listings.append(_listing(OWNER_ID, profile[dimensions.OWNER_LIST], "confirmed"))
    people = requester in PEOPLE
    clustered = profile[dimensions.CLUSTER] != dimensions.NONE
    return RosterRows(
        organisations=tuple(organisations),
        people=(_person(profile),) if people else (),
        employments=_employments(requester, organisation),
        us_statuses=_us_statuses(profile),
        citizenships=_citizenships(profile, asked.at),
        accounts=_accounts(requester, organisation, clustered=clustered)
        if clustered or requester == dimensions.ACCOUNT
        else (),
        consortia=tuple(Consortium(id=name) for name in named[dimensions.MEMBERSHIP]),
        memberships=tuple(
            Membership(
                organisation=organisation,
                consortium=name,
                status=MembershipStatus.SUSPENDED if value == "suspended" else MembershipStatus.ACTIVE,
                valid=past if value == "ended" else Validity(),
            )
            for name, value in named[dimensions.MEMBERSHIP].items()
        ),
        stakes=stakes,
        authorisations=tuple(
            Authorisation(
                id=f"paper-{name}",
                regime=name.partition("/")[0],
                kind=AuthorisationKind(name.partition("/")[2]),
                holder=organisation,
                models=(asked.model,),
                actions=(asked.action.value,),
                named_users=0 if value == "full" else None,
                valid=past if value == "ended" else Validity(),
            )
            for name, value in named[dimensions.AUTHORISATION].items()
        ),
        listings=tuple(listings),
        statements=tuple(
            Statement(organisation=organisation, kind=StatementKind(name)) for name in named[dimensions.STATEMENT]
        ),
        clusters=(_reading(profile, asked),) if clustered else (),
    )


def _named(profile: Profile) -> Mapping[str, Mapping[str, str]]:
    """What is on file of what a rule names, by the prefix of the axes and then by name."""
    found: dict[str, dict[str, str]] = {
        prefix: {}
        for prefix in (dimensions.LISTING, dimensions.MEMBERSHIP, dimensions.STATEMENT, dimensions.AUTHORISATION)
    }
    for name, value in profile.items():
        if value != dimensions.NONE and ":" in name:
            prefix, _, parameter = name.partition(":")
            found[f"{prefix}:"][parameter] = value
    return found


def _organisation(name: str, profile: Profile) -> Organisation:
    sector = profile[dimensions.SECTOR]
    return Organisation(
        id=name,
        incorporated=_country(profile[dimensions.INCORPORATED]),
        headquarters=_country(profile[dimensions.HEADQUARTERS]),
        sector=None if sector == dimensions.UNKNOWN else Sector(sector),
        reseller={"yes": True, "no": False}.get(profile[dimensions.RESELLER]),
    )


def _person(profile: Profile) -> PersonEntry:
    return PersonEntry(
        id=PERSON_ID,
        employments_filed=profile[dimensions.REQUESTER] != dimensions.UNFILED,
        us_status_filed=profile[dimensions.US_STATUS] != dimensions.UNKNOWN,
        citizenships_filed=profile[dimensions.CITIZENSHIP] != dimensions.UNKNOWN,
        permanent_residencies_filed=True,
    )


def _employments(requester: str, organisation: str) -> tuple[Employment, ...]:
    kinds = {dimensions.EMPLOYEE: EmploymentKind.EMPLOYEE, dimensions.CONTRACTOR: EmploymentKind.CONTRACTOR}
    kind = kinds.get(requester)
    return () if kind is None else (Employment(person=PERSON_ID, organisation=organisation, kind=kind),)


def _us_statuses(profile: Profile) -> tuple[UsStatus, ...]:
    match profile[dimensions.US_STATUS]:
        case "us":
            citizen = profile[dimensions.CITIZENSHIP] == "US"
            kind = UsStatusKind.CITIZEN if citizen else UsStatusKind.LAWFUL_PERMANENT_RESIDENT
        case "foreign":
            kind = UsStatusKind.NONE
        case _:
            return ()
    return (UsStatus(person=PERSON_ID, kind=kind),)


_HELD_FROM: Final = datetime.fromisoformat("1990-01-01T00:00:00+00:00")


def _citizenships(profile: Profile, at: datetime) -> tuple[Citizenship, ...]:
    held = _country(profile[dimensions.CITIZENSHIP])
    if held is None:
        return ()
    change = min(_HELD_FROM, at)
    rows = [Citizenship(person=PERSON_ID, country=held, valid=Validity(start=change))]
    if profile[dimensions.EARLIER] not in (dimensions.NONE, dimensions.NOT_APPLICABLE):
        rows.append(Citizenship(person=PERSON_ID, country=profile[dimensions.EARLIER], valid=Validity(end=change)))
    return tuple(rows)


def _accounts(requester: str, organisation: str, *, clustered: bool) -> tuple[Account, ...]:
    person = None if requester == dimensions.ACCOUNT else PERSON_ID
    cluster = CLUSTER_ID if clustered else None
    account = Account(
        id=ACCOUNT_ID, kind=AccountKind.ACCOUNT, organisation=organisation, person=person, cluster=cluster
    )
    return (account,)


def _listings(held: Mapping[str, str], organisation: str) -> list[Listing]:
    rows = []
    for name, value in held.items():
        whose, _, status = value.partition(" ")
        party = organisation if whose == "organisation" else PERSON_PREFIX + PERSON_ID
        rows.append(_listing(party, name, status))
    return rows


def _listing(party: str, name: str, status: str) -> Listing:
    cleared = {"cleared": _VERSION, "outdated": "1"}.get(status)
    return Listing(
        party=party,
        list=name,
        entry="an entry",
        entry_version=_VERSION,
        reference=None,
        status=ListingStatus.CLEARED if cleared is not None else ListingStatus(status),
        cleared_version=cleared,
    )


def _reading(profile: Profile, asked: ExampleAsked) -> ClusterReading:
    reading = asked.readings[profile[dimensions.CLUSTER]]
    return ClusterReading(
        id=CLUSTER_ID,
        shared=tuple(f"trait-{number}" for number in range(reading.shared)),
        accounts=reading.accounts,
        exchanges_24h=reading.exchanges_24h,
        as_of=asked.at - timedelta(hours=reading.age_hours),
    )


def request_of(profile: Profile, asked: ExampleAsked) -> Request:
    """What is asked, and what is stated with it."""
    requester = profile[dimensions.REQUESTER]
    if profile[dimensions.CLUSTER] != dimensions.NONE or requester == dimensions.ACCOUNT:
        subject = Subject(type=SubjectType.ACCOUNT, id=ACCOUNT_ID)
    elif requester == dimensions.ORGANISATION:
        subject = Subject(type=SubjectType.ORGANISATION, id=_organisation_id(profile))
    else:
        subject = Subject(type=SubjectType.PERSON, id=PERSON_ID)
    part = profile[dimensions.PART]
    purpose, claim = profile[dimensions.PURPOSE], profile[dimensions.CLAIM]
    return Request(
        subject=subject,
        model=asked.model,
        action=asked.action,
        acting_for=ELSEWHERE_ID if profile[dimensions.ASSERTION] == "conflicting" else None,
        purpose=None if purpose == dimensions.NONE else purpose,
        place=Place(
            country=_country(profile[dimensions.PLACE]),
            subdivision=None if part == dimensions.NONE else part,
            ip_country=_country(profile[dimensions.ADDRESS]),
        ),
        destination=Destination(country=_country(profile[dimensions.DESTINATION])),
        exception=None if claim == dimensions.NONE else claim,
    )
