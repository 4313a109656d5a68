"""The file of profiles is read strictly, and a profile reads what a gateway passes on or names its doubt."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_engine.app.builder import build
from policy_engine.app.settings import Settings
from policy_engine.domain.catalogue import Catalogue, Entry, ItemKind
from policy_engine.domain.gateways import Doubt, Message, asked
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.gateway_profiles import read_profiles
from tests.api.service import copied
from tests.conftest import POLICIES

WHOLE = """
gateways:
  main:
    subject_from: [{header: x-user, type: person}]
    model_from: [{header: x-model}]
    place_from: [{address: client, gives: ip}, {header: x-country, gives: ip_country}]
    purpose_from: [{header: x-purpose}]
    trusted_proxies: [10.0.0.0/8]
    routes: [{path: /v1/chat, action: infer}]
"""


def _faults(text: str) -> str:
    with pytest.raises(FaultsError) as raised:
        read_profiles(text.encode(), "gateways.yaml")
    return str(raised.value)


REFUSED = {
    "without a source of the place": (
        WHOLE.replace("    place_from: [{address: client, gives: ip}, {header: x-country, gives: ip_country}]\n", ""),
        "names no source: without a place nothing is allowed",
    ),
    "without a source of the purpose": (
        WHOLE.replace("    purpose_from: [{header: x-purpose}]\n", ""),
        "names no source: models of the classified tier need a purpose",
    ),
    "without a route": (WHOLE.replace("[{path: /v1/chat, action: infer}]", "[]"), "what is not listed is denied"),
    "an unknown field": (WHOLE + "    owner: me\n", "owner"),
    "a header that carries secrets": (WHOLE.replace("x-user", "authorization"), "carries secrets"),
    "a header in capital letters": (WHOLE.replace("header: x-user", "header: X-User"), "small letters"),
    "two origins of one source": (WHOLE.replace("{header: x-model}", "{header: x-model, body: model}"), "one place"),
    "a path that is written in two ways": (WHOLE.replace("/v1/chat", "/v1/../chat"), "segment of dots"),
    "an action that gives no access": (WHOLE.replace("action: infer", "action: licence_determination"), "no access"),
    "a network that is none": (WHOLE.replace("10.0.0.0/8", "10.0.0.0/99"), "is not a network"),
    "an address that gives a country": (WHOLE.replace("client, gives: ip}", "client, gives: country}"), "no country"),
    "a source that stands twice": (
        WHOLE.replace("[{header: x-model}]", "[{header: x-model}, {header: x-model}]"),
        "twice",
    ),
    "no gateway": ("gateways:", "names no gateway"),
    "nothing": ("", ""),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_with_a_fault_is_refused_with_its_place(what: str) -> None:
    text, said = REFUSED[what]
    assert text != WHOLE
    told = _faults(text)
    assert said in told
    assert "gateways.yaml:" in told


CATALOGUE = Catalogue(
    entries={
        "opus-4.6": Entry(id="opus-4.6", kind=ItemKind.MODEL, aliases=(("main", ("opus",)),)),
        "mythos-5": Entry(id="mythos-5", kind=ItemKind.MODEL, aliases=(("main", ("mythos",)), ("edge", ("sonnet",)))),
    }
)
TWO_MODELS = {
    "a model's id": "mythos-5: opus-4.6",
    "another model's alias at this gateway": "mythos: opus-4.6",
    "a model's id, for a model that is none": "mythos-5: gone",
}


@pytest.mark.parametrize("what", TWO_MODELS)
def test_an_alias_that_is_itself_the_name_of_another_model_is_refused_where_the_catalogue_is_known(what: str) -> None:
    text = WHOLE + f"    aliases: {{house: opus-4.6, {TWO_MODELS[what]}}}\n"
    assert read_profiles(text.encode(), "gateways.yaml").by_gateway["main"].aliases["house"] == "opus-4.6"
    with pytest.raises(FaultsError) as raised:
        read_profiles(text.encode(), "gateways.yaml", CATALOGUE)
    (fault,) = raised.value.faults
    assert str(fault).startswith("gateways.yaml:10:")
    assert "is the name of a model in the catalogue" in fault.message
    assert fault.remedy == "give it another name at the gateway, or take the alias away"


def test_an_alias_of_the_catalogue_for_the_same_model_or_of_another_gateway_stands() -> None:
    text = WHOLE + "    aliases: {house: opus-4.6, opus: opus-4.6, mythos-5: mythos, sonnet: opus-4.6}\n"
    assert read_profiles(text.encode(), "gateways.yaml", CATALOGUE).by_gateway["main"].aliases["house"] == "opus-4.6"


def test_a_service_does_not_start_with_an_alias_that_is_the_name_of_another_model(
    migrated: Path, tmp_path: Path
) -> None:
    file = tmp_path / "gateways.yaml"
    file.write_text(WHOLE + "    aliases: {mythos-5: opus-4.6}\n")
    with pytest.raises(FaultsError, match="is the name of a model in the catalogue"):
        build(Settings(database_url=copied(migrated, tmp_path), policies=POLICIES, gateways=file))


def test_the_fingerprint_is_of_what_the_file_says_and_not_of_how_it_is_written() -> None:
    first = read_profiles(WHOLE.encode(), "a").fingerprint
    assert read_profiles(("# a comment" + WHOLE).encode(), "b").fingerprint == first
    assert read_profiles(WHOLE.replace("x-user", "x-person").encode(), "c").fingerprint != first


def _asked(**changed: str) -> str | None:
    head = {"x-user": "carol", "x-model": "opus-4.6", "x-forwarded-for": "203.0.113.7, 10.1.1.1", **changed}
    message = Message(method="POST", target="/v1/chat", headers=tuple(head.items()), peer="10.0.0.1")
    return asked(message, read_profiles(WHOLE.encode(), "a").by_gateway["main"]).requests[0].place.ip


def test_the_clients_address_is_the_last_that_no_trusted_proxy_is() -> None:
    assert _asked() == "203.0.113.7"
    assert _asked(**{"x-forwarded-for": "198.51.100.1, 203.0.113.7, 10.1.1.1"}) == "203.0.113.7"
    assert _asked(**{"x-forwarded-for": ""}) is None


def test_a_chain_with_what_is_no_address_is_a_doubt() -> None:
    with pytest.raises(Doubt, match="not an address"):
        _asked(**{"x-forwarded-for": "203.0.113.7, me"})


@pytest.mark.parametrize("peer", ["203.0.113.9", None])
def test_what_comes_from_no_trusted_proxy_is_a_doubt(peer: str | None) -> None:
    profile = read_profiles(WHOLE.encode(), "a").by_gateway["main"]
    message = Message(method="POST", target="/v1/chat", headers=(("x-user", "carol"),), peer=peer)
    with pytest.raises(Doubt, match="trusted"):
        asked(message, profile)
