"""The table of words, and how terms and conditions of words are answered."""

from __future__ import annotations

from typing import Final

from policy_engine.domain import logic
from policy_engine.domain.facts import Party
from policy_engine.domain.logic import NO, YES, Answer, Tri
from policy_engine.domain.rules import Condition, Term
from policy_engine.domain.words import items, lists, organisations, owners, papers, persons, places, purposes, verdicts
from policy_engine.domain.words.memory import Evaluate, WordKind, recall

_ITEM, _PARTY, _PLACE, _OWNERSHIP, _LISTING, _PURPOSE, _PAPER = (
    ("item",),
    ("party",),
    ("place",),
    ("ownership",),
    ("listing",),
    ("purpose",),
    ("authorisation", "party"),
)
_GROUPS: Final = "country codes or country groups, parted by commas"


def _word(
    name: str,
    facets: tuple[str, ...],
    reads: str,
    evaluate: Evaluate,
    meaning: str,
    example: str,
    parameter: str = "",
    *,
    derived: bool = False,
) -> WordKind:
    return WordKind(
        name=name,
        facets=facets,
        reads=reads,
        meaning=meaning,
        example=example,
        evaluate=evaluate,
        parameter=parameter,
        derived=derived,
    )


_WORDS: Final = (
    _word(
        "action",
        ("action", "item"),
        "request",
        items.action,
        "The request asks for this action.",
        "action:infer",
        "action",
    ),
    _word(
        "in-catalogue",
        _ITEM,
        "catalogue",
        items.in_catalogue,
        "The model is a catalogue id or an alias of the calling gateway, byte for byte.",
        "!in-catalogue",
    ),
    _word(
        "kind",
        _ITEM,
        "catalogue",
        items.kind,
        "The item is of this kind.",
        "kind:technology",
        "model, technology, technical_data or weights",
    ),
    _word(
        "model", _ITEM, "catalogue", items.model, "The item is this catalogue entry.", "model:mythos-5", "catalogue id"
    ),
    _word(
        "tier",
        _ITEM,
        "catalogue",
        items.tier,
        "The model is of this market tier.",
        "tier:commodity",
        "classified, commodity or distilled",
    ),
    _word("vendor", _ITEM, "catalogue", items.vendor, "The model is of this vendor.", "vendor:anthropic", "vendor id"),
    _word(
        "consortium",
        _ITEM,
        "catalogue",
        items.consortium,
        "The model belongs to this consortium's programme.",
        "consortium:glasswing",
        "consortium id",
    ),
    _word(
        "eccn",
        _ITEM,
        "catalogue",
        items.eccn,
        "The item has this export control classification number.",
        "eccn:4E001.a",
        "ECCN",
    ),
    _word(
        "eccn-on-file",
        _ITEM,
        "catalogue",
        items.eccn_on_file,
        "The item's ECCN is stated and its control columns are in parameters.yaml; an item without is barred as LICENCE_REQUIRED.",
        "!eccn-on-file",
    ),
    _word(
        "published",
        _ITEM,
        "catalogue",
        items.published,
        "The weights are published; undetermined or not stated is not published.",
        "kind:model & published",
    ),
    _word(
        "weights-determined",
        _ITEM,
        "open",
        items.weights_determined,
        "Somebody has decided whether the weights are published; otherwise it is unknown.",
        "!weights-determined",
    ),
    _word(
        "requires-end-user",
        _ITEM,
        "catalogue",
        items.needs_end_user,
        "The model's terms ask who is behind a reseller.",
        "requires-end-user",
    ),
    _word(
        "vendor-has-place-list",
        _ITEM,
        "catalogue",
        items.vendor_has_place_list,
        "There is a country group of places where the model's vendor does, or does not, offer it.",
        "vendor-has-place-list",
    ),
    _word(
        "operations-reach",
        _ITEM,
        "open",
        items.operations_reach,
        "The counted training operations reach the threshold of the test; undisclosed is unknown.",
        "operations-reach:4E091",
        "operations test of parameters.yaml",
    ),
    _word(
        "operations-below",
        _ITEM,
        "open",
        items.operations_below,
        "The counted training operations are known and under the threshold.",
        "operations-below:4E091",
        "operations test of parameters.yaml",
    ),
    _word(
        "operations-excluded",
        _ITEM,
        "catalogue",
        items.operations_excluded,
        "The model is a derivative of published weights that added no more operations than the test allows.",
        "operations-excluded:4E091",
        "operations test of parameters.yaml",
    ),
    _word(
        "on-file",
        _PARTY,
        "closed",
        organisations.on_file,
        "The subject, or the end user, is on file under its type.",
        "!on-file",
    ),
    _word(
        "foreign-person",
        _PARTY,
        "open",
        persons.foreign_person,
        "The natural person is a foreign person by US status; an account or service that stands for nobody is unknown; an organisation as such has no natural person.",
        "foreign-person",
    ),
    _word(
        "us-person", _PARTY, "open", persons.us_person, "The natural person is a US person by US status.", "us-person"
    ),
    _word(
        "foreign-organisation",
        _PARTY,
        "open",
        organisations.foreign_organisation,
        "The organisation acting, or the host, is not incorporated in the US.",
        "foreign-person | foreign-organisation",
    ),
    _word(
        "itar-national",
        _PARTY,
        "open",
        persons.itar_national,
        "A foreign natural person who ever was a citizen, or now is a permanent resident, of one of these.",
        "itar-national:ITAR:126.1(d)(1)",
        _GROUPS,
    ),
    _word(
        "established-in",
        _PARTY,
        "open",
        organisations.established_in,
        "The organisation is incorporated or headquartered in one of these.",
        "established-in:CN",
        _GROUPS,
    ),
    _word(
        "deemed-covered",
        _PARTY,
        "open",
        persons.deemed_covered,
        "A release is deemed to go to a country that a column of the item's ECCN covers: for the natural person the most recent country of citizenship or permanent residency, for the organisation its incorporation.",
        "deemed-covered",
    ),
    _word(
        "deemed-known",
        _PARTY,
        "open",
        persons.deemed_known,
        "The party is a foreign person, and the country that a release is deemed to go to is known.",
        "deemed-known",
    ),
    _word(
        "deemed-within",
        _PARTY,
        "open",
        persons.deemed_within,
        "Every country that a release to the party is deemed to go to is one of these.",
        "deemed-within:US,EAR:A:5",
        _GROUPS,
    ),
    _word(
        "no-organisation",
        _PARTY,
        "open",
        organisations.no_organisation,
        "A natural person who acts for no organisation.",
        "sector:other | no-organisation",
    ),
    _word(
        "sector",
        _PARTY,
        "open",
        organisations.sector,
        "The organisation is of this sector.",
        "sector:government",
        "government, critical_infrastructure or other",
    ),
    _word(
        "reseller",
        _PARTY,
        "open",
        organisations.reseller,
        "The organisation resells access.",
        "reseller & !end-user-named",
    ),
    _word(
        "end-user-named",
        _PARTY,
        "request",
        organisations.end_user_named,
        "The request names an end user.",
        "!end-user-named",
    ),
    _word(
        "acts-for-vendor",
        _PARTY,
        "closed",
        organisations.acts_for_vendor,
        "The organisation acting is the vendor of the model.",
        "acts-for-vendor & employee",
    ),
    _word(
        "own-staff",
        _PARTY,
        "closed",
        organisations.own_staff,
        "The organisation itself, its account or service that stands for nobody, or a natural person who is its employee; a contractor is not.",
        "holds:us-order/exemption & own-staff",
    ),
    _word(
        "employee",
        _PARTY,
        "closed",
        organisations.employee,
        "The natural person is an employee, not a contractor, of the organisation acting.",
        "acts-for-vendor & employee",
    ),
    _word(
        "assertion-conflict",
        _PARTY,
        "closed",
        organisations.assertion_conflict,
        "The request asserts what the file contradicts.",
        "assertion-conflict",
    ),
    _word(
        "member",
        _PARTY,
        "closed",
        organisations.member,
        "The organisation acting has an active membership of the consortium in force.",
        "member:glasswing",
        "consortium id",
    ),
    _word(
        "membership-never",
        _PARTY,
        "closed",
        organisations.membership_never,
        "The organisation acting has no membership row, or only rows that begin later.",
        "membership-never:glasswing",
        "consortium id",
    ),
    _word(
        "membership-ended",
        _PARTY,
        "closed",
        organisations.membership_ended,
        "No membership row is in force, and one has ended.",
        "membership-ended:glasswing",
        "consortium id",
    ),
    _word(
        "membership-suspended",
        _PARTY,
        "closed",
        organisations.membership_suspended,
        "A membership row in force is suspended and none is active.",
        "membership-suspended:glasswing",
        "consortium id",
    ),
    _word(
        "pattern",
        _PARTY,
        "closed",
        organisations.pattern,
        "The account's cluster reaches every bound of the pattern at its last reading; a reading that is too old is unknown.",
        "pattern:distillation",
        "pattern test of parameters.yaml",
    ),
    _word(
        "located-in",
        _PLACE,
        "open",
        places.located_in,
        "A stated place, the place of the address, the destination, or the incorporation or headquarters of the organisation judged is one of these; no place and no establishment on file are unknown.",
        "located-in:CU,IR,KP",
        _GROUPS,
    ),
    _word(
        "unsupported-place",
        _PLACE,
        "open",
        places.unsupported_place,
        "One of those places is not on the place list of the model's vendor, or is in an excluded part.",
        "unsupported-place:UA",
        "parts test of parameters.yaml",
    ),
    _word(
        "in-part",
        _PLACE,
        "open",
        places.in_part,
        "The place of the request is in a barred part of a country, by subdivision or by postcode; the country without either is unknown.",
        "in-part:UA",
        "parts test of parameters.yaml",
    ),
    _word(
        "receives-abroad",
        ("place", "party"),
        "open",
        places.receives_abroad,
        "The item goes to a country other than the US: the destination, else the stated place.",
        "receives-abroad",
    ),
    _word(
        "receives-in",
        ("place", "party"),
        "open",
        places.receives_in,
        "The item goes to one of these: the destination, else the stated place.",
        "receives-in:US,EAR:A:5",
        _GROUPS,
    ),
    _word(
        "destination-known",
        _PLACE,
        "open",
        places.destination_known,
        "It is known where the item goes: the destination, else the stated place.",
        "destination-known",
    ),
    _word(
        "place-stated",
        ("place", "party"),
        "request",
        places.place_stated,
        "Some place is stated: country, address or destination.",
        "place-stated & receives-in:BY",
    ),
    _word(
        "column-destination",
        _PLACE,
        "open",
        places.column_destination,
        "The item goes abroad to a country that a column of its ECCN covers.",
        "column-destination",
    ),
    _word(
        "place-conflict",
        _PLACE,
        "request",
        verdicts.place_conflict,
        "Stated country and address differ, and one of these rules, being in force and reaching the item, bars the one and not the other.",
        "place-conflict:VENDOR-REGION,OFAC-EMBARGO",
        "rule ids, parted by commas",
        derived=True,
    ),
    _word(
        "owned",
        _OWNERSHIP,
        "open",
        owners.owned,
        "The organisation is captured under the ownership test on what is known.",
        "owned:ofac-50",
        "ownership test of parameters.yaml",
    ),
    _word(
        "owned-unresolved",
        _OWNERSHIP,
        "open",
        owners.owned_unresolved,
        "It is not captured on what is known, and would be if what nobody knows were at its worst.",
        "owned-unresolved:ofac-50",
        "ownership test of parameters.yaml",
    ),
    _word(
        "owned-minority",
        _OWNERSHIP,
        "open",
        owners.owned_minority,
        "Owners that count hold a share that does not capture.",
        "owned-minority:ofac-50",
        "ownership test of parameters.yaml",
    ),
    _word(
        "captured-under",
        _OWNERSHIP,
        "open",
        owners.captured_under,
        "The organisation acting or the host is captured by the test while the rule is enforced and in force.",
        "!captured-under:BIS-AFFILIATES=bis-affiliates",
        "rule id = ownership test",
    ),
    _word(
        "parent-headquartered-in",
        ("party",),
        "open",
        owners.parent_headquartered_in,
        "The receiving organisation (the host, else the one acting) and its ultimate parent are headquartered in one of these.",
        "parent-headquartered-in:US,EAR:AIA-Supp5-740(a)",
        _GROUPS,
    ),
    _word(
        "listed",
        _LISTING,
        "closed",
        lists.listed,
        "The party has a confirmed listing in force on one of these lists.",
        "listed:EL",
        "list codes, parted by commas",
    ),
    _word(
        "person-listed",
        _LISTING,
        "closed",
        lists.person_listed,
        "The natural person, and not only the organisation, has a confirmed listing in force on one of these lists.",
        "!person-listed:UVL",
        "list codes, parted by commas",
    ),
    _word(
        "any-listed",
        _LISTING,
        "closed",
        lists.any_listed,
        "The party, the organisation acting or the host has a confirmed listing in force on one of these lists.",
        "!any-listed:EL,UVL",
        "list codes, parted by commas",
    ),
    _word(
        "listing-potential",
        _LISTING,
        "closed",
        lists.listing_potential,
        "A potential match on one of these lists waits for a person.",
        "listing-potential:EL,SDN",
        "list codes, parted by commas",
    ),
    _word(
        "listing-outdated",
        _LISTING,
        "closed",
        lists.listing_outdated,
        "A match was cleared against another version of the entry.",
        "listing-outdated:EL,SDN",
        "list codes, parted by commas",
    ),
    _word(
        "listing-cleared",
        _LISTING,
        "closed",
        lists.listing_cleared,
        "A match was cleared against the version of the entry on file.",
        "listing-cleared:EL,SDN",
        "list codes, parted by commas",
    ),
    _word(
        "military",
        _LISTING,
        "closed",
        lists.military,
        "A military end user on the list, or a stated military end use, with the items and countries that the test reaches.",
        "military:744.21",
        "military test of parameters.yaml",
    ),
    _word(
        "purpose-stated",
        _PURPOSE,
        "request",
        purposes.purpose_stated,
        "The request states a purpose.",
        "purpose-stated",
    ),
    _word(
        "purpose",
        _PURPOSE,
        "open",
        purposes.purpose,
        "The request states this purpose.",
        "purpose:military_end_use",
        "purpose",
    ),
    _word(
        "purpose-permitted",
        _PURPOSE,
        "open",
        purposes.purpose_permitted,
        "The purpose is one of the model's purposes.",
        "purpose-permitted",
    ),
    _word(
        "purpose-in-review",
        _PURPOSE,
        "open",
        purposes.purpose_in_review,
        "The purpose is one that a person has to look at for this model.",
        "known purpose-in-review",
    ),
    _word(
        "holds",
        _PAPER,
        "closed",
        papers.holds,
        "The organisation acting holds an authorisation in force, with a place left, that names the model, the action and, if it lists countries, where the item goes.",
        "holds:us-order/licence",
        "regime or any / kinds, parted by commas",
    ),
    _word(
        "holds-or-host",
        _PAPER,
        "closed",
        papers.holds_or_host,
        "The organisation acting or the host holds such an authorisation.",
        "holds-or-host:us-ear/licence",
        "regime or any / kinds, parted by commas",
    ),
    _word(
        "authorisation-ended",
        _PAPER,
        "closed",
        papers.ended,
        "Such an authorisation of the organisation acting existed and has ended.",
        "authorisation-ended:us-order/licence",
        "regime or any / kinds, parted by commas",
    ),
    _word(
        "authorisation-ended-or-host",
        _PAPER,
        "closed",
        papers.ended_or_host,
        "Such an authorisation of the organisation acting or the host existed and has ended.",
        "authorisation-ended-or-host:us-ear/licence",
        "regime or any / kinds, parted by commas",
    ),
    _word(
        "authorisation-full",
        _PAPER,
        "closed",
        papers.full_or_host,
        "Such an authorisation is in force and has no place left.",
        "authorisation-full:us-ear/licence",
        "regime or any / kinds, parted by commas",
    ),
    _word(
        "statement",
        _PAPER,
        "closed",
        papers.statement,
        "A statement of this kind is in force for the organisation.",
        "statement:uvl",
        "uvl, sta_consignee, supp8_740 or mofcom_order",
    ),
    _word(
        "claims",
        _PAPER,
        "request",
        papers.claims,
        "The request claims this exception, or any when none is named.",
        "claims:STA",
        "exception, or nothing",
    ),
    _word(
        "status-read-by",
        _PARTY,
        "request",
        verdicts.status_read,
        "One of these rules is in force and reaches the action and the item.",
        "us-person & status-read-by:ITAR-RELEASE",
        "rule ids, parted by commas",
        derived=True,
    ),
    _word(
        "unbarred-by",
        _PARTY,
        "request",
        verdicts.unbarred,
        "No enforced bar of these regimes matched, lifted ones included.",
        "unbarred-by:us-ear,us-order",
        "regimes, parted by commas",
        derived=True,
    ),
    _word(
        "barred-by",
        _PARTY,
        "request",
        verdicts.barred,
        "An enforced bar of these regimes stands unlifted against this party.",
        "barred-by:us-ear,vendor",
        "regimes, parted by commas",
        derived=True,
    ),
)

