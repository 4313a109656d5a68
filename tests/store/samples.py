"""Rows and records for the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from policy_engine.domain.decision import Record
from policy_engine.domain.instants import Validity
from policy_engine.domain.roster import (
    Account,
    AccountKind,
    Authorisation,
    AuthorisationKind,
    Citizenship,
    ClusterReading,
    Consortium,
    Draw,
    Employment,
    EmploymentKind,
    Listing,
    ListingStatus,
    Membership,
    MembershipStatus,
    Organisation,
    PermanentResidency,
    PersonEntry,
    RosterRows,
    Sector,
    Stake,
    Statement,
    StatementKind,
    UsStatus,
    UsStatusKind,
)
from policy_engine.domain.verdict import CapDraw as Place

AT = datetime(2026, 6, 20, 15, 0, 0, 123456, tzinfo=UTC)
EARLIER = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
SINCE_2020 = Validity(start=datetime(2020, 1, 1, tzinfo=UTC))
CLOSED = Validity(start=datetime(1965, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), end=AT)

FULL = RosterRows(
    organisations=(
        Organisation(
            id="alder-bank",
            name="Alder Bank „N.A.“ 银行",
            kind="company",
            incorporated="US",
            headquarters="US",
            contract_country="US",
            sector=Sector.CRITICAL_INFRASTRUCTURE,
            reseller=False,
            identifiers=(("lei", None), ("duns", "12'3\\\"4")),
            aliases=(),
            recorded_at=EARLIER,
        ),
        Organisation(id="unknown"),
    ),
    people=(
        PersonEntry(id="bob", permanent_residencies_filed=True, recorded_at=EARLIER),
        PersonEntry(id="alice", employments_filed=True, us_status_filed=True, citizenships_filed=True),
    ),
    employments=(
        Employment(person="alice", organisation="alder-bank", kind=EmploymentKind.CONTRACTOR, valid=SINCE_2020),
        Employment(person="alice", organisation="alder-bank", kind=EmploymentKind.EMPLOYEE, valid=CLOSED),
    ),
    us_statuses=tuple(UsStatus(person="alice", kind=kind, valid=SINCE_2020) for kind in UsStatusKind),
    citizenships=(Citizenship(person="alice", country="CN"), Citizenship(person="alice", country="US", valid=CLOSED)),
    permanent_residencies=(PermanentResidency(person="bob", country="FR", valid=CLOSED, recorded_at=EARLIER),),
    accounts=(
        Account(id="key-17", kind=AccountKind.ACCOUNT, organisation="alder-bank", gateway="main", cluster="c-9"),
        Account(id="svc-1", kind=AccountKind.SERVICE, organisation="alder-bank", person="alice"),
    ),
    consortia=(Consortium(id="glasswing", name="Project Glasswing"), Consortium(id="nameless")),
    memberships=(
        Membership(
            organisation="alder-bank", consortium="glasswing", status=MembershipStatus.SUSPENDED, valid=SINCE_2020
        ),
    ),
    stakes=(
        Stake(owner="cn-parent", owned="alder-bank", percent=Decimal("33.333333333333333333333333333333333")),
        Stake(owner="person:li", owned="alder-bank", percent=None, evidence="filing of 2024", valid=CLOSED),
    ),
    authorisations=(
        Authorisation(
            id="D-1",
            regime="us-ear",
            kind=AuthorisationKind.LICENCE,
            holder="alder-bank",
            models=("mythos-5", "fable-5"),
            actions=("release",),
            countries=(),
            named_users=50,
            conditions=("no re-export", "report § 7"),
            valid=SINCE_2020,
        ),
        Authorisation(
            id="D-2", regime="us-itar", kind=AuthorisationKind.EXEMPTION, holder="alder-bank", models=(), actions=()
        ),
    ),
    draws=(Draw(authorisation="D-1", person="alice", at=EARLIER),),
    listings=(
        Listing(
            party="person:li",
            list="EL",
            entry="Beijing Zhipu Huazhang Technology Co., Ltd.",
            entry_version="2025-01-16",
            reference="90 FR 4617",
            status=ListingStatus.CLEARED,
            cleared_version="2025-01-16",
            valid=SINCE_2020,
        ),
        Listing(
            party="zhipu", list="SDN", entry=None, entry_version=None, reference=None, status=ListingStatus.POTENTIAL
        ),
    ),
    statements=tuple(Statement(organisation="alder-bank", kind=kind, valid=SINCE_2020) for kind in StatementKind),
    clusters=(
        ClusterReading(
            id="c-9", shared=("payment", "proxy_asn"), accounts=600, exchanges_24h=4_100_000_000, as_of=EARLIER
        ),
        ClusterReading(id="c-9", shared=None, accounts=None, exchanges_24h=None, as_of=AT),
    ),
)


def capped(seats: int | None, *, id: str = "D-1", recorded_at: datetime | None = None) -> RosterRows:  # noqa: A002
    """An authorisation with so many places."""
    return RosterRows(
        authorisations=(
            Authorisation(
                id=id,
                regime="us-ear",
                kind=AuthorisationKind.LICENCE,
                holder="alder-bank",
                models=("mythos-5",),
                actions=("infer",),
                named_users=seats,
                valid=SINCE_2020,
                recorded_at=recorded_at,
            ),
        )
    )


def record(
    id: str,  # noqa: A002
    *,
    epoch: int = 0,
    request_id: str | None = None,
    digest: str = "d1",
    caller: str = "gateway",
    at: datetime = AT,
    lasts: float = 30.0,
    draws: tuple[tuple[str, str], ...] = (),
) -> Record:
    """An allow that may be reused for `lasts` seconds."""
    return Record(
        id=id,
        body=f'{{"decision_id":"{id}"}}'.encode(),
        decided_at=at,
        valid_until=at + timedelta(seconds=lasts),
        allowed=True,
        hold=False,
        caller=caller,
        request_id=request_id,
        request_digest=digest,
        control_epoch=epoch,
        draws=tuple(Place(authorisation=authorisation, person=person) for authorisation, person in draws),
    )
