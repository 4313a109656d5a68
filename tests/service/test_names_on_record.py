"""A search for a name that nothing ever had is refused; one for a name of before is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from policy_engine.service.audit.names_on_record import MOST_BOOKS
from tests.api.desks import ALLOWED, ROSTER, SMALL, Officer, edited
from tests.api.service import Service, copied, serving
from tests.conftest import SMALL_BOOK

ASKED = {**ALLOWED, "model": "opus-4.6"}
RENAMED = edited("rules/operator.csv", "OPERATOR-SUSPEND-ALL,operator", "OPERATOR-SUSPEND-OLD,operator")


@pytest.fixture
def service(migrated: Path, tmp_path: Path) -> Iterator[Service]:
    with serving(copied(migrated, tmp_path), ROSTER, published=True, policies=SMALL_BOOK) as running:
        running.decide(ASKED)
        yield running


@pytest.mark.parametrize("path", ["/decisions", "/decisions/export"])
@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("model", "opus-4.7", "did you mean `opus-4.6`?"),
        ("model", "opus", "for the gateway `main` it means `opus-4.6`: search for that"),
        ("rule", "VENDOR-GENERAL-ACCES", "did you mean `VENDOR-GENERAL-ACCESS`?"),
        ("gateway", "Main", "did you mean `main`?"),
        ("model", "zzzzzzzzzz", "is no model of any decision on record, and of no book, freeze or key there was"),
        ("tier", "comodity", "did you mean `commodity`?"),
        ("action", "infre", "did you mean `infer`?"),
        ("regime", "us-oder", "did you mean `us-order`?"),
        ("code", "FOREIGN_PERSN", "did you mean `FOREIGN_PERSON`?"),
    ],
)
def test_a_name_that_nothing_ever_had_is_400_with_the_name_that_was_meant(
    service: Service, path: str, name: str, value: str, told: str
) -> None:
    form = {"format": "csv"} if path.endswith("export") else {}
    answer = service.client.get(path, params={**form, name: value}, headers=service.key("decisions:read"))
    assert answer.status_code == 400, answer.text
    assert told in answer.text
    assert name in answer.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model", "mythos-5"),
        ("rule", "OPERATOR-SUSPEND-ALL"),
        ("rule", "ENGINE-NO-GRANT"),
        ("subject", "person:nobody-at-all"),
        ("organisation", "nobody-at-all"),
    ],
)
def test_a_name_of_the_book_that_no_decision_has_finds_nothing(service: Service, name: str, value: str) -> None:
    answer = service.client.get("/decisions", params={name: value}, headers=service.key("decisions:read"))
    assert answer.status_code == 200
    assert answer.json()["decisions"] == []


def test_a_name_that_only_a_decision_on_record_has_is_found(service: Service) -> None:
    service.decide({**ASKED, "model": "none-such"})
    answer = service.client.get("/decisions", params={"model": "none-such"}, headers=service.key("decisions:read"))
    assert len(answer.json()["decisions"]) == 1


def test_the_rule_of_a_book_that_was_replaced_and_a_freeze_that_met_nobody_may_be_asked_for(service: Service) -> None:
    dora, bela = Officer(service, "dora"), Officer(service, "bela")
    entries = "".join(f"OPERATOR-SUSPEND-{name},2026-11-20,renamed,for the test\n" for name in ("ALL", "OLD"))
    proposal = dora.propose({**RENAMED, "CHANGELOG.csv": SMALL["CHANGELOG.csv"] + entries})
    assert proposal.status_code == 201, proposal.text
    assert bela.approve(proposal.json()["id"]).status_code == 200
    freeze = dora.freeze(models=["mythos-5"]).json()["id"]
    key = service.key("decisions:read")
    for rule in ("OPERATOR-SUSPEND-ALL", "OPERATOR-SUSPEND-OLD", freeze):
        assert service.client.get("/decisions", params={"rule": rule}, headers=key).status_code == 200, rule
    assert service.client.get("/decisions", params={"rule": "OPERATOR-SUSPEND-NEW"}, headers=key).status_code == 400


def test_where_not_every_book_is_read_nothing_is_said_to_be_unknown(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST_BOOKS > 1
    monkeypatch.setattr("policy_engine.service.audit.names_on_record.MOST_BOOKS", 0)
    answer = service.client.get("/decisions", params={"model": "opus-4.7"}, headers=service.key("decisions:read"))
    assert answer.status_code == 200
