"""Words about the item and the action."""

from __future__ import annotations

from policy_engine.domain.catalogue import (
    Entry,
    ItemKind,
    OperationsCount,
    Weights,
    count_operations,
    count_operations_by_share,
)
from policy_engine.domain.facts import Edition, Party
from policy_engine.domain.logic import NO, YES, Answer, Tri, known, unknown, yes
from policy_engine.domain.words.memory import ItemUnknown


def item_of(party: Party) -> Entry:
    """The item asked for. Raises `ItemUnknown` when there is none, which leaves the word that asks unknown."""
    entry = party.question.entry
    if entry is None:
        raise ItemUnknown("a word needs the item, and there is none")
    return entry


def action(party: Party, parameter: str) -> Answer:
    return known(party.question.request.action.value == parameter)


def in_catalogue(party: Party, _: str) -> Answer:
    return known(party.question.entry is not None)


def kind(party: Party, parameter: str) -> Answer:
    return known(item_of(party).kind.value == parameter)


def model(party: Party, parameter: str) -> Answer:
    return known(item_of(party).id == parameter)


def tier(party: Party, parameter: str) -> Answer:
    entry = item_of(party)
    if entry.tier is None:
        return unknown("model.tier") if entry.kind is ItemKind.MODEL else NO
    return known(entry.tier.value == parameter)


def vendor(party: Party, parameter: str) -> Answer:
    return known(item_of(party).vendor == parameter)


def consortium(party: Party, parameter: str) -> Answer:
    return known(item_of(party).consortium == parameter)


def eccn(party: Party, parameter: str) -> Answer:
    return classified_as(party, (parameter,))


def classified_as(party: Party, numbers: tuple[str, ...]) -> Answer:
    """Whether the item's ECCN is one of these. A model that states none has none of its own; technology and weights
    that state none are unclassified, which is unknown."""
    item = item_of(party)
    if item.eccn is None and item.kind in (ItemKind.TECHNOLOGY, ItemKind.WEIGHTS):
        return unknown("model.eccn")
    return known(item.eccn in numbers)


def eccn_on_file(party: Party, _: str) -> Answer:
    eccn = item_of(party).eccn
    return known(eccn is not None and eccn in party.question.tables.eccn_columns)


def eccn_stated(party: Party, _: str) -> Answer:
    return known(item_of(party).eccn is not None)


def published(party: Party, _: str) -> Answer:
    return known(item_of(party).weights is Weights.PUBLISHED)


def weights_determined(party: Party, _: str) -> Answer:
    if item_of(party).weights in (Weights.PUBLISHED, Weights.UNPUBLISHED):
        return YES
    return unknown("model.weights")


def needs_end_user(party: Party, _: str) -> Answer:
    return known(item_of(party).requires_end_user)


def vendor_has_place_list(party: Party, _: str) -> Answer:
    groups = party.question.tables.places.groups
    vendor = item_of(party).vendor
    return known(f"VENDOR:{vendor}:supported" in groups or f"VENDOR:{vendor}:unsupported" in groups)


def counted(party: Party, parameter: str) -> OperationsCount:
    tables = party.question.tables
    count = count_operations if party.question.edition >= Edition.DOUBTS else count_operations_by_share
    return count(item_of(party), tables.catalogue, tables.operations[parameter])


def operations_reach(party: Party, parameter: str) -> Answer:
    count = counted(party, parameter)
    if count.excluded is Tri.YES:
        return NO
    if count.operations is None:
        return unknown("model.training_operations")
    if count.operations < party.question.tables.operations[parameter].threshold:
        return NO
    if count.excluded is Tri.UNKNOWN:
        return unknown("model.training_operations")
    return yes(("operations", f"{count.operations:.6E}"), ("counted", count.counted))


def operations_below(party: Party, parameter: str) -> Answer:
    count = counted(party, parameter)
    if count.excluded is Tri.YES:
        return NO
    if count.operations is None:
        return unknown("model.training_operations")
    if count.operations >= party.question.tables.operations[parameter].threshold:
        return NO
    return yes(("operations", f"{count.operations:.6E}"), ("counted", count.counted))


def operations_excluded(party: Party, parameter: str) -> Answer:
    excluded = counted(party, parameter).excluded
    return unknown("model.training_operations") if excluded is Tri.UNKNOWN else known(excluded is Tri.YES)