VOCABULARY: Final[dict[str, WordKind]] = {word.name: word for word in _WORDS}
"""Every word by its name."""

STATIC_FACETS: Final = ("action", "item")
"""Facets that depend on the request's action and model alone, and not on who asks."""


def ask(party: Party, word: str, parameter: str = "") -> Answer:
    """What the word says about the party; each question is answered once."""
    return recall(party, word, parameter, VOCABULARY[word].evaluate)


def answer_term(term: Term, party: Party) -> Answer:
    """A word with its negation and its reading of unknown."""
    answer = ask(party, term.word, term.parameter)
    if answer.value is Tri.UNKNOWN:
        return NO if term.only_known else answer
    return logic.negation(answer) if term.negated else answer


def answer_condition(condition: Condition, party: Party) -> Answer:
    """The condition for the party; nothing asked holds."""
    alternatives = condition.alternatives
    if not alternatives:
        return YES
    if len(alternatives) == 1:
        if len(alternatives[0]) == 1:
            return answer_term(alternatives[0][0], party)
        return _conjunction(alternatives[0], party)
    return logic.any_of(_conjunction(alternative, party) for alternative in alternatives)


def _conjunction(terms: tuple[Term, ...], party: Party) -> Answer:
    answers = []
    for term in terms:
        answer = answer_term(term, party)
        if answer.value is Tri.NO:
            return NO
        answers.append(answer)
    return logic.all_of(answers)
