"""A small valid rule book as bytes, and ways to change one thing in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import pytest

from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.policy.model import template
from policy_engine.policy.reader import read_book
from policy_engine.policy.rule_files import COLUMNS

CATALOGUE: Final = """\
alpha-1:
  kind: model
  tier: commodity
  vendor: acme
  developer_country: US
  weights: unpublished
  training_operations: 1.0e+25
  eccn: null
  purposes: [research]
  purposes_needing_review: []
  consortium: circle
  lineage: []
  fallbacks: []
  aliases: {main: [alpha]}
  requires_end_user: false
"technology:4E001.a":
  {kind: technology, tier: null, vendor: null, weights: null, consortium: null, lineage: [], requires_end_user: false,
   eccn: "4E001.a"}
"""
COUNTRY_GROUPS: Final = """\
treat_as:
  - {country: HK, as: CN, in: EAR, from: 2020-12-23T00:00:00Z, source: 85 FR 83788}
groups:
  - {group: "EAR:E:1", label: Embargoed, source: Supp. 1, checked: true, members: [{country: IR}, {country: KP}]}
  - {group: "EAR:D:5", label: Arms, source: Supp. 1, checked: true, members: [{country: CN}, {country: RU}]}
  - {group: "OFAC:regions", label: Parts, source: E.O., checked: true, members: [{country: UA, subdivision: UA-43}]}
"""
PARAMETERS: Final = """\
lists: {EL: Entity List, MEU: Military End User List, SDN: Blocked Persons}
ownership:
  half: {threshold: "50", strict: false, methods: [cascade], owners: {listed: [EL, SDN]}}
operations:
  "4E091":
    {threshold: 1.0e+26, generator_share_more_than: "0.10", derivative_added_max: 2.5e+25,
     derivative_added_share: "0.25"}
columns:
  NS1: {everywhere_except: [CA, US]}
  AT1: {covers: ["EAR:E:1"]}
eccn: {"4E001.a": [NS1, AT1]}
military:
  "744.21": {list: MEU, purpose: military_end_use, any_item: ["EAR:D:5"], supplement_countries: [VE],
             supplement_eccn: ["4A994"]}
patterns:
  distillation: {min_shared: 2, min_accounts: 100, min_exchanges_24h: 100000, max_age_hours: 24}
parts:
  UA: {country: UA, subdivisions: [UA-43], postcodes: [{digits: 5, countries: [UA], prefixes: {"95": UA-43}}]}
"""
SETTINGS: Final = """\
max_age_seconds: {classified: 5, other: 30}
enforcement: {}
without: [us-order, us-itar, us-ear, us-ofac, consortium, operator, cn-blocking]
"""

GRANT: Final[Mapping[str, str]] = {
    "id": "ACCESS",
    "regime": "vendor",
    "effect": "permit",
    "action": "infer | list",
    "item": "tier:commodity",
    "codes": "COMMODITY_OK",
    "public_code": "ALLOWED",
    "citation": "vendor terms",
    "message": "Open to anyone on file.",
    "public_message": "You may use this model.",
}
BAR: Final[Mapping[str, str]] = {
    **GRANT,
    "id": "REGION",
    "effect": "deny",
    "item": "",
    "place": "located-in:EAR:E:1,CU",
    "codes": "REGION_UNSUPPORTED",
    "public_code": "NOT_AVAILABLE_REGION",
}
NOTE: Final[Mapping[str, str]] = {
    **GRANT,
    "id": "PAPERS",
    "effect": "note",
    "item": "",
    "authorisation": "holds:vendor/licence",
    "codes": "LICENCE_APPLIED",
}
RULES: Final = "rules/vendor.csv"


def sheet(*rows: Mapping[str, str], separator: str = ",", newline: str = "\n", quote_all: bool = False) -> bytes:
    """A rule file with these rows; a cell that is not given is empty."""
    text = io.StringIO()
    writer = csv.writer(
        text,
        delimiter=separator,
        lineterminator=newline,
        quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL,
    )
    writer.writerow(COLUMNS)
    writer.writerows([row.get(column, "") for column in COLUMNS] for row in rows)
    return text.getvalue().encode()


def book(**changes: str | bytes | None) -> dict[str, bytes]:
    """The files of the small book; a change is named by the file without its ending, `rules` is the rule file."""
    files: dict[str, str | bytes] = {
        "model": template(),
        "catalogue": CATALOGUE,
        "country_groups": COUNTRY_GROUPS,
        "parameters": PARAMETERS,
        "settings": SETTINGS,
        "rules": sheet(GRANT, BAR, NOTE),
    }
    names = {"model": "model.conf", "rules": RULES}
    wanted = {name: content for name, content in (files | changes).items() if content is not None}
    return {
        names.get(name, f"{name}.yaml"): content if isinstance(content, bytes) else content.encode()
        for name, content in wanted.items()
    }


def faults_of(files: Mapping[str, bytes], enforcement: Mapping[str, str] = MappingProxyType({})) -> tuple[Fault, ...]:
    """The faults for which the book is refused."""
    with pytest.raises(FaultsError) as refused:
        read_book(files, enforcement=enforcement)
    return refused.value.faults


def fault_of(files: Mapping[str, bytes]) -> Fault:
    """The one fault for which the book is refused."""
    (fault,) = faults_of(files)
    return fault


def fault_in(row: Mapping[str, str], *others: Mapping[str, str]) -> Fault:
    """The one fault of a book with this row and others."""
    return fault_of(book(rules=sheet(row, *others)))


def column_of(data: bytes, line: int, text: str) -> int:
    """The column at which a text stands in a line of a file."""
    return data.decode("utf-8-sig").split("\n")[line - 1].index(text) + 1
