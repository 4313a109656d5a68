"""Who asks: keys that are rotated, tokens of an issuer, certificates that a trusted proxy passes on; and how often."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey
from pydantic import ValidationError

from policy_engine.app.settings import Settings
from policy_engine.domain.gateways import CALLER_RIGHTS, Rate
from policy_engine.formats.faults import FaultsError
from policy_engine.formats.gateway_profiles import read_profiles
from policy_engine.formats.membership_file import read_members
from policy_engine.service.gate.issuer_keys import LIFETIME_SECONDS, IssuerKeys, IssuerUnavailable, Pace, read_keys
from policy_engine.service.gate.keyring import RIGHTS
from policy_engine.service.gate.rates import MOST_CALLERS, Limiter, TooMany
from tests.api.service import Service, copied, serving
from tests.conftest import POLICIES
from tests.gateways.conftest import keyed
from tests.gateways.every_door import DOORS, allows, in_process
from tests.gateways.issuing import (
    AUDIENCE,
    ISSUER,
    NOW,
    claims,
    confused,
    encoded,
    over_https,
    public_set,
    rsa,
    self_signed,
    token,
    unsigned,
)

PROFILES = Path(__file__).parent / "callers_profiles.yaml"
CAROL = {
    "subject": {"type": "person", "id": "carol"},
    "model": "opus-4.6",
    "action": "infer",
    "place": {"country": "US"},
}
HEAD = {"x-user-id": "carol", "x-model": "opus-4.6"}
URI = {"X-Forwarded-Uri": "/v1/chat/completions", "X-Forwarded-Method": "POST"}


def _ask(door: str, service: Service, given: str) -> httpx.Response:
    """The answer of a door to the honest question with that key or token."""
    return DOORS[door].ask(in_process(service), given)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("callers")


@pytest.fixture(scope="module")
def keys(folder: Path) -> Path:
    """The file of the issuer's keys."""
    path = folder / "keys.json"
    path.write_bytes(public_set(rsa("one")))
    return path


@pytest.fixture(scope="module")
def service(migrated: Path, folder: Path, keys: Path) -> Iterator[Service]:
    with _serving(migrated, folder, str(keys)) as running:
        yield running


def _serving(migrated: Path, folder: Path, where: str, **more: Any) -> Any:
    roster = read_members((POLICIES / "demo" / "roster.yaml").read_bytes(), "roster.yaml")
    settings = {"token_issuer": ISSUER, "token_audience": AUDIENCE, "token_keys": where, **more}
    return serving(copied(migrated, folder), roster, published=True, gateways=PROFILES, settings=settings)


def _plain(headers: dict[str, str]) -> str:
    return headers["Authorization"].removeprefix("Bearer ")


# --- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_of_two_live_keys_either_counts_and_a_revoked_one_denies_within_a_second(service: Service, door: str) -> None:
    old, new = (_plain(service.key("decide", gateway="main")) for _ in range(2))
    ask = partial(_ask, door)
    assert allows(ask(service, old))
    assert allows(ask(service, new))
    service.parts.ring.revoke(old.split("_")[1], service.now[0])
    began = time.monotonic()
    while (answer := ask(service, old)).status_code != 401 and time.monotonic() < began + 1:
        assert not allows(answer)
    assert answer.status_code == 401
    assert time.monotonic() < began + 1
    assert allows(ask(service, new))


def test_what_a_client_presents_under_authorization_is_nobody_and_stands_in_no_log(
    service: Service, capfd: pytest.CaptureFixture[str]
) -> None:
    client = "Bearer sk-canary-of-a-client"
    with structlog.testing.capture_logs() as lines:
        for path in ("/ext_authz/v1/chat/completions", "/forward-auth"):
            answer = service.client.post(path, headers={**HEAD, **URI, "Authorization": client})
            assert answer.status_code == 401
            head = {**HEAD, **URI, **keyed(service, "proxied"), "Authorization": client}
            service.client.post(path, headers=head)
    assert "canary" not in str(lines) + "".join(capfd.readouterr())
    record = service.client.get("/decisions", headers=service.key()).text
    assert "canary" not in record


