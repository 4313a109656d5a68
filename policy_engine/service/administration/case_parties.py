"""Whom a held decision was about: the only ones about whom its release may put something on file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from policy_engine.domain.request import SubjectType
from policy_engine.domain.roster import (
    PERSON_PREFIX,
    Authorisation,
    Citizenship,
    Employment,
    Listing,
    Membership,
    Organisation,
    PermanentResidency,
    PersonEntry,
    Recorded,
    Roster,
    RosterRows,
    Stake,
    Statement,
    UsStatus,
)
from policy_engine.formats.record_reader import RecordedDecision
from policy_engine.formats.roster_rows import each_row

STRANGER: Final = "leave it out: rows about anybody else are changed with `members import`"
_SHARE: Final = "ownership.share:"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseParties:
    """The organisations and persons, by id, that were judged, and the shares (owner, owned) that nobody knew."""

    organisations: frozenset[str]
    persons: frozenset[str]
    shares: frozenset[tuple[str, str]]

    def strangers(self, rows: RosterRows) -> tuple[Recorded, ...]:
        """The rows that are about somebody else, or of a kind that releases nothing."""
        return tuple(row for row in each_row(rows) if not self._has(row))

    def _has(self, row: Recorded) -> bool:
        match row:
            case Authorisation():
                has = row.holder in self.organisations
            case Listing():
                has = self._is_party(row.party)
            case Statement() | Membership():
                has = row.organisation in self.organisations
            case Stake():
                has = row.owned in self.organisations or (row.owner, row.owned) in self.shares
            case Organisation():
                has = row.id in self.organisations
            case PersonEntry():
                has = row.id in self.persons
            case Employment():
                has = row.person in self.persons and row.organisation in self.organisations
            case UsStatus() | Citizenship() | PermanentResidency():
                has = row.person in self.persons
            case _:
                has = False
        return has

    def _is_party(self, name: str) -> bool:
        if name.startswith(PERSON_PREFIX):
            return name.removeprefix(PERSON_PREFIX) in self.persons
        return name in self.organisations


def parties_of(decision: RecordedDecision, roster: Roster) -> CaseParties:
    """The parties of a held decision; of an account or service the person that it stands for, too.

    A record that was shortened tells of no party: then they are the subject of the request and whom it acts for.
    """
    organisations = {party.organisation for party in decision.parties if party.organisation is not None}
    subjects = {party.subject for party in decision.parties if party.subject is not None}
    request = decision.request
    if decision.shortened and request is not None:
        subjects.add(f"{request.subject.type}:{request.subject.id}")
        organisations |= set() if request.acting_for is None else {request.acting_for}
    persons: set[str] = set()
    for subject in subjects:
        kind, _, name = subject.partition(":")
        if kind == SubjectType.PERSON:
            persons.add(name)
        elif kind == SubjectType.ORGANISATION:
            organisations.add(name)
        elif (account := roster.accounts.get(name)) is not None and account.person is not None:
            persons.add(account.person)
    shares: set[tuple[str, str]] = set()
    for fact in decision.missing:
        owner, separator, owned = fact.removeprefix(_SHARE).rpartition(">")
        if fact.startswith(_SHARE) and separator:
            shares.add((owner, owned))
    return CaseParties(
        organisations=frozenset(organisations),
        persons=frozenset(persons),
        shares=frozenset(shares),
    )
