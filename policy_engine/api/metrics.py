"""`GET /metrics`: the process in figures, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from http import HTTPStatus
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from policy_engine import ENGINE_VERSION
from policy_engine.app.builder import Parts
from policy_engine.domain.ports import LogUnavailable, MembersUnavailable
from policy_engine.http.reference import Media, audience, described
from policy_engine.http.security import PartsOf, entered
from policy_engine.service.gate.tally import BUCKETS, Tally

RIGHT: Final = "metrics"
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"

router = audience("operations")


@router.get(
    "/metrics",
    **described(
        {HTTPStatus.OK: Media(kinds=("text/plain",), meaning="Figures in the text format of Prometheus, 0.0.4.")},
        right=RIGHT,
    ),
)
async def metrics(request: Request, parts: PartsOf) -> Response:
    """The process in figures: decisions by outcome, public code, action and gateway, how long they took, what waits for
    the log, how far it is sealed. No label has a person, a model or a fact."""
    if not parts.metrics_without_key:
        await entered(request, parts.ring, parts.pools, RIGHT)
    return Response(await parts.pools.health.run(_text, parts), headers={"Content-Type": _TEXT})


def _text(parts: Parts) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(parts))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Figures(Collector):
    """What is so at the moment of a scrape."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        parts = self._parts
        yield from _decisions(parts.gate.tally)
        yield _gauge("pdp_audit_queue_depth", "Records that wait to be written to the log.", parts.waiting())
        yield _gauge("pdp_listeners", "Gateways that listen at GET /watch.", parts.listeners.count)
        yield _gauge("pdp_audit_sealing_alarm", "1 while the log is not sealed.", float(_is_alarmed(parts)))
        yield from _webhooks(parts)
        yield from _standing(parts)
        yield from _of_the_database(parts)


def _decisions(tally: Tally) -> Iterator[Metric]:
    counted = CounterMetricFamily(
        "pdp_decisions",
        "Answers that left, each with its record on disk.",
        labels=("decision", "code", "action", "gateway"),
    )
    for one, count in sorted(tally.decisions().items(), key=lambda item: str(item[0])):
        counted.add_metric(("allow" if one.allowed else "deny", one.code, one.action, one.gateway), count)
    yield counted
    times = tally.times()
    bounds = (*map(str, BUCKETS), "+Inf")
    lasted = HistogramMetricFamily(
        "pdp_decision_duration_seconds",
        "From a single question to its durable answer; a batch is not timed.",
    )
    lasted.add_metric((), list(zip(bounds, map(float, accumulate(times.counts)), strict=True)), times.seconds)
    yield lasted


def _webhooks(parts: Parts) -> Iterator[Metric]:
    told = parts.webhooks.figures()
    counted = CounterMetricFamily(
        "pdp_webhook_attempts", "Attempts to deliver a webhook.", labels=("receiver", "outcome")
    )
    disabled = GaugeMetricFamily(
        "pdp_webhook_disabled", "1 for a receiver to which nothing is sent any more.", labels=("receiver",)
    )
    held = GaugeMetricFamily(
        "pdp_webhook_held", "1 while this process is who delivers to the receiver.", labels=("receiver",)
    )
    for name, one in sorted(told.items()):
        counted.add_metric((name, "taken"), one.taken)
        counted.add_metric((name, "failed"), one.failed)
        disabled.add_metric((name,), float(one.is_disabled))
        held.add_metric((name,), float(one.is_held))
    if told:
        yield counted
        yield disabled
        yield held


def _standing(parts: Parts) -> Iterator[Metric]:
    """What this process decides on."""
    ground, now = parts.gate.view.current(), parts.desk.clock()
    yield _gauge("pdp_membership_revision", "The membership revision decided on.", ground.roster.revision)
    yield _gauge("pdp_control_epoch", "The control epoch decided under.", ground.epoch)
    yield _gauge("pdp_freezes", "Freezes in force.", len(ground.desk.freezes_in_force()))
    book, judge = ground.desk.book_at(ground.desk.moment(now)), ground.judge_at(now)
    told = GaugeMetricFamily("pdp_policy_version_info", "The rule book in force.", labels=("version", "engine"))
    if book is not None and judge is not None:
        told.add_metric((book.fingerprint, ENGINE_VERSION), 1)
        yield _gauge("pdp_policy_age_seconds", "Since when the rule book is in force.", _seconds(now, book.start))
    yield told


def _of_the_database(parts: Parts) -> Iterator[Metric]:
    """What the database has to be asked for; without it `pdp_database_up` is 0 and the others are not there."""
    try:
        size, control = parts.entries.size(), parts.members.control()
    except (LogUnavailable, MembersUnavailable):
        yield _gauge("pdp_database_up", "Whether the database answers.", 0)
        return
    yield _gauge("pdp_database_up", "Whether the database answers.", 1)
    yield _gauge("pdp_audit_entries", "Entries of the log.", size)
    yield _gauge("pdp_membership_revision_latest", "The newest membership revision on file.", control.revision)
    sealed = None if parts.keeper is None else parts.keeper.sealed
    if sealed is not None:
        left = max(0, size - sealed.end)
        yield _gauge("pdp_audit_unsealed_entries", "Entries of the log that this process knows of no seal for.", left)


def _is_alarmed(parts: Parts) -> bool:
    return parts.keeper is not None and parts.keeper.alarm is not None


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _seconds(now: datetime, since: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
