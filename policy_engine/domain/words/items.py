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
from policy_engine.domain.words.dimensions import NO_REQUESTER
from policy_engine.domain.words.memory import ItemUnknown
from policy_engine.domain.words.word import HOUSE, Absent, Clause, ItemPart, Looks, Reads, Word


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


_ITEM: Final = ("item",)
_ENTRY: Final = Reads(
    absent=Absent.CATALOGUE,
    looks=Looks.AT_FACTS,
    facts=(),
    item=ItemPart.ENTRY,
    dimensions=NO_REQUESTER,
    obtainable=None,
)
_ENTRY_OR_UNKNOWN: Final = replace(_ENTRY, absent=Absent.OPEN)
_OPERATIONS: Final = Clause(
    what="of several generators the one with the most training operations counts; a derivative of published weights"
    " that adds little is left out",
    source="ECCN 4E091, technical notes",
    checked=True,
)

WORDS: Final = (
    Word(
        name="action",
        columns=("action", "item"),
        parameter=parameters.ACTION,
        reads=replace(_ENTRY, absent=Absent.REQUEST, item=ItemPart.NOTHING),
        answer=action,
        meaning="The request asks for this action.",
        example="action:infer",
        clause=HOUSE,
    ),
    Word(
        name="in-catalogue",
        columns=_ITEM,
        parameter=None,
        reads=replace(_ENTRY, looks=Looks.AT_EXISTENCE),
        answer=in_catalogue,
        meaning="The model is a catalogue id or an alias of the calling gateway, byte for byte.",
        example="!in-catalogue",
        clause=HOUSE,
    ),
    Word(
        name="kind",
        columns=_ITEM,
        parameter=parameters.ITEM_KIND,
        reads=_ENTRY,
        answer=kind,
        meaning="The item is of this kind.",
        example="kind:technology",
        clause=HOUSE,
    ),
    Word(
        name="model",
        columns=_ITEM,
        parameter=parameters.MODEL,
        reads=_ENTRY,
        answer=model,
        meaning="The item is this catalogue entry.",
        example="model:mythos-5",
        clause=HOUSE,
    ),
    Word(
        name="tier",
        columns=_ITEM,
        parameter=parameters.TIER,
        reads=_ENTRY,
        answer=tier,
        meaning="The model is of this market tier.",
        example="tier:commodity",
        clause=HOUSE,
    ),
    Word(
        name="vendor",
        columns=_ITEM,
        parameter=parameters.VENDOR,
        reads=_ENTRY,
        answer=vendor,
        meaning="The model is of this vendor.",
        example="vendor:anthropic",
        clause=HOUSE,
    ),
    Word(
        name="consortium",
        columns=_ITEM,
        parameter=parameters.CONSORTIUM,
        reads=_ENTRY,
        answer=consortium,
        meaning="The model belongs to this consortium's programme.",
        example="consortium:glasswing",
        clause=HOUSE,
    ),
    Word(
        name="eccn",
        columns=_ITEM,
        parameter=parameters.ECCN,
        reads=_ENTRY,
        answer=eccn,
        meaning="The item has this export control classification number.",
        example="eccn:4E001.a",
        clause=HOUSE,
    ),
    Word(
        name="eccn-on-file",
        columns=_ITEM,
        parameter=None,
        reads=replace(_ENTRY, item=ItemPart.COLUMNS),
        answer=eccn_on_file,
        meaning="The item's ECCN is stated and its control columns are in parameters.yaml; an item without one is"
        " barred as LICENCE_REQUIRED.",
        example="!eccn-on-file",
        clause=HOUSE,
    ),
    Word(
        name="eccn-stated",
        columns=_ITEM,
        parameter=None,
        reads=_ENTRY,
        answer=eccn_stated,
        meaning="The item has an export control classification number, whether or not its control columns are in"
        " parameters.yaml.",
        example="kind:model & eccn-stated",
        clause=HOUSE,
    ),
    Word(
        name="published",
        columns=_ITEM,
        parameter=None,
        reads=_ENTRY,
        answer=published,
        meaning="The weights are published; undetermined or not stated is not published.",
        example="kind:model & published",
        clause=HOUSE,
    ),
    Word(
        name="weights-determined",
        columns=_ITEM,
        parameter=None,
        reads=_ENTRY_OR_UNKNOWN,
        answer=weights_determined,
        meaning="Somebody has decided whether the weights are published; otherwise it is unknown.",
        example="!weights-determined",
        clause=HOUSE,
    ),
    Word(
        name="requires-end-user",
        columns=_ITEM,
        parameter=None,
        reads=_ENTRY,
        answer=needs_end_user,
        meaning="The model's terms ask who is behind a reseller.",
        example="requires-end-user",
        clause=HOUSE,
    ),
    Word(
        name="vendor-has-place-list",
        columns=_ITEM,
        parameter=None,
        reads=replace(_ENTRY, item=ItemPart.VENDOR_PLACES),
        answer=vendor_has_place_list,
        meaning="There is a country group of places where the model's vendor does, or does not, offer it.",
        example="vendor-has-place-list",
        clause=HOUSE,
    ),
    Word(
        name="operations-reach",
        columns=_ITEM,
        parameter=parameters.OPERATIONS_TEST,
        reads=_ENTRY_OR_UNKNOWN,
        answer=operations_reach,
        meaning="The counted training operations reach the threshold of the test; undisclosed is unknown.",
        example="operations-reach:4E091",
        clause=_OPERATIONS,
    ),
    Word(
        name="operations-below",
        columns=_ITEM,
        parameter=parameters.OPERATIONS_TEST,
        reads=_ENTRY_OR_UNKNOWN,
        answer=operations_below,
        meaning="The counted training operations are known and under the threshold.",
        example="operations-below:4E091",
        clause=_OPERATIONS,
    ),
    Word(
        name="operations-excluded",
        columns=_ITEM,
        parameter=parameters.OPERATIONS_TEST,
        reads=_ENTRY,
        answer=operations_excluded,
        meaning="The model is a derivative of published weights that added no more operations than the test allows.",
        example="operations-excluded:4E091",
        clause=_OPERATIONS,
    ),
)
"""The words of this family, each with all that anybody asks about it."""