# --- tokens -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_token_of_the_issuer_is_let_in_at_every_door(service: Service, door: str) -> None:
    assert allows(_ask(door, service, token()))


def test_the_record_says_which_issuer_and_subject_asked_and_is_made_again_to_its_bytes(service: Service) -> None:
    answer = _ask("decide", service, token()).json()
    assert "findings" not in answer
    record = service.client.get(f"/decisions/{answer['decision_id']}", headers=service.key()).json()
    assert record["caller"]["identity"] == {"by": "token", "issuer": ISSUER, "subject": "gateway-eu"}
    assert record["caller"]["gateway"] == "main"
    replayed = service.client.post(f"/decisions/{answer['decision_id']}/replay", headers=service.key()).json()
    assert replayed["same"] is True


def test_a_caller_may_do_what_its_entry_says_and_no_more(service: Service) -> None:
    explaining = token(claims(sub="other", scope="openid explaining"))
    assert "findings" in _ask("decide", service, explaining).json()
    for given in (explaining, token()):
        listed = service.client.get("/decisions", headers={"Authorization": f"Bearer {given}"})
        assert listed.status_code == 403


NOBODY = {
    "whom no entry means": claims(sub="another"),
    "whom two entries mean": claims(scope="explaining"),
    "with a scope that only begins alike": claims(sub="another", scope="explaining-all"),
}


@pytest.mark.parametrize("who", NOBODY)
def test_a_good_token_of_one_whom_not_one_entry_means_may_do_nothing(service: Service, who: str) -> None:
    for door in DOORS:
        answer = _ask(door, service, token(NOBODY[who]))
        assert answer.status_code == 403, door
        assert "x-decision-id" not in answer.headers


def _twice() -> bytes:
    return json.dumps(claims()).encode()[:-1] + b',"sub":"gateway-eu"}'


