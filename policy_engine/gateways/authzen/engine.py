"""The engine as a world of the Authorization API: subjects and models on file, judged by the rule book in force.

    subject.type   person, organisation, account, service; `properties` are what the caller asserts of it
    resource.type  ai_model, by an id of the catalogue or an alias of the gateway
    action.name    infer, list, embed, ...; all but `licence_determination`, whose allow gives no access
    context        country, subdivision, postcode, ip_country, purpose, acting_for, end_user {type, id}

The place and the purpose may come from the gateway's profile as well; where both say something they must say the same.
Every evaluation is recorded before it is answered. A search judges and records nothing: what it finds is asked for by
an evaluation of its own.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from policy_engine.app.builder import Parts
from policy_engine.decision.conclude import conclude_alone
from policy_engine.domain.facts import ASSERTABLE, AssertedValueError
from policy_engine.domain.gateways import Doubt, Message, Profile, agreed_place, agreed_text, stated
from policy_engine.domain.request import Action, BatchItem, Caller, Place, Semantic, SubjectType, Submitted
from policy_engine.domain.roster import AccountKind, Roster
from policy_engine.formats.request_document import MalformedRequest, request_digest, submitted_of
from policy_engine.gateways.asking import Told, told_of
from policy_engine.gateways.authzen.questions import (
    ActionNamed,
    Entity,
    Evaluation,
    Item,
    Refused,
    Search,
    Searched,
)
from policy_engine.gateways.authzen.world import Evaluated, Found
from policy_engine.policy.judge import Judge
from policy_engine.service.gate.gate import require_one_model
from policy_engine.service.gate.keyring import Bearer

RESOURCE: Final = "ai_model"
ACTIONS: Final = tuple(one.value for one in Action if one is not Action.LICENCE_DETERMINATION)

MOST_LOOKED_AT: Final = 2_000
"""So many candidates are judged for one page of a search; where there are more, the page says where to go on."""

_PLACES: Final = ("country", "subdivision", "postcode", "ip_country")


@dataclass(frozen=True, slots=True)
class EngineWorld:
    """The engine for one caller, whose `bearer` has the fingerprint of the `profile`. `message` is the head of its
    request, out of which the profile may state things."""

    parts: Parts
    bearer: Bearer
    profile: Profile | None
    message: Message

    async def evaluate(self, items: Sequence[Item], semantic: Semantic) -> tuple[Evaluated, ...]:
        """The recorded decisions of the items."""
        asked = tuple(map(self._item, items))
        pools = self.parts.pools
        first = asked[0].submitted
        if len(asked) == 1 and first is not None:
            try:
                reply = await self.parts.gate.decide(first, self.bearer, pools.decisions)
            except MalformedRequest as error:
                asked = (BatchItem(digest=asked[0].digest, fault=str(error)),)
            else:
                return (_decision(told_of(reply.answer)),)
        batch = await self.parts.gate.decide_batch(asked, semantic, self.bearer, pools.batches)
        faults = [one.fault or None for one in asked]
        return tuple(
            _decision(replace(told_of(answer), fault=fault))
            for answer, fault in zip(batch.answers, faults, strict=False)
        )

    async def search(self, search: Search, *, after: str | None, limit: int | None) -> Found:
        """Those for which the rules in force say allow, now."""
        return await self.parts.pools.simulations.run(self._search, search, after, limit)

    # --- questions ----------------------------------------------------------------------------------------------------

    def _item(self, item: Item) -> BatchItem:
        if isinstance(item, Refused):
            return BatchItem(digest=request_digest({"item": None}), fault=item.fault)
        sent = request_digest({"item": _sent(item)})
        try:
            submitted = self._submitted(item)
        except (Doubt, MalformedRequest) as error:
            return BatchItem(digest=sent, fault=str(error))
        return BatchItem(digest=sent, submitted=submitted)

    def _submitted(self, asked: Evaluation) -> Submitted:
        """The question as one of the engine's. Raises `Doubt` and `MalformedRequest`."""
        if asked.resource.type != RESOURCE:
            raise Doubt(f"a resource of this type is not known here: `{RESOURCE}` is")
        if asked.action.name not in ACTIONS:
            raise Doubt(f"an action of this name is not known here: {', '.join(ACTIONS)} are")
        if asked.subject.type not in tuple(SubjectType):
            raise Doubt(f"a subject of this type is not known here: {', '.join(SubjectType)} are")
        context = asked.context
        purpose, place = _text(context, "purpose"), Place(**{name: _text(context, name) for name in _PLACES})
        aliases: Mapping[str, str] = {}
        if self.profile is not None:
            elsewhere, filed = stated(self.message, self.profile)
            place, purpose = agreed_place(place, elsewhere), agreed_text(purpose, filed, "purpose")
            aliases = self.profile.aliases
        name = asked.resource.id or ""
        submitted = submitted_of(
            {
                "subject": _subject(asked.subject),
                "model": aliases.get(name, name),
                "action": asked.action.name,
                "purpose": purpose,
                "place": {one: getattr(place, one) for one in (*_PLACES, "ip")},
                "acting_for": _text(context, "acting_for"),
                "end_user": context.get("end_user"),
            }
        )
        return replace(submitted, called=(name,))

    # --- searches -----------------------------------------------------------------------------------------------------

    def _search(self, search: Search, after: str | None, limit: int | None) -> Found:
        # Nothing is committed here that would find older members out.
        ground = self.parts.gate.view.refresh()
        at = ground.instant(self.parts.desk.clock())
        judge, caller = ground.judge_at(at), self.bearer.caller(ground)
        found: list[str] = []
        last = None
        for looked_at, name in enumerate(_candidates(search, ground.roster, judge, after)):
            if looked_at >= MOST_LOOKED_AT or (limit is not None and len(found) >= limit):
                return Found(names=tuple(found), next_place=last if last is not None else after)
            supposed = self._supposed(search, name)
            if supposed is not None and judge is not None and _is_allowed(supposed, caller, judge, ground.roster, at):
                found.append(name)
            last = name
        return Found(names=tuple(found), next_place=None)

    def _supposed(self, search: Search, name: str) -> Submitted | None:
        """The question in which a candidate takes the place of what is searched for; `None` where it is none."""
        subject, resource, action = search.subject, search.resource, search.action
        match search.searched:
            case Searched.SUBJECT:
                subject = replace(subject, id=name)
            case Searched.RESOURCE:
                resource = replace(resource, id=name)
        asked = Evaluation(
            subject=subject, resource=resource, action=action or ActionNamed(name=name), context=search.context
        )
        try:
            return self._submitted(asked)
        except (Doubt, MalformedRequest):
            return None


