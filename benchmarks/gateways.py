"""What a gateway adds: requests through the real Envoy, by the configuration of its page, against `/decide` directly.

`python -m benchmarks.gateways [--rate 500] [--seconds 4] [--turns 3]`. An open loop: requests are due at fixed
instants, whether or not earlier ones are answered, and a time runs from the instant at which one was due. The ways take
turns in one run, after one that is not counted. Envoy verifies the login's token, reads the model from the body, asks
the engine and answers by itself in place of a server of models. Every answer of the engine is durable before it leaves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop

from benchmarks.service import DOCUMENT, count, database_in, free_port, started, token_of, wait_for
from tests.gateways.envoys import PAGE, documented, door, manager_of, over_grpc, patient, token
from tests.gateways.stands import chat, models


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to ask: where, and the bytes of the request."""

    name: str
    port: int
    request: bytes


class _Connection(asyncio.Protocol):
    """A connection that has one request under way."""

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._answered: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes) -> asyncio.Future[bytes]:
        """The first line of the answer, once the answer is whole."""
        assert self._transport is not None
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        self._buffer = b""
        assert self._answered is not None
        self._answered.set_result(head.partition(b"\r\n")[0])

    def connection_lost(self, _: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(b"the connection was closed")

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


async def open_loop(way: Way, rate: float, seconds: float) -> list[float]:
    """The time from when each request was due to its answer."""
    loop = asyncio.get_running_loop()
    idle: list[_Connection] = []
    opened: list[_Connection] = []
    times: list[float] = []

    async def one(due: float) -> None:
        if idle:
            connection = idle.pop()
        else:
            _, connection = await loop.create_connection(_Connection, "127.0.0.1", way.port)
            opened.append(connection)
        status = await connection.send(way.request)
        if not status.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{way.name}: {status.decode()}; does the machine carry so many? Try a lower --rate")
        times.append(time.perf_counter() - due)
        idle.append(connection)

    begun = time.perf_counter() + 0.1
    async with asyncio.TaskGroup() as group:
        for number in range(int(rate * seconds)):
            due = begun + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            group.create_task(one(due))
    for connection in opened:
        connection.close()
    return times


def _request(path: str, body: bytes, **headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "host: defence.example.com", "content-type: application/json"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, f"content-length: {len(body)}", "", ""]).encode() + body


def answering(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with Envoy itself in the place of the models, and with patience for a busy machine."""
    for host in manager_of(config)["route_config"]["virtual_hosts"]:
        answer = {"status": 200, "body": {"inline_string": "{}"}}
        host["routes"] = [{"match": {"prefix": "/"}, "direct_response": answer}]
    return patient(config)


def main(arguments: Sequence[str]) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name, models() as stand:
        folder = Path(name)
        (folder / "gateways.yaml").write_text(PAGE["gateways.yaml"])
        port, grpc_port = free_port(), free_port()
        profiles = str(folder / "gateways.yaml")
        with started(folder, port, POLICY_ENGINE_GATEWAYS=profiles, POLICY_ENGINE_GRPC_PORT=str(grpc_port)) as server:
            try:
                key = token_of(server)
                wait_for(port)
                ports = {"http": port, "grpc": grpc_port, "key": key}
                with (
                    door(answering(documented()), folder / "http", stand, **ports) as http,  # type: ignore[arg-type]
                    door(answering(over_grpc(documented())), folder / "grpc", stand, **ports) as grpc,  # type: ignore[arg-type]
                ):
                    body = chat("mythos-5")
                    client = {"authorization": f"Bearer {token('carol')}", "x_geo_country": "US"}
                    head = {"x_policy_engine_key": key, "x_user_id": "carol", "x_model": "mythos-5"}
                    head |= {"x_geo_country": "US", "x_purpose": "defensive_cybersecurity"}
                    chat_path = "/v1/chat/completions"
                    envoys = [(one, http if one == "HTTP" else grpc) for one in ("HTTP", "gRPC")]
                    ways = [
                        Way(
                            name="`/decide`",
                            port=port,
                            request=_request("/decide", json.dumps(DOCUMENT).encode(), authorization=f"Bearer {key}"),
                        ),
                        Way(
                            name="`/ext_authz` without Envoy",
                            port=port,
                            request=_request(f"/ext_authz{chat_path}", b"", **head),
                        ),
                        *(
                            Way(
                                name=f"Envoy, {how}",
                                port=int(str(one.client.base_url).rpartition(":")[2].strip("/")),
                                request=_request(chat_path, body, **client),
                            )
                            for how, one in envoys
                        ),
                    ]
                    _table(ways, options, folder)
            finally:
                server.terminate()


def _table(ways: Sequence[Way], options: argparse.Namespace, folder: Path) -> None:
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    before, cost = count(database_in(folder)), time.process_time()
    asked = 0
    for turn in range(options.turns + 1):
        for way in ways:
            got = uvloop.run(open_loop(way, options.rate, options.seconds))
            asked += len(got)
            if turn:
                times[way.name] += got
    assert count(database_in(folder)) - before == asked
    spent = (time.process_time() - cost) / asked
    sys.stdout.write("| way | requests/s | requests | p50 | p99 | p50 against `/decide` |\n|---|---|---|---|---|---|\n")
    base = 0.0
    for way in ways:
        found = sorted(times[way.name])
        p50, p99 = (found[len(found) * part // 100] * 1000 for part in (50, 99))
        base = base or p50
        told = f"| {way.name} | {options.rate:.0f} | {len(found)} | {p50:.2f} ms | {p99:.2f} ms | {p50 / base:.2f} |\n"
        sys.stdout.write(told)
    sys.stdout.write(f"\nThe client's own processor time is {spent * 1e6:.0f} us for each request.\n")


if __name__ == "__main__":
    main(sys.argv[1:])
