"""A collector of spans: OTLP over HTTP at a port of the loopback address, read with the messages of OpenTelemetry."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.gateways.listening import PATIENCE_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """A span as it arrived; ids are hex, `parent` is empty for one that is nobody's part."""

    name: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    is_error: bool
    resource: dict[str, Any]


@dataclass(slots=True)
class Collector:
    """Answers with `status`, or not before it is `over` where it hangs."""

    status: int = 200
    hangs: bool = False
    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def take(self, body: bytes) -> int:
        self.asked.set()
        if self.hangs:
            self.over.wait(PATIENCE_SECONDS)
        with self.arrived:
            self.bodies.append(body)
            self.arrived.notify_all()
        return self.status

    @property
    def spans(self) -> list[Collected]:
        return [one for body in self.bodies for one in _spans(body)]

    def trace(self, trace: str, *names: str) -> dict[str, Collected]:
        """The spans of a trace by their names, once all of these are there."""

        def found() -> dict[str, Collected]:
            return {one.name: one for one in self.spans if one.trace == trace}

        with self.arrived:
            assert self.arrived.wait_for(lambda: set(names) <= found().keys(), PATIENCE_SECONDS), found()
        return found()


def _spans(body: bytes) -> Iterator[Collected]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        resource = {one.key: _value(one.value) for one in group.resource.attributes}
        for scope in group.scope_spans:
            for span in scope.spans:
                assert not span.trace_state
                assert not span.events
                assert not span.status.message
                yield Collected(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    attributes={one.key: _value(one.value) for one in span.attributes},
                    is_error=span.status.code == span.status.STATUS_CODE_ERROR,
                    resource=resource,
                )


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, kind)


@contextmanager
def collecting(*, status: int = 200, hangs: bool = False) -> Iterator[Collector]:
    """One at a port."""
    collector = Collector(status=status, hangs=hangs)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = collector.take(self.rfile.read(int(self.headers["content-length"])))
            try:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
            except OSError:
                # Whoever asked waits no longer.
                self.close_connection = True

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        collector.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
