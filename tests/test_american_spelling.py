"""`license` is understood wherever a word of a closed list is `licence`, and nowhere else."""

from __future__ import annotations

import pytest

from policy_engine.domain.request import Action
from policy_engine.domain.roster import AuthorisationKind
from policy_engine.formats.membership_file import read_members
from policy_engine.formats.request_document import parse_object, request_of
from policy_engine.policy.cells import parse_codes, parse_obligations, parse_sentences
from policy_engine.policy.conditions import read_condition
from policy_engine.service.audit.inspect import read_filters


def test_a_member_file_may_write_it() -> None:
    text = """
organisations: [{id: redwood-labs}]
authorisations:
  - {id: D-1, regime: us-ear, kind: license, holder: redwood-labs, models: [gpt-5.4], actions: [license_determination],
     countries: null, from: 2026-01-01, to: null, cap: null, conditions: []}
"""
    (row,) = read_members(text.encode(), "members.yaml").authorisations
    assert (row.kind, row.actions) == (AuthorisationKind.LICENCE, ("licence_determination",))


def test_a_request_may_write_it() -> None:
    body = b'{"subject": {"type": "person", "id": "alice"}, "model": "gpt-5.4", "action": "license_determination"}'
    assert request_of(parse_object(body)).action is Action.LICENCE_DETERMINATION


@pytest.mark.parametrize(
    ("column", "written", "meant"),
    [
        ("action", "license_determination | infer", "action:licence_determination | action:infer"),
        ("authorisation", "holds:us-ear/license", "holds:us-ear/licence"),
        ("authorisation", "holds-or-host:any/license,exception", "holds-or-host:any/licence,exception"),
        ("party", "organisation-holds:us-itar/license", "organisation-holds:us-itar/licence"),
        ("party", "organisation:license-lawyers", "organisation:license-lawyers"),
        ("item", "model:license-1", "model:license-1"),
    ],
)
def test_a_rule_may_write_it_and_a_name_stays_a_name(column: str, written: str, meant: str) -> None:
    reading = read_condition(written, column)
    assert (reading.condition.text, reading.mistakes) == (meant, ())


def test_the_cells_of_codes_may_write_it() -> None:
    assert [one.code for one in parse_codes("LICENSE_REQUIRED").value] == ["LICENCE_REQUIRED"]
    assert parse_obligations("keep:it for LICENSE_REQUIRED = Keep it.").value[0].codes == ("LICENCE_REQUIRED",)
    sentences = parse_sentences("No.; LICENSE_REQUIRED = Get one.", ("LICENCE_REQUIRED",))
    assert sentences.value.of_codes == (("LICENCE_REQUIRED", "Get one."),)


def test_a_filter_of_the_log_may_write_it() -> None:
    filters = read_filters({"action": "license_determination", "code": "LICENSE_REQUIRED"})
    assert (filters.action, filters.code) == ("licence_determination", "LICENCE_REQUIRED")


def test_another_word_is_still_refused() -> None:
    with pytest.raises(ValueError, match="licens"):
        Action("licenses")
