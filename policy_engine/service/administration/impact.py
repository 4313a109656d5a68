"""What another book would change: recorded decisions judged again by the old and the new book, and standing access.

A recorded request is judged by both books at one instant: the one from which the new book is to be in force, or the
decision's own where that is later. So rows that are dated count the same for both, and what is compared is the book
alone. The facts are those that were known then, the members at the recorded revision, read at that instant; a fact that
nobody knew then stays open. How far the old book's answer at that instant differs from what was recorded is told
apart, as drift: it is the work of time, of a change of books since, or of freezes, and not of the new book.

Standing access asks, for everybody on file now and every model, whether an ordinary request would be allowed.

Reports have ids alone: no name of a person or an organisation.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from policy_engine.decision.conclude import conclude_alone
from policy_engine.domain.catalogue import Entry, ItemKind
from policy_engine.domain.facts import UNFILED, AssertedValueError, Party, Question, Role
from policy_engine.domain.instants import format_instant
from policy_engine.domain.request import Action, Caller, Place, Request, Subject, SubjectType
from policy_engine.domain.roster import Roster
from policy_engine.domain.rules import NO_GRANT_RULE
from policy_engine.domain.verdict import Verdict
from policy_engine.formats.record_reader import RecordedDecision, RecordFault, read_record
from policy_engine.policy.judge import Judge
from policy_engine.shapes.reports import (
    AsideDocument,
    ImpactDocument,
    ShareDocument,
    StandingAccessDocument,
    StandingDocument,
)

EXAMPLES: Final = 5
"""How many ids are told of each group."""

PROGRESS_EVERY: Final = 1000

MEMO_LIMIT: Final = 100_000
ROSTERS_HELD: Final = 4


class ImpactOutcome(StrEnum):
    """What the new book makes of a request, beside the old one. Each request has one, the first that fits.

    UNDETERMINED: the new book denies, for want of a fact that the old one did not stand on, and no bar on known facts
    decides beside it; with the fact on file the answer could be either. HOLD_CHANGED and REASON_CHANGED: the same
    decision with another hold, or with another rule or code as its reason.
    """

    UNDETERMINED = "undetermined"
    LOST = "allow_to_deny"
    GAINED = "deny_to_allow"
    HOLD_CHANGED = "hold_changed"
    REASON_CHANGED = "reason_changed"
    UNCHANGED = "unchanged"


def outcome_of(old: Verdict, new: Verdict) -> ImpactOutcome:
    """Which outcome two verdicts on one request make."""
    if not new.allowed and not set(new.missing) <= set(old.missing) and _stands_on_the_unknown(new):
        return ImpactOutcome.UNDETERMINED
    if old.allowed is not new.allowed:
        return ImpactOutcome.GAINED if new.allowed else ImpactOutcome.LOST
    if old.hold is not new.hold:
        return ImpactOutcome.HOLD_CHANGED
    if (old.reason.rule, old.reason_code) != (new.reason.rule, new.reason_code):
        return ImpactOutcome.REASON_CHANGED
    return ImpactOutcome.UNCHANGED


def _stands_on_the_unknown(verdict: Verdict) -> bool:
    return all(finding.missing or finding.rule == NO_GRANT_RULE for finding in verdict.deciding)


def as_json(impact: ImpactDocument) -> bytes:
    """As canonical JSON."""
    return _encoder.encode(impact)


_encoder: Final = msgspec.json.Encoder(order="sorted")


def _whole(counts: Mapping[ImpactOutcome, int]) -> dict[str, int]:
    return {str(outcome): counts.get(outcome, 0) for outcome in ImpactOutcome}


def changed(share: ShareDocument) -> int:
    """How many are not as they were."""
    return sum(share.outcomes.values()) - share.outcomes[ImpactOutcome.UNCHANGED]


# --- judging ----------------------------------------------------------------------------------------------------------

NO_ORGANISATION: Final = "(none)"
"""How a part reads that has no organisation."""
_UNKNOWN: Final = "(unknown)"
_DIMENSIONS: Final = (
    "organisation",
    "organisation_country",
    "citizenship_country",
    "place_country",
    "model",
    "action",
    "rule",
)
_Parts = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Tally:
    """Outcomes and examples as they come in, of the whole and of each part."""

    keep: int
    counts: Counter[ImpactOutcome] = field(default_factory=Counter)
    examples: defaultdict[ImpactOutcome, list[str]] = field(default_factory=lambda: defaultdict(list))
    parts: defaultdict[tuple[str, str], Counter[ImpactOutcome]] = field(default_factory=lambda: defaultdict(Counter))
    part_examples: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, outcome: ImpactOutcome, parts: _Parts, example: str) -> None:
        self.counts[outcome] += 1
        self._keep(self.examples[outcome], example)
        for part in parts:
            self.parts[part][outcome] += 1
            if outcome is not ImpactOutcome.UNCHANGED:
                self._keep(self.part_examples[part], example)

    def _keep(self, examples: list[str], example: str) -> None:
        if len(examples) < self.keep and example not in examples:
            examples.append(example)

    def shares(self) -> tuple[ShareDocument, ...]:
        """By dimension, the most changed first; the examples are ids of decisions, or of subjects on file."""
        found = [
            ShareDocument(
                dimension=name, value=value, outcomes=_whole(counts), examples=tuple(self.part_examples[name, value])
            )
            for (name, value), counts in self.parts.items()
        ]
        return tuple(sorted(found, key=lambda one: (_DIMENSIONS.index(one.dimension), -changed(one), one.value)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """A request judged by both books; `old` is what can be compared with a record."""

    outcome: ImpactOutcome
    parts: _Parts
    old: tuple[bool, bool, str, str]
    new: tuple[str, str]
    was_allowed: bool


def _compare(old: Judge, new: Judge, roster: Roster, request: Request, caller: Caller, at: datetime) -> _Compared:
    concluded = conclude_alone(request, caller, old, roster, at)
    before, after = concluded.verdict, conclude_alone(request, caller, new, roster, at).verdict
    return _Compared(
        outcome=outcome_of(before, after),
        parts=tuple(_parts(concluded.question, request, before, after)),
        old=(before.allowed, before.hold, before.reason.rule, before.reason_code),
        new=(after.reason.rule, after.reason_code),
        was_allowed=before.allowed,
    )


def _parts(question: Question | None, request: Request, before: Verdict, after: Verdict) -> Iterator[tuple[str, str]]:
    parties = () if question is None else question.parties
    judged = [party for party in parties if party.role is not Role.HOST]
    known = [_organisation(party) for party in judged]
    entry = None if question is None else question.entry
    for dimension, values in (
        ("organisation", {organisation for organisation, _ in known}),
        ("organisation_country", {country for _, country in known}),
        ("citizenship_country", {country for party in judged for country in _citizenships(party)}),
    ):
        for value in sorted(values):
            yield dimension, value
    yield "place_country", request.place.country or request.place.ip_country or _UNKNOWN
    yield "model", request.model if entry is None else entry.id
    yield "action", request.action.value
    # Where one book allows and the other denies, the bars of the one that denies are what makes the difference.
    telling = before if after.allowed and not before.allowed else after
    for rule in sorted({finding.rule for finding in telling.deciding}):
        yield "rule", rule


def _organisation(party: Party) -> tuple[str, str]:
    """Its id and its country: of its headquarters, else of its incorporation."""
    if not party.on_file:
        return _UNKNOWN, _UNKNOWN
    organisation = party.organisation
    if organisation is None:
        return NO_ORGANISATION, NO_ORGANISATION
    country = organisation.headquarters or organisation.incorporated or _UNKNOWN
    return _UNKNOWN if organisation.id == UNFILED.id else organisation.id, country


def _citizenships(party: Party) -> set[str]:
    if party.person is None:
        return {_UNKNOWN if party.person_unknown or not party.on_file else NO_ORGANISATION}
    rows = party.person.citizenships
    if rows is None:
        return {_UNKNOWN}
    return {row.country for row in rows if row.valid.holds(party.question.at)} or {NO_ORGANISATION}


# --- recorded decisions -----------------------------------------------------------------------------------------------

Progress = Callable[[str, int], None]
"""Told every so often what is judged, "decisions" or "standing access", and how many of these are done."""


def impact(
    new: Judge,
    old: Judge,
    records: Iterable[bytes],
    roster_at: Callable[[int], Roster],
    *,
    effective: datetime,
    roster_now: Roster,
    examples: int = EXAMPLES,
    progress: Progress | None = None,
) -> ImpactDocument:
    """What the new book changes beside the old one, from `effective` on.

    A decision with several parties, or several rules, is in one share for each. Not judged are records without a
    request, with one that would be refused now, or that cannot be read.

    `records` are bodies of decision records, read one at a time; `roster_at` gives the members at a revision. Both
    judges have the freezes that are to count. A request that comes again at the same revision is judged once.
    """
    told = progress or _silent
    tally = _Tally(examples)
    decisions = drifted = 0
    unjudged: list[str] = []
    drift_examples: list[str] = []
    not_judged = 0
    rosters = _Rosters(roster_at)
    memo: dict[object, _Compared] = {}
    for body in records:
        decisions += 1
        if decisions % PROGRESS_EVERY == 0:
            told("decisions", decisions)
        record = _read(body)
        compared = None if isinstance(record, str) else _once(memo, old, new, record, rosters, effective)
        if isinstance(record, str) or compared is None:
            not_judged += 1
            if len(unjudged) < examples:
                unjudged.append(record if isinstance(record, str) else record.id)
            continue
        tally.add(compared.outcome, compared.parts, record.id)
        if compared.old != (record.allowed, record.hold, record.reason_rule, record.reason_code):
            drifted += 1
            if len(drift_examples) < examples:
                drift_examples.append(record.id)
    told("decisions", decisions)
    return ImpactDocument(
        old=old.book.fingerprint,
        new=new.book.fingerprint,
        effective=format_instant(effective),
        membership_revision=roster_now.revision,
        decisions=decisions,
        outcomes=_whole(tally.counts),
        examples={
            str(one): () if one is ImpactOutcome.UNCHANGED else tuple(tally.examples[one]) for one in ImpactOutcome
        },
        not_judged=AsideDocument(count=not_judged, examples=tuple(unjudged)),
        drift=AsideDocument(count=drifted, examples=tuple(drift_examples)),
        shares=tally.shares(),
        standing_access=standing_access(new, old, roster_now, at=effective, examples=examples, progress=progress),
    )


def _silent(_: str, __: int) -> None:
    return None


def _read(body: bytes) -> RecordedDecision | str:
    try:
        return read_record(body)
    except RecordFault as error:
        return str(error)


@dataclass(slots=True)
class _Rosters:
    """The members at the last few revisions that were asked for; records come nearly in the order of revisions."""

    read: Callable[[int], Roster]
    held: dict[int, Roster] = field(default_factory=dict)

    def at(self, revision: int) -> Roster:
        roster = self.held.get(revision)
        if roster is None:
            if len(self.held) >= ROSTERS_HELD:
                del self.held[min(self.held)]
            roster = self.held[revision] = self.read(revision)
        return roster


def _once(
    memo: dict[object, _Compared],
    old: Judge,
    new: Judge,
    record: RecordedDecision,
    rosters: _Rosters,
    effective: datetime,
) -> _Compared | None:
    """The comparison, made once for what is the same question; `None` where there is no request to be judged."""
    if record.request is None:
        return None
    at = max(record.decided_at, effective)
    # What no verdict reads is left out of the key, so that a retry, another id or another key of a gateway is the same.
    asked = replace(record.request, request_id=None, min_revision=None, fallbacks=None)
    caller = replace(record.caller, id="", explain=False)
    key = (record.membership_revision, at, asked, caller)
    compared = memo.get(key)
    if compared is None:
        if len(memo) >= MEMO_LIMIT:
            memo.clear()
        roster = rosters.at(record.membership_revision)
        try:
            compared = _compare(old, new, roster, asked, caller, at)
        except AssertedValueError:
            # A request that would be refused now, under whichever book.
            return None
        memo[key] = compared
    return compared


# --- standing access --------------------------------------------------------------------------------------------------


def standing_access(
    new: Judge,
    old: Judge,
    roster: Roster,
    *,
    at: datetime,
    examples: int = EXAMPLES,
    progress: Progress | None = None,
) -> StandingAccessDocument:
    """Every person, for each organisation that they act for at the instant, and every account and service on file, for
    every model of either book: inference from where the organisation has its headquarters, for the first purpose that
    the model declares, or for none where it declares none."""
    told = progress or _silent
    models = {
        entry.id: entry
        for judge in (old, new)
        for entry in judge.book.tables.catalogue.entries.values()
        if entry.kind is ItemKind.MODEL
    }
    tally = _Tally(examples)
    changed: defaultdict[ImpactOutcome, list[StandingDocument]] = defaultdict(list)
    judged = 0
    for subject, organisation, acting_for, gateway in _on_file(roster, at):
        for _, entry in sorted(models.items()):
            request = _ordinary(roster, subject, organisation, acting_for, entry)
            compared = _compare(old, new, roster, request, Caller(id="", gateway=gateway), at)
            judged += 1
            if judged % PROGRESS_EVERY == 0:
                told("standing access", judged)
            name = f"{subject.type}:{subject.id}"
            tally.add(compared.outcome, tuple(part for part in compared.parts if part[0] in _STANDING), name)
            if compared.outcome in _CHANGES_ACCESS and (
                compared.was_allowed or compared.outcome is ImpactOutcome.GAINED
            ):
                rule, code = compared.new
                changed[compared.outcome].append(
                    StandingDocument(subject=name, organisation=organisation, model=entry.id, rule=rule, code=code)
                )
    told("standing access", judged)
    return StandingAccessDocument(
        judged=judged,
        outcomes=_whole(tally.counts),
        lost=tuple(changed[ImpactOutcome.LOST]),
        gained=tuple(changed[ImpactOutcome.GAINED]),
        undetermined=tuple(changed[ImpactOutcome.UNDETERMINED]),
        shares=tally.shares(),
    )


_CHANGES_ACCESS: Final = frozenset({ImpactOutcome.LOST, ImpactOutcome.GAINED, ImpactOutcome.UNDETERMINED})
_STANDING: Final = frozenset({"organisation", "organisation_country", "model"})


def _on_file(roster: Roster, at: datetime) -> Iterator[tuple[Subject, str | None, str | None, str | None]]:
    """Each subject with an organisation, the `acting_for` that says so, and the gateway."""
    for name, person in sorted(roster.people.items()):
        subject = Subject(type=SubjectType.PERSON, id=name)
        employers = sorted({row.organisation for row in person.employments or () if row.valid.holds(at)})
        for employer in employers:
            yield subject, employer, employer, None
        if not employers:
            yield subject, None, None, None
    for name, account in sorted(roster.accounts.items()):
        yield Subject(type=SubjectType(account.kind.value), id=name), account.organisation, None, account.gateway


def _ordinary(
    roster: Roster, subject: Subject, organisation: str | None, acting_for: str | None, entry: Entry
) -> Request:
    filed = None if organisation is None else roster.organisations.get(organisation)
    return Request(
        subject=subject,
        model=entry.id,
        action=Action.INFER,
        acting_for=acting_for,
        purpose=entry.purposes[0] if entry.purposes else None,
        place=Place(country=None if filed is None else filed.headquarters),
    )
