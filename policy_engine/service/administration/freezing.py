"""The emergency stop: one person declares a freeze, two lift it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from policy_engine.domain.changes import Actor, FreezeDeclared, FreezeLiftAsked, FreezeLifted
from policy_engine.domain.countries import COUNTRIES
from policy_engine.domain.desk import FreezeState
from policy_engine.domain.freezes import FREEZE_PREFIX, Freeze, FreezeScope
from policy_engine.formats.faults import Findings, one_of, quoted
from policy_engine.service.administration.desk import Administration, Proposed, person_of, require_words
from policy_engine.service.administration.desk_faults import DeskConflict, NotAccepted, NothingThere, SecondPersonNeeded
from policy_engine.service.gate.snapshot import Ground

SOURCE: Final = "freeze"


def declare_freeze(
    desk: Administration,
    actor: Actor,
    scope: FreezeScope,
    *,
    authority: str,
    reason: str,
    until: datetime | None = None,
) -> FreezeState:
    """Freeze the scope at once, until an instant or until it is lifted.

    Once this has returned no allow under it commits anywhere. Raises `PersonNeeded` and `NotAccepted`.
    """
    person_of(actor)
    if not authority.strip() or not reason.strip():
        raise NotAccepted("a freeze needs an authority and a reason")
    if scope.everything == scope.stated:
        raise NotAccepted("say what is frozen: models, countries, organisations, gateways, or `all` for everything")
    name = FREEZE_PREFIX + desk.new_id(desk.clock())

    def make(ground: Ground, at: datetime) -> Proposed:
        _refuse_unknown(scope, ground, at)
        if until is not None and until <= at:
            raise NotAccepted("a freeze has to end in the future")
        freeze = Freeze(id=name, scope=scope, authority=authority, reason=reason, start=at, until=until)
        return Proposed(event=FreezeDeclared(freeze=freeze))

    desk.act(actor, make)
    return desk.view.current().desk.freezes[name]


def lift_freeze(desk: Administration, actor: Actor, freeze: str, *, reason: str = "") -> FreezeState:
    """Ask to lift a freeze, which needs a reason, or, as the second person, lift it.

    Raises `PersonNeeded`, `NothingThere`, `DeskConflict` for one that is lifted already, `SecondPersonNeeded` when the
    one who asked asks again, and `NotAccepted` without a reason.
    """
    person = person_of(actor)

    def make(ground: Ground, _: datetime) -> Proposed:
        held = ground.desk.freezes.get(freeze)
        if held is None:
            raise NothingThere(f"there is no freeze {quoted(freeze)}")
        if held.lifted_at is not None:
            raise DeskConflict(f"freeze {quoted(freeze)} is lifted already")
        if held.lift_asked_by is None:
            require_words(reason, "lifting a freeze needs a reason")
            return Proposed(event=FreezeLiftAsked(freeze=freeze, reason=reason))
        asked_by = person_of(held.lift_asked_by)
        if asked_by == person:
            raise SecondPersonNeeded(
                f"{quoted(person)} asked to lift {quoted(freeze)}: another person has to confirm it"
            )
        said = reason if reason.strip() else held.lift_reason or ""
        return Proposed(event=FreezeLifted(freeze=freeze, reason=said, asked_by=asked_by))

    desk.act(actor, make)
    return desk.view.current().desk.freezes[freeze]


def _refuse_unknown(scope: FreezeScope, ground: Ground, at: datetime) -> None:
    """A name that nothing has would freeze nothing, and nobody would notice."""
    findings = Findings(source=SOURCE)
    judge = ground.judge_at(at)
    entries = {} if judge is None else judge.book.tables.catalogue.entries
    gateways = {key.gateway for key in ground.keys.values() if key.gateway is not None}
    gateways |= {gateway for entry in entries.values() for gateway, _ in entry.aliases}
    for what, names, known in (
        ("model in the catalogue", scope.models, frozenset(entries)),
        ("country code", scope.countries, frozenset(COUNTRIES)),
        ("organisation on file", scope.organisations, frozenset(ground.roster.organisations)),
        ("gateway of a key in force or of the catalogue's aliases", scope.gateways, frozenset(gateways)),
    ):
        for name in names:
            if name not in known:
                findings.add(1, 1, f"there is no {what} {quoted(name)}", one_of(name, tuple(sorted(known))))
    if findings.faults:
        raise NotAccepted("the freeze would miss what it is meant for", tuple(findings.faults))