STRANGER = RSAKey.generate_key(2048, {"kid": "one"})
HOSTILE: dict[str, Callable[[], str]] = {
    "alg none": unsigned,
    "HS256 by the public key": confused,
    "another issuer": lambda: token(claims(iss="https://evil.example.com/")),
    "another audience": lambda: token(claims(aud=["https://other.example.com"])),
    "another type": lambda: token(typ="JWT"),
    "no type": lambda: token(typ=None),
    "expired": lambda: token(claims(exp=NOW - 31)),
    "not yet valid": lambda: token(claims(nbf=NOW + 31)),
    "made in the future": lambda: token(claims(iat=NOW + 31)),
    "no end": lambda: token(claims(exp=None)),
    "an end that is no number": lambda: token(claims(exp="never")),
    "an end without end": lambda: token(json.dumps(claims()).replace(str(NOW + 300), "1e999").encode()),
    "an end beyond all numbers": lambda: token(claims(exp=10**400)),
    "no issue": lambda: token(claims(iat=None)),
    "no subject": lambda: token(claims(sub=None)),
    "an unknown key": lambda: token(kid="two"),
    "a key by a path": lambda: token(kid="../../dev/null", key=rsa("one")),
    "a key by a query": lambda: token(kid="one' OR '1'='1", key=rsa("one")),
    "no key": lambda: token(kid="", key=rsa("one")),
    "two members in the body": lambda: token(_twice()),
    "its own key in the head": lambda: token(key=STRANGER, jwk=STRANGER.as_dict(private=False)),
    "an address of its key in the head": lambda: token(key=STRANGER, jku="https://evil.example.com/keys"),
    "an address of a certificate in the head": lambda: token(key=STRANGER, x5u="https://evil.example.com/cert"),
    "an unknown extension": lambda: token(crit=["exp"], exp=1),
    "cut off": lambda: token()[:-20],
    "without a signature": lambda: token().rpartition(".")[0] + ".",
    "a changed body": lambda: ".".join((token().split(".")[0], encoded(claims(sub="root")), token().split(".")[2])),
    "five parts": lambda: token() + ".x.y",
    "too long": lambda: token(claims(padding="x" * 9000)),
    "a body that is no object": lambda: token(b"[]"),
    "no base64url": lambda: token() + "=",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_token_is_refused_at_every_door(service: Service, what: str) -> None:
    given = HOSTILE[what]()
    for door in DOORS:
        answer = _ask(door, service, given)
        assert answer.status_code == 401, door
        assert answer.headers["www-authenticate"].endswith('error="invalid_token"'), door
        assert given not in answer.text
    answer = _ask("decide", service, given)
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert answer.json()["type"] == "/problems/invalid-token"


def test_two_members_in_the_head_are_refused(service: Service) -> None:
    head = encoded(b'{"alg":"none","alg":"RS256","typ":"at+jwt","kid":"one"}')
    answer = _ask("decide", service, ".".join((head, *token().split(".")[1:])))
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


def test_what_the_head_says_of_keys_is_not_read_where_the_signature_is_the_issuers(service: Service) -> None:
    assert allows(_ask("decide", service, token(jku="https://evil.example.com/keys")))


def test_a_token_ends_while_the_service_remembers_its_signature(service: Service) -> None:
    given, then = token(claims(exp=NOW + 60)), service.now[0]
    assert allows(_ask("decide", service, given))
    service.now[0] = then.replace(minute=2)
    try:
        assert _ask("decide", service, given).status_code == 401
    finally:
        service.now[0] = then


# --- the issuer's keys ------------------------------------------------------------------------------------------------


def test_a_new_key_is_taken_after_one_fetch_for_all_who_ask_and_a_removed_one_is_refused(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hands = [1_000.0]
    monkeypatch.setattr("policy_engine.app.callers.monotonic", lambda: hands[0])
    with over_https(tmp_path, public_set(rsa("one"))) as issuer:
        monkeypatch.setenv("SSL_CERT_FILE", str(issuer.authority))
        with _serving(migrated, tmp_path, f"{issuer.address}/keys") as service:
            ask = partial(_ask, "decide")
            assert issuer.asked == 0
            assert allows(ask(service, token()))
            issuer.document = public_set(rsa("one"), rsa("two"))
            assert ask(service, token(kid="two")).status_code == 401
            assert issuer.asked == 1
            hands[0] += 5
            with ThreadPoolExecutor(8) as many:
                answers = list(many.map(lambda _: ask(service, token(kid="two")), range(16)))
            assert all(map(allows, answers))
            assert issuer.asked == 2
            for _ in range(20):
                assert ask(service, token(kid="nine")).status_code == 401
            assert issuer.asked == 2
            issuer.document = public_set(rsa("two"))
            hands[0] += 60
            assert ask(service, token(kid="one")).status_code == 401
            assert allows(ask(service, token(kid="two")))
            assert issuer.asked == 3
            _fails_closed(service, issuer, hands)


def _fails_closed(service: Service, issuer: Any, hands: list[float]) -> None:
    issuer.status = 302
    hands[0] += 60
    assert allows(_ask("decide", service, token(kid="two")))
    assert _ask("decide", service, token(kid="nine")).status_code == 503
    hands[0] += LIFETIME_SECONDS
    for door in DOORS:
        answer = _ask(door, service, token(kid="two"))
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1"), door
        assert "x-decision-id" not in answer.headers
    assert allows(_ask("decide", service, _plain(service.key("decide"))))
    issuer.status = 200
    hands[0] += 5
    assert allows(_ask("decide", service, token(kid="two")))


def test_an_issuer_that_does_not_answer_in_time_lets_nobody_in(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("policy_engine.http.security.LOOK_SECONDS", 0.05)
    with over_https(tmp_path, public_set(rsa("one"))) as issuer:
        monkeypatch.setenv("SSL_CERT_FILE", str(issuer.authority))
        issuer.seconds = 1.5
        with _serving(migrated, tmp_path, f"{issuer.address}/keys") as service:
            answer = _ask("decide", service, token())
            assert answer.status_code == 503
            assert "decision_id" not in answer.json()


SETS = {
    "no JSON": b"<html>",
    "no list": b'{"keys": {}}',
    "no key": b'{"keys": []}',
    "only a secret": b'{"keys": [{"kty": "oct", "kid": "one", "k": "c2VjcmV0"}]}',
    "only a key for encryption": json.dumps({"keys": [{**rsa("one").as_dict(private=False), "use": "enc"}]}).encode(),
    "a private key": json.dumps({"keys": [rsa("one").as_dict(private=True)]}).encode(),
    "a key that is too short": json.dumps(
        {"keys": [{"kty": "RSA", "kid": "one", "n": "x" * 171, "e": "AQAB"}]}
    ).encode(),
    "a key without an id": json.dumps(
        {"keys": [{name: value for name, value in rsa("one").as_dict(private=False).items() if name != "kid"}]}
    ).encode(),
    "two keys of one id": public_set(rsa("one"), rsa("one")),
    "a key that is broken": b'{"keys": [{"kty": "RSA", "kid": "one", "n": "!", "e": 5}]}',
}


@pytest.mark.parametrize("what", SETS)
def test_a_set_of_keys_that_names_no_one_key_of_a_signature_is_none(what: str) -> None:
    with pytest.raises(IssuerUnavailable):
        read_keys(SETS[what])


def test_an_issuer_that_is_silent_from_the_first_is_told_once_and_lets_nobody_in() -> None:
    told: list[str | None] = []

    def fails() -> bytes:
        raise IssuerUnavailable("no route")

    now = [0.0]
    keys = IssuerKeys(fails, monotonic=lambda: now[0], report=told.append, pace=Pace())
    for _ in range(3):
        assert keys.wants_look("one")
        keys.look()
        now[0] += 5
        with pytest.raises(IssuerUnavailable):
            keys.current()
    assert told == ["no route"]


# --- certificates -----------------------------------------------------------------------------------------------------

GATEWAY, _ = self_signed("spiffe://example.com/gateway")
OTHER, _ = self_signed("spiffe://example.com/other")
NAMELESS, _ = self_signed(None, named=False)
EXPIRED, _ = self_signed("spiffe://example.com/gateway", days=-1)


def _field(certificate: Any) -> str:
    return f":{base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()}:"


def _from(service: Service, peer: str, *lines: tuple[str, str], path: str = "/decide", **more: Any) -> Any:
    with_peer = TestClient(service.client.app, client=(peer, 5000), raise_server_exceptions=False)
    return with_peer.post(path, headers=list(lines), **({"json": CAROL} | more))


def test_a_certificate_that_a_trusted_proxy_passes_on_is_its_caller(service: Service) -> None:
    answer = _from(service, "10.0.0.7", ("client-cert", _field(GATEWAY)))
    assert allows(answer)
    record = service.client.get(f"/decisions/{answer.json()['decision_id']}", headers=service.key()).json()
    subject = "spiffe://example.com/gateway"
    assert record["caller"]["identity"] == {"by": "certificate", "issuer": "CN=test", "subject": subject}
    assert record["caller"]["gateway"] == "proxied"
    digest = GATEWAY.fingerprint(SHA256()).hex()
    passed = f'By=spiffe://example.com/pdp;Hash={digest};Subject="CN=test,O=a;b";URI=spiffe://example.com/envoy'
    assert allows(_from(service, "10.0.0.7", ("x-forwarded-client-cert", passed)))


FORGED: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "from elsewhere": ("203.0.113.9", [("client-cert", _field(GATEWAY))]),
    "from no address": ("testclient", [("client-cert", _field(GATEWAY))]),
    "in two lines": ("10.0.0.7", [("client-cert", _field(GATEWAY)), ("client-cert", _field(GATEWAY))]),
    "expired": ("10.0.0.7", [("client-cert", _field(EXPIRED))]),
    "without colons": ("10.0.0.7", [("client-cert", _field(GATEWAY).strip(":"))]),
    "no certificate": ("10.0.0.7", [("client-cert", ":AAAA:")]),
    "no base64": ("10.0.0.7", [("client-cert", ":!!:")]),
    "empty": ("10.0.0.7", [("client-cert", "")]),
    "two elements": ("10.0.0.7", [("x-forwarded-client-cert", "URI=spiffe://example.com/envoy,URI=spiffe://x/y")]),
    "two hashes": (
        "10.0.0.7",
        [("x-forwarded-client-cert", f"Hash={'a' * 64};Hash={'b' * 64};URI=spiffe://example.com/envoy")],
    ),
    "a quote that does not end": (
        "10.0.0.7",
        [("x-forwarded-client-cert", 'URI=spiffe://example.com/envoy;Subject="x')],
    ),
    "an end that is none": ("10.0.0.7", [("x-forwarded-client-cert", "URI=spiffe://example.com/envoy;")]),
    "a name of the proxy's own": ("10.0.0.7", [("x-forwarded-client-cert", "By=spiffe://example.com/envoy")]),
    "a hash that is none": ("10.0.0.7", [("x-forwarded-client-cert", "Hash=x;URI=spiffe://example.com/envoy")]),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_certificate_that_leaves_a_doubt_is_nobodys(service: Service, how: str) -> None:
    peer, lines = FORGED[how]
    answer = _from(service, peer, *lines)
    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_a_certificate_of_one_whom_not_one_entry_means_may_do_nothing(service: Service) -> None:
    for certificate in (OTHER, NAMELESS):
        assert _from(service, "10.0.0.7", ("client-cert", _field(certificate))).status_code == 403
    both = (("client-cert", _field(GATEWAY)), ("x-forwarded-client-cert", "URI=spiffe://example.com/envoy"))
    assert _from(service, "10.0.0.7", *both).status_code == 403


def test_a_certificate_counts_for_nothing_beside_a_key_or_where_the_head_is_the_clients(service: Service) -> None:
    line = ("client-cert", _field(GATEWAY))
    assert _from(service, "10.0.0.7", line, ("authorization", "Bearer pe_x_y")).status_code == 401
    for path in ("/ext_authz/v1/chat/completions", "/forward-auth"):
        assert _from(service, "10.0.0.7", line, *HEAD.items(), *URI.items(), path=path).status_code == 401


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_one_who_asks_too_often_is_told_when_to_come_back(service: Service, door: str) -> None:
    key = _plain(service.key("decide", gateway="limited"))
    answers = [_ask(door, service, key) for _ in range(4)]
    by_status = DOORS[door].by_status
    assert answers[0].status_code in ({200, 403} if by_status else {200})
    last = answers[-1]
    assert last.status_code == (503 if by_status else 429)
    assert int(last.headers["retry-after"]) >= 1
    assert "x-decision-id" not in last.headers
    if by_status:
        assert last.json()["error"]["code"] == "authorization_unavailable"
    else:
        assert last.json()["type"] == "/problems/too-many-requests"
    assert allows(_ask("decide", service, _plain(service.key("decide", gateway="main"))))


def test_a_limit_of_the_settings_holds_for_each_caller_alone(migrated: Path, tmp_path: Path, keys: Path) -> None:
    with _serving(migrated, tmp_path, str(keys), rate_per_second=1, rate_burst=1) as service:
        ask = partial(_ask, "decide")
        key = _plain(service.key("decide", gateway="main"))
        statuses = [ask(service, given).status_code for given in (key, key, token(), token())]
        assert statuses == [200, 429, 200, 429]


def test_what_is_left_grows_with_time_up_to_the_burst_and_buckets_are_bounded() -> None:
    now = [0.0]
    limiter, rate = Limiter(lambda: now[0]), Rate(per_second=2, burst=3)

    def taken() -> int:
        for count in range(100):
            try:
                limiter.take("one", rate)
            except TooMany:
                return count
        return 100

    assert taken() == 3
    now[0] += 1
    assert taken() == 2
    now[0] += 1_000
    assert taken() == 3
    for number in range(MOST_CALLERS + 5):
        limiter.take(str(number), rate)
    assert len(limiter) == MOST_CALLERS


def test_threads_take_no_more_than_there_is() -> None:
    limiter, rate = Limiter(lambda: 0.0), Rate(per_second=1, burst=50)
    taken: list[int] = []

    def take() -> None:
        for _ in range(50):
            try:
                limiter.take("one", rate)
            except TooMany:
                continue
            taken.append(1)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(taken) == 50


# --- settings and profiles that do not fit ----------------------------------------------------------------------------


def test_a_profile_gives_rights_that_there_are() -> None:
    assert set(CALLER_RIGHTS) <= set(RIGHTS)


def test_callers_by_a_token_need_an_issuer_and_an_issuer_needs_callers(migrated: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(FaultsError, match="no issuer of tokens is set up"),
        serving(copied(migrated, tmp_path), published=True, gateways=PROFILES),
    ):
        pass
    settings = {"token_issuer": ISSUER, "token_audience": AUDIENCE, "token_keys": "keys.json"}
    with (
        pytest.raises(FaultsError, match="no profile names a caller"),
        serving(copied(migrated, tmp_path), published=True, settings=settings),
    ):
        pass


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"token_issuer": ISSUER}, "TOKEN_AUDIENCE and POLICY_ENGINE_TOKEN_KEYS"),
        ({"token_keys": "http://login.example.com/keys"}, "https"),
        ({"token_algorithms": "RS256,HS256"}, "only the issuer"),
        ({"token_algorithms": "none"}, "only the issuer"),
        ({"token_algorithms": ""}, "only the issuer"),
    ],
)
def test_a_setting_by_which_tokens_could_be_forged_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(**settings)


