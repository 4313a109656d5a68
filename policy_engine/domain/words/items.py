"""Words about the item and the action."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

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
from policy_engine.domain.words import parameters
from policy_engine.domain.words.memory import ItemUnknown
from policy_engine.domain.words.word import HOUSE, PLAIN, Absent, Clause, ItemPart, Looks, word


def item_of(party: Party) -> Entry:
    """The item asked for. Raises `ItemUnknown` when there is none, which leaves the word that asks unknown."""
    entry = party.question.entry
    if entry is None:
        raise ItemUnknown("a word needs the item, and there is none")
    return entry


_ITEM: Final = ("item",)
_ENTRY: Final = replace(PLAIN, absent=Absent.CATALOGUE, item=ItemPart.ENTRY)
_ENTRY_OR_UNKNOWN: Final = replace(_ENTRY, absent=Absent.OPEN)
_OPERATIONS: Final = Clause(
    what="of several generators the one with the most training operations counts; a derivative of published weights"
    " that adds little is left out",
    source="ECCN 4E091, technical notes",
    checked=True,
)


_ACTION: Final = replace(_ENTRY, absent=Absent.REQUEST, item=ItemPart.NOTHING)


@word(("action", "item"), parameters.ACTION, _ACTION, HOUSE, example="action:infer")
def action(party: Party, parameter: str) -> Answer:
    """The request asks for this action."""
    return known(party.question.request.action.value == parameter)


@word(_ITEM, None, replace(_ENTRY, looks=Looks.AT_EXISTENCE), HOUSE, example="!in-catalogue")
def in_catalogue(party: Party, _: str) -> Answer:
    """The model is a catalogue id or an alias of the calling gateway, byte for byte."""
    return known(party.question.entry is not None)


@word(_ITEM, parameters.ITEM_KIND, _ENTRY, HOUSE, example="kind:technology")
def kind(party: Party, parameter: str) -> Answer:
    """The item is of this kind."""
    return known(item_of(party).kind.value == parameter)


@word(_ITEM, parameters.MODEL, _ENTRY, HOUSE, example="model:mythos-5")
def model(party: Party, parameter: str) -> Answer:
    """The item is this catalogue entry."""
    return known(item_of(party).id == parameter)


@word(_ITEM, parameters.TIER, _ENTRY, HOUSE, example="tier:commodity")
def tier(party: Party, parameter: str) -> Answer:
    """The model is of this market tier."""
    entry = item_of(party)
    if entry.tier is None:
        return unknown("model.tier") if entry.kind is ItemKind.MODEL else NO
    return known(entry.tier.value == parameter)


@word(_ITEM, parameters.VENDOR, _ENTRY, HOUSE, example="vendor:anthropic")
def vendor(party: Party, parameter: str) -> Answer:
    """The model is of this vendor."""
    return known(item_of(party).vendor == parameter)


@word(_ITEM, parameters.CONSORTIUM, _ENTRY, HOUSE, example="consortium:glasswing")
def consortium(party: Party, parameter: str) -> Answer:
    """The model belongs to this consortium's programme."""
    return known(item_of(party).consortium == parameter)


@word(_ITEM, parameters.ECCN, _ENTRY, HOUSE, example="eccn:4E001.a")
def eccn(party: Party, parameter: str) -> Answer:
    """The item has this export control classification number."""
    return classified_as(party, (parameter,))


def classified_as(party: Party, numbers: tuple[str, ...]) -> Answer:
    """Whether the item's ECCN is one of these. A model that states none has none of its own; technology and weights
    that state none are unclassified, which is unknown."""
    item = item_of(party)
    if item.eccn is None and item.kind in (ItemKind.TECHNOLOGY, ItemKind.WEIGHTS):
        return unknown("model.eccn")
    return known(item.eccn in numbers)


@word(_ITEM, None, replace(_ENTRY, item=ItemPart.COLUMNS), HOUSE, example="!eccn-on-file")
def eccn_on_file(party: Party, _: str) -> Answer:
    """The item's ECCN is stated and its control columns are in parameters.yaml; an item without one is barred as
    LICENCE_REQUIRED."""
    eccn = item_of(party).eccn
    return known(eccn is not None and eccn in party.question.tables.eccn_columns)


@word(_ITEM, None, _ENTRY, HOUSE, example="kind:model & eccn-stated")
def eccn_stated(party: Party, _: str) -> Answer:
    """The item has an export control classification number, whether or not its control columns are in
    parameters.yaml."""
    return known(item_of(party).eccn is not None)


@word(_ITEM, None, _ENTRY, HOUSE, example="kind:model & published")
def published(party: Party, _: str) -> Answer:
    """The weights are published; undetermined or not stated is not published."""
    return known(item_of(party).weights is Weights.PUBLISHED)


@word(_ITEM, None, _ENTRY_OR_UNKNOWN, HOUSE, example="!weights-determined")
def weights_determined(party: Party, _: str) -> Answer:
    """Somebody has decided whether the weights are published; otherwise it is unknown."""
    if item_of(party).weights in (Weights.PUBLISHED, Weights.UNPUBLISHED):
        return YES
    return unknown("model.weights")


@word(_ITEM, None, _ENTRY, HOUSE, example="requires-end-user")
def requires_end_user(party: Party, _: str) -> Answer:
    """The model's terms ask who is behind a reseller."""
    return known(item_of(party).requires_end_user)


@word(_ITEM, None, replace(_ENTRY, item=ItemPart.VENDOR_PLACES), HOUSE, example="vendor-has-place-list")
def vendor_has_place_list(party: Party, _: str) -> Answer:
    """There is a country group of places where the model's vendor does, or does not, offer it."""
    groups = party.question.tables.places.groups
    vendor = item_of(party).vendor
    return known(f"VENDOR:{vendor}:supported" in groups or f"VENDOR:{vendor}:unsupported" in groups)


def counted(party: Party, parameter: str) -> OperationsCount:
    tables = party.question.tables
    count = count_operations if party.question.edition >= Edition.DOUBTS else count_operations_by_share
    return count(item_of(party), tables.catalogue, tables.operations[parameter])


@word(_ITEM, parameters.OPERATIONS_TEST, _ENTRY_OR_UNKNOWN, _OPERATIONS, example="operations-reach:4E091")
def operations_reach(party: Party, parameter: str) -> Answer:
    """The counted training operations reach the threshold of the test; undisclosed is unknown."""
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


@word(_ITEM, parameters.OPERATIONS_TEST, _ENTRY_OR_UNKNOWN, _OPERATIONS, example="operations-below:4E091")
def operations_below(party: Party, parameter: str) -> Answer:
    """The counted training operations are known and under the threshold."""
    count = counted(party, parameter)
    if count.excluded is Tri.YES:
        return NO
    if count.operations is None:
        return unknown("model.training_operations")
    if count.operations >= party.question.tables.operations[parameter].threshold:
        return NO
    return yes(("operations", f"{count.operations:.6E}"), ("counted", count.counted))


@word(_ITEM, parameters.OPERATIONS_TEST, _ENTRY, _OPERATIONS, example="operations-excluded:4E091")
def operations_excluded(party: Party, parameter: str) -> Answer:
    """The model is a derivative of published weights that added no more operations than the test allows."""
    excluded = counted(party, parameter).excluded
    return unknown("model.training_operations") if excluded is Tri.UNKNOWN else known(excluded is Tri.YES)
