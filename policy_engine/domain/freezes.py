"""The emergency stop: a scope that is barred with `OPERATOR_SUSPENSION` until it is lifted or has run out.

A freeze is a bar row that stands beside the book in force, whatever the book says, so it decides like any other row:
what is unknown does not slip through, nothing lifts it, and every answer names it. It is no part of the book's
fingerprint; the control epoch says which freezes a decision was made under.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from policy_engine.domain.instants import Validity
from policy_engine.domain.rules import (
    ANYTHING,
    FACETS,
    CodeRule,
    Condition,
    Effect,
    Enforcement,
    PublicCode,
    Row,
    Term,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FREEZE_PREFIX: Final = "FREEZE-"
"""What the ids of freezes begin with; no rule of a book may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreezeScope:
    """What is frozen: in each of the dimensions that are stated, any one of the names; in those left empty, all.

    `models` are catalogue ids; `countries` ISO 3166-1 codes, matched with every place of the request and with the
    establishment of the organisations judged; `organisations` ids of those that act, host or stand behind a reseller;
    `gateways` those of the calling keys. Nothing stated at all freezes everything, and has to be said: `everything`.
    """

    models: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    organisations: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    everything: bool = False

    @property
    def stated(self) -> bool:
        """Whether any dimension is."""
        return bool(self.models or self.countries or self.organisations or self.gateways)

    @property
    def text(self) -> str:
        """The scope as a phrase."""
        return scope_text(
            model=self.models, country=self.countries, organisation=self.organisations, gateway=self.gateways
        )


Scope = TypeVar("Scope", bound="DataclassInstance")


def without_repeats(scope: Scope) -> Scope:
    """The scope with every name once, in order."""
    named = ((field.name, getattr(scope, field.name)) for field in fields(scope))
    return replace(scope, **{name: tuple(sorted(set(held))) for name, held in named if isinstance(held, tuple)})


def scope_text(**names: tuple[str, ...]) -> str:
    """A scope as a phrase, by what its names are of; without any name it is everything."""
    return ", ".join(f"{what} {' or '.join(named)}" for what, named in names.items() if named) or "everything"


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A freeze as declared: by whose authority, why, from when, and until when if that was said."""

    id: str
    scope: FreezeScope
    authority: str
    reason: str
    start: datetime
    until: datetime | None = None

    def row(self) -> Row:
        """The bar that stands beside the book."""
        facets = {
            "item": _any_of("model", self.scope.models),
            "party": _both(_any_of("organisation", self.scope.organisations), _any_of("gateway", self.scope.gateways)),
            "place": _any_of("located-in", (",".join(self.scope.countries),) if self.scope.countries else ()),
        }
        return Row(
            id=self.id,
            regime="operator",
            effect=Effect.DENY,
            hold=False,
            judges_host=True,
            facets=tuple(facets.get(facet, ANYTHING) for facet in FACETS),
            unless=ANYTHING,
            codes=(CodeRule(code="OPERATOR_SUSPENSION"),),
            public_code=PublicCode.SUSPENDED,
            obligations=(),
            valid=Validity(start=self.start, end=self.until),
            suspended=(),
            enforcement=Enforcement.ENFORCED,
            citation=self.authority,
            message=f"Frozen ({self.scope.text}): {self.reason}",
            public_message="This is suspended at the moment.",
        )


def _any_of(word: str, parameters: tuple[str, ...]) -> Condition:
    return Condition(alternatives=tuple((Term(word=word, parameter=parameter),) for parameter in parameters))


def _both(one: Condition, other: Condition) -> Condition:
    if not one.alternatives or not other.alternatives:
        return one if one.alternatives else other
    return Condition(
        alternatives=tuple((*first, *second) for first in one.alternatives for second in other.alternatives)
    )
