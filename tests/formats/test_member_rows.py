"""The declaration of the members' rows: complete, as the rows are, and as its schema says."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any, Final

import jsonschema_rs
import pytest

from policy_engine.domain.instants import Validity
from policy_engine.domain.roster import Authorisation, RosterRows
from policy_engine.formats.documents import jsonable, read_document
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.membership_writer import write_members
from policy_engine.formats.roster_rows import each_row
from policy_engine.shapes.member_rows import BY_TYPE, EVERYWHERE, SECTIONS, RowField, Section, document_schema
from tests.store.samples import AT, FULL

SCHEMA: Final = jsonschema_rs.validator_for(document_schema())
DECLARED: Final = [pytest.param(section, id=name) for name, section in SECTIONS.items()]


def as_json(rows: RosterRows) -> Any:
    return jsonable(read_document(write_members(rows).encode(), "members"))


@pytest.mark.parametrize("section", DECLARED)
def test_every_field_of_a_row_is_declared_once(section: Section) -> None:
    held = sorted(one.name for one in fields(section.row))

    told = {name for member in (*section.members, *EVERYWHERE) for name in member.fields}
    assert held == sorted(told | ({"person"} if section.personal else set()))
    assert len({member.name for member in section.members}) == len(section.members)


def key_of(row: Any) -> object:
    """By what an import finds the row that is on file: an authorisation by its id."""
    return row.id if isinstance(row, Authorisation) else row.key


def otherwise(row: Any, member: RowField) -> Any:
    """The row with the field left out, and with it filled."""
    name = member.fields[0]
    if name == "valid":
        valid = row.valid
        begins = Validity(start=None if valid.start else AT, end=valid.end)
        ends = Validity(start=valid.start, end=None if valid.end else AT.replace(year=2100))
        return replace(row, valid=begins if member.name == "from" else ends)
    return replace(row, **{name: None if getattr(row, name) is not None else ("x",) if member.many else 7})


@pytest.mark.parametrize("row", [pytest.param(row, id=BY_TYPE[type(row)].name) for row in each_row(FULL)])
def test_what_a_row_may_leave_out_is_part_of_its_key_exactly_where_it_is_declared_so(row: Any) -> None:
    for member in BY_TYPE[type(row)].members:
        if not member.required:
            assert (key_of(otherwise(row, member)) != key_of(row)) is member.keyed, member.name


def test_what_is_written_is_as_the_schema_says() -> None:
    assert {error.message for error in SCHEMA.iter_errors(as_json(FULL))} == set()


@pytest.mark.parametrize("section", DECLARED)
def test_reader_and_schema_refuse_a_field_that_is_not_declared_and_a_row_without_one_that_is_needed(
    section: Section,
) -> None:
    document = as_json(FULL)
    rows = document["people"] if section.personal else document[section.name]
    row = next(one[section.name][0] for one in rows if one.get(section.name)) if section.personal else rows[0]

    def refused(message: str) -> None:
        assert not SCHEMA.is_valid(document)
        with pytest.raises(FaultsError) as caught:
            read_members(json.dumps(document).encode(), "members.json")
        assert any(message in str(fault) for fault in caught.value.faults)

    row["zzz"] = 1
    refused("`zzz`")
    del row["zzz"]
    for member in section.members:
        if member.required:
            held = row.pop(member.name)
            refused(f"`{member.name}`")
            row[member.name] = held
    assert SCHEMA.is_valid(document)
