"""Spans by OpenTelemetry, sent to a collector over OTLP in the background. Nothing of it is imported before it is asked
for, and the service is whole without it.

- A span is put into a queue in memory and sent from there by a thread. A queue that is full, as while the collector
  cannot be reached, loses spans; no answer waits and none is another for it.
- Of what came in only `traceparent` goes on, which is digits: `tracestate` and `baggage` hold what a client likes.
- What an error says may hold facts of a person: a span has its class alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Final

import msgspec

from policy_engine import ENGINE_VERSION
from policy_engine.service.gate.spans import NO_SPANS, Attributes, Span, Spans

if TYPE_CHECKING:
    from opentelemetry import trace
    from opentelemetry.context import Context

INSTALL: Final = ".venv/bin/pip install --force-reinstall --no-deps --require-hashes -r requirements/otel.txt"
"""What installs it into a checkout's environment, also after the packages of gRPC, which bring older messages of
OpenTelemetry under the same names."""

SEND_SECONDS: Final = 5.0
"""How long a collector may take for a batch."""

END_SECONDS: Final = 3.0
"""How long the end of the service waits for the last spans to be sent."""

MOST_NAMED: Final = 100
"""Decisions of a batch that a span names."""


class TracingMissing(Exception):
    """The packages of OpenTelemetry are not installed; the text says how they are."""

    def __init__(self) -> None:
        super().__init__(
            f"POLICY_ENGINE_TRACES is set, and what sends spans is not installed here: {INSTALL}; or unset it"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """Who makes spans, and what ends that."""

    spans: Spans
    close: Callable[[], None]


def tracing_to(collector: str | None) -> Tracing:
    """Spans for a collector's address; none where there is no address. Raises `TracingMissing`."""
    if collector is None:
        return Tracing(spans=NO_SPANS, close=lambda: None)
    try:
        import_module("opentelemetry.sdk.trace.export")
        import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise TracingMissing from error
    return _sending(collector)


def _sending(collector: str) -> Tracing:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415  optional
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415  optional
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415  optional
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415  optional

    named = Resource({"service.name": "policy-engine", "service.version": ENGINE_VERSION})
    # Never the provider of the process: what libraries tell of a request to that one holds paths and texts of errors.
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=collector, timeout=SEND_SECONDS)))

    def close() -> None:
        # In a thread of its own: it waits for a collector that does not answer longer than the end of a service may.
        ending = threading.Thread(target=provider.shutdown, name="spans-end", daemon=True)
        ending.start()
        ending.join(END_SECONDS)

    return Tracing(spans=_Made(provider.get_tracer("policy_engine", ENGINE_VERSION)), close=close)


class _Made:
    """Spans of a tracer."""

    def __init__(self, tracer: trace.Tracer) -> None:
        from opentelemetry.context import Context  # noqa: PLC0415  optional
        from opentelemetry.trace import SpanKind  # noqa: PLC0415  optional
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415  optional

        self._tracer = tracer
        self._nobody = Context()
        self._server, self._internal = SpanKind.SERVER, SpanKind.INTERNAL
        self._read = TraceContextTextMapPropagator().extract

    def door(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:
        sender = self._nobody if traceparent is None else self._read({"traceparent": traceparent}, self._nobody)
        return self._span(name, self._server, sender)

    def step(self, name: str) -> AbstractContextManager[Span]:
        return self._span(name, self._internal, None)

    @contextmanager
    def _span(self, name: str, kind: trace.SpanKind, within: Context | None) -> Iterator[Span]:
        from opentelemetry.trace import StatusCode  # noqa: PLC0415  optional

        with self._tracer.start_as_current_span(
            name, within, kind, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield _Told(span)
            except BaseException as error:
                span.set_status(StatusCode.ERROR)
                span.set_attribute("error.type", type(error).__name__)
                raise


class _Reason(msgspec.Struct):
    public_code: str = ""


class _Answer(msgspec.Struct):
    allowed: bool = False
    decision_id: str = ""
    reason: _Reason = msgspec.field(default_factory=_Reason)


_decoder: Final = msgspec.json.Decoder(_Answer)


@dataclass(frozen=True, slots=True)
class _Told:
    """A span of OpenTelemetry."""

    span: trace.Span

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:
        self.span.set_attributes(attributes)
        if name is not None:
            self.span.update_name(name)

    def decided(self, answers: Sequence[bytes], *, action: str, gateway: str | None) -> None:
        if not self.span.is_recording():
            return
        read = [_decoder.decode(one) for one in answers[:MOST_NAMED]]
        allowed = [one.allowed for one in read]
        told: dict[str, str | int | Sequence[str]] = {
            "pdp.decision": "allow" if all(allowed) else "deny",
            "pdp.code": ",".join(dict.fromkeys(one.reason.public_code for one in read)),
            "pdp.action": action,
            "pdp.decision_id": read[0].decision_id if len(read) == 1 else [one.decision_id for one in read],
            "pdp.questions": len(answers),
        }
        if gateway is not None:
            told["pdp.gateway"] = gateway
        self.span.set_attributes(told)
