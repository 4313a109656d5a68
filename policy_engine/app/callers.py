"""Who may ask without a key, and how much, as the settings and the gateways' profiles say together."""

from __future__ import annotations

from time import monotonic
from typing import Final

import structlog

from policy_engine.app.clock import Clock
from policy_engine.app.issuer import fetcher
from policy_engine.app.settings import Settings
from policy_engine.domain.gateways import Profiles, Rate
from policy_engine.formats.faults import Fault, FaultsError
from policy_engine.service.gate.callers import Callers
from policy_engine.service.gate.issuer_keys import IssuerKeys
from policy_engine.service.gate.rates import Limiter
from policy_engine.service.gate.tokens import TokenRules, Tokens


def callers_of(settings: Settings, profiles: Profiles, clock: Clock) -> Callers:
    """What knows callers. Raises `FaultsError` where settings and profiles do not fit together."""
    tokens = _tokens(settings, clock)
    named = any(one.claims for profile in profiles.by_gateway.values() for one in profile.callers)
    if named and tokens is None:
        _refuse(settings, "callers are known by a token, and no issuer of tokens is set up", _ALL_THREE)
    if tokens is not None and not named:
        _refuse(settings, "POLICY_ENGINE_TOKEN_ISSUER is set, and no profile names a caller that has a token", _CALLERS)
    per_second = settings.rate_per_second
    rate = Rate(per_second=per_second, burst=settings.rate_burst or 2 * per_second) if per_second else None
    return Callers(profiles=profiles, tokens=tokens, clock=clock, limiter=Limiter(monotonic), rate=rate)


_ALL_THREE: Final = "set POLICY_ENGINE_TOKEN_ISSUER, POLICY_ENGINE_TOKEN_AUDIENCE and POLICY_ENGINE_TOKEN_KEYS"
_CALLERS: Final = "write callers: [{token: {sub: NAME}}] into the profile of its gateway, or unset it"


def _refuse(settings: Settings, message: str, remedy: str) -> None:
    source = "POLICY_ENGINE_GATEWAYS" if settings.gateways is None else settings.gateways.name
    raise FaultsError([Fault(source=source, line=1, column=1, message=message, remedy=remedy)])


def _tokens(settings: Settings, clock: Clock) -> Tokens | None:
    issuer, audience, where = settings.token_issuer, settings.token_audience, settings.token_keys
    if not issuer or not audience or not where:
        return None
    fetch, pace = fetcher(where)
    keys = IssuerKeys(fetch, monotonic=monotonic, report=_report, pace=pace)
    algorithms = tuple(one.strip() for one in settings.token_algorithms.split(","))
    rules = TokenRules(issuer=issuer, audience=audience, algorithms=algorithms)
    return Tokens(rules, keys, clock)


def _report(why: str | None) -> None:
    log = structlog.get_logger("policy_engine.callers")
    if why is None:
        log.warning("the keys of the tokens' issuer are fetched again")
    else:
        log.error("the keys of the tokens' issuer cannot be fetched", reason=why)
