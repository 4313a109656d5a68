"""Subjects and resources with their attributes, and the rules about them."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import casbin

from policy_engine.domain.request import Semantic
from policy_engine.gateways.authzen.questions import ActionNamed, Entity, Evaluation, Item, Refused, Search, Searched
from policy_engine.gateways.authzen.world import Evaluated, Found

HERE: Final = Path(__file__).parent
OVERRIDING: Final = frozenset({"role", "department", "status", "owner", "ownerID", "soft"})
"""Properties of a request that count, before what is on file. Another one is passed over."""


class Attributes:
    """What is known of a subject, a resource or an action; what is not is an empty text."""

    def __init__(self, held: Mapping[str, str]) -> None:
        self._held = held

    def __getattr__(self, name: str) -> str:
        return self._held.get(name, "")


def read_table(name: str) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """The rows of a CSV file, by type and id."""
    with (HERE / name).open(encoding="utf-8", newline="") as lines:
        return {(row["type"], row["id"]): row for row in csv.DictReader(lines)}


@dataclass(frozen=True, slots=True)
class ExampleWorld:
    """The rules over the tables."""

    subjects: Mapping[tuple[str, str], Mapping[str, str]]
    resources: Mapping[tuple[str, str], Mapping[str, str]]
    rules: casbin.Enforcer

    @staticmethod
    def read() -> ExampleWorld:
        """The world in the files beside this one."""
        rules = casbin.Enforcer(str(HERE / "model.conf"), str(HERE / "rules.csv"), enable_log=False)
        return ExampleWorld(read_table("subjects.csv"), read_table("resources.csv"), rules)

    async def evaluate(self, items: Sequence[Item], semantic: Semantic) -> tuple[Evaluated, ...]:
        """The answers, without any context: some of the public runners compare them byte for byte."""
        answers: list[Evaluated] = []
        for item in items:
            allowed = not isinstance(item, Refused) and self._allows(item)
            answers.append(Evaluated(decision=allowed))
            if semantic.stops_after(allowed=allowed):
                break
        return tuple(answers)

    async def search(self, search: Search, *, after: str | None, limit: int | None) -> Found:
        """Those on file for which the rules say yes, in the order of their names."""
        found: list[str] = []
        for name in self._candidates(search):
            if after is not None and name <= after:
                continue
            if limit is not None and len(found) >= limit:
                return Found(names=tuple(found), next_place=found[-1] if found else after or "")
            if self._allows(_supposed(search, name)):
                found.append(name)
        return Found(names=tuple(found), next_place=None)

    def _allows(self, asked: Evaluation) -> bool:
        held = self.subjects.get((asked.subject.type, asked.subject.id or ""))
        resource = self.resources.get((asked.resource.type, asked.resource.id or ""))
        # Nobody who is not on file may do anything; a resource need not be, where its kind has no table.
        if held is None or (resource is None and any(kind == asked.resource.type for kind, _ in self.resources)):
            return False
        action = Attributes({"name": asked.action.name, **_stated(asked.action.properties)})
        return bool(self.rules.enforce(_known(asked.subject, held), action, _known(asked.resource, resource or {})))

    def _candidates(self, search: Search) -> Iterator[str]:
        match search.searched:
            case Searched.SUBJECT:
                names = [name for kind, name in self.subjects if kind == search.subject.type]
            case Searched.RESOURCE:
                names = [name for kind, name in self.resources if kind == search.resource.type]
            case Searched.ACTION:
                names = list({rule[1] for rule in self.rules.get_policy()})
        return iter(sorted(names))


def _supposed(search: Search, name: str) -> Evaluation:
    subject, resource = search.subject, search.resource
    if search.searched is Searched.SUBJECT:
        subject = replace(subject, id=name)
    elif search.searched is Searched.RESOURCE:
        resource = replace(resource, id=name)
    action = search.action or ActionNamed(name=name)
    return Evaluation(subject=subject, action=action, resource=resource, context=search.context)


def _known(entity: Entity, held: Mapping[str, str]) -> Attributes:
    return Attributes({**held, **_stated(entity.properties), "type": entity.type, "id": entity.id or ""})


def _stated(properties: Mapping[str, object]) -> Mapping[str, str]:
    told = {name: value for name, value in properties.items() if name in OVERRIDING}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in told.items()}