PAGE = Path(__file__).parents[2] / "docs" / "gateways" / "callers.md"
WRITTEN = re.findall(r"```yaml\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[0]


def test_the_profile_of_the_page_is_read_as_it_says() -> None:
    profile = read_profiles(WRITTEN.encode(), "gateways.yaml").by_gateway["main"]
    assert [sorted(one.rights) for one in profile.callers] == [["decide"], ["decide", "decisions:explain"], ["decide"]]
    assert profile.callers[1].claims == (("client_id", "gateway-us"), ("scope", "ask"))
    assert profile.rate == Rate(per_second=200, burst=400)


UNFIT = {
    "a right that changes something": ("rights: [decide,", 'rights: ["freeze",', "no right that a profile may give"),
    "no right": ('rights: [decide, "decisions:explain"]', "rights: []", "may do nothing"),
    "a property that is none": ("assertable: [us_status]", "assertable: [rich]", "no property that can be asserted"),
    "a claim of every token": ("{sub: gateway-eu}", "{iss: gateway-eu}", "checked for every token"),
    "no claim": ("{sub: gateway-eu}", "{}", "which claims a token has to carry"),
    "two ways to be known": ("{certificate:", "{token: {sub: x}, certificate:", "one of the two"),
    "no way to be known": ("- {token: {sub: gateway-eu}}", "- {rights: [decide]}", "one of the two"),
    "a name that no certificate has": ("spiffe://example.com/gateway", "gateway", "not a name of a certificate"),
    "certificates from anybody": ("trusted_proxies: [10.0.0.7/32]", "trusted_proxies: []", "trusted proxies alone"),
    "certificates from nowhere": ("    certificate_from: client-cert\n", "", "does not say where it is passed on"),
    "a header without a caller": ("      - {certificate:", "      #", "no caller is known by one"),
    "a caller twice": ("- {token: {sub: gateway-eu}}", "- {token: {sub: a}}\n      - {token: {sub: a}}", "twice"),
    "a rate of nothing": ("per_second: 200", "per_second: 0", "a whole number from 1"),
    "a rate without a burst": (", burst: 400", "", "a whole number from 1"),
    "an unknown field": ("{token: {sub: gateway-eu}}", "{token: {sub: x}, person: me}", "person"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_profile_that_lets_in_whom_it_does_not_mean_is_refused_with_its_place(what: str) -> None:
    written, instead, said = UNFIT[what]
    assert written in WRITTEN
    with pytest.raises(FaultsError) as raised:
        read_profiles(WRITTEN.replace(written, instead).encode(), "gateways.yaml")
    assert said in str(raised.value)
    assert "gateways.yaml:" in str(raised.value)


def test_a_caller_of_two_gateways_is_refused() -> None:
    again = WRITTEN.replace("gateways:\n", "").replace("  main:", "  other:")
    with pytest.raises(FaultsError, match="name the same caller"):
        read_profiles((WRITTEN + again).encode(), "gateways.yaml")