def _is_allowed(supposed: Submitted, caller: Caller, judge: Judge, roster: Roster, at: datetime) -> bool:
    try:
        require_one_model(supposed, caller, judge)
        return conclude_alone(supposed.request, caller, judge, roster, at).verdict.allowed
    except (AssertedValueError, MalformedRequest):
        return False


def _candidates(search: Search, roster: Roster, judge: Judge | None, after: str | None) -> Iterator[str]:
    """Everything that could be found, in the order of its name, after a place."""
    if judge is None:
        return iter(())
    match search.searched:
        case Searched.ACTION:
            names: Sequence[str] = sorted(ACTIONS)
        case Searched.RESOURCE:
            names = sorted(judge.book.tables.catalogue.entries) if search.resource.type == RESOURCE else ()
        case _:
            names = _subjects(search.subject.type, roster)
    return iter(names[0 if after is None else bisect_right(names, after) :])


def _subjects(kind: str, roster: Roster) -> Sequence[str]:
    match kind:
        case SubjectType.PERSON:
            return sorted(roster.people)
        case SubjectType.ORGANISATION:
            return sorted(roster.organisations)
        case SubjectType.ACCOUNT | SubjectType.SERVICE:
            wanted = AccountKind(kind)
            return sorted(name for name, account in roster.accounts.items() if account.kind is wanted)
        case _:
            return ()


# --- entities ---------------------------------------------------------------------------------------------------------


def _subject(entity: Entity) -> Mapping[str, object]:
    """The subject as `POST /decide` has it. Of its properties those are passed on that could be asserted at all; which
    count is the key's list to say."""
    asserted = {name: value for name, value in entity.properties.items() if name in ASSERTABLE and _is_assertion(value)}
    return {"type": entity.type, "id": entity.id, "properties": asserted}


def _is_assertion(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(one, str) for one in value))


def _text(context: Mapping[str, object], name: str) -> str | None:
    value = context.get(name)
    if value is not None and not isinstance(value, str):
        raise Doubt(f"`context.{name}` is not a text")
    return value


def _sent(asked: Evaluation) -> Sequence[object]:
    """What the record of an item that is no question has a digest of."""
    subject, resource = asked.subject, asked.resource
    return [
        [subject.type, subject.id, subject.properties],
        [asked.action.name, asked.action.properties],
        [resource.type, resource.id, resource.properties],
        asked.context,
    ]


def _decision(told: Told) -> Evaluated:
    """What the caller is told beside the decision: its id for the record, and until when it may be reused."""
    context: dict[str, object] = {"reason": told.code, "reason_user": {"en": told.message}}
    if told.decision_id is not None:
        context["evaluation_id"] = told.decision_id
    if told.allowed and told.valid_until is not None:
        context["expires_at"] = told.valid_until
    if told.obligations:
        context["obligations"] = [{"id": name} for name in told.obligations]
    if told.fault is not None:
        context["error"] = {"status": 400, "message": told.fault}
    return Evaluated(decision=told.allowed, context=context)
