"""The programs of a test, and small servers beside them."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import httpx

from tests.gateways import pages, programs

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = pages.PAGES / "litellm.md"
ENGINE: Final = ROOT / ".venv" / "bin" / "policy-engine"
LITELLM: Final = ROOT / ".venv-gateways" / "bin" / "litellm"
START_SECONDS: Final = 300.0


def blocks() -> dict[str, str]:
    """The blocks of the page that begin with the name of a file, by that name."""
    return pages.blocks(PAGE)


@contextmanager
def running(
    command: Sequence[str | Path], *, url: str, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """The program, from when it answers at the address until the end; what it says goes to the file."""

    def answers() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(url, timeout=5, trust_env=False).status_code == 200
        return False

    with programs.running(command, log=log, ready=answers, environment=environment, seconds=START_SECONDS) as process:
        yield process


# --- the provider -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Provider:
    """A provider of models that knows them all, and which of them were asked."""

    url: str
    reached: list[str] = field(default_factory=list)


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a port of its own."""
    with _serving(_Provider) as (server, url):
        made = Provider(url=url)
        server.provider = made
        yield made


def _text(model: str) -> str:
    return f"REACHED {model}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the name in the standard library
        pass

    def body(self) -> bytes:
        if self.headers.get("transfer-encoding", "") == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("content-length", "0")))

    def send(self, status: int, content: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


_MULTIPART_MODEL: Final = re.compile(rb'name="model"\r\n(?:[^\r\n]+\r\n)*\r\n([^\r\n]*)')


class _Provider(_Handler):
    def do_GET(self) -> None:
        self.send(200, b'{"object": "list", "data": []}')

    def do_POST(self) -> None:
        body = self.body()
        path = self.path.partition("?")[0]
        sent = json.loads(body) if body[:1] == b"{" else {}
        model = sent.get("model") or (found[1].decode() if (found := _MULTIPART_MODEL.search(body)) else path)
        self.server.provider.reached.append(model)
        if model.startswith("broken"):
            self.send(500, b'{"error": {"message": "broken", "type": "server_error", "param": null, "code": null}}')
        elif sent.get("stream"):
            self.send(200, _stream(path, model), "text/event-stream")
        elif path.endswith("/audio/speech"):
            self.send(200, b"sound", "audio/mpeg")
        else:
            self.send(200, json.dumps(_document(path, model)).encode())


def _document(path: str, model: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    name = path.rpartition("/")[2]
    if path.endswith("/chat/completions") or path == "/raw":
        message = {"role": "assistant", "content": _text(model)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": model,
            "choices": [choice],
            "usage": usage,
        }
    documents: dict[str, dict[str, Any]] = {
        "completions": {
            "id": "1",
            "object": "text_completion",
            "created": 1,
            "model": model,
            "choices": [{"index": 0, "text": _text(model), "finish_reason": "stop", "logprobs": None}],
            "usage": usage,
        },
        "embeddings": {
            "object": "list",
            "model": model,
            "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.5]}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        },
        "responses": _response(model),
        "messages": {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "text", "text": _text(model)}],
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
        "count_tokens": {"input_tokens": 1},
        "generations": {"created": 1, "data": [{"b64_json": "aW1hZ2U="}]},
        "edits": {"created": 1, "data": [{"b64_json": "aW1hZ2U="}]},
        "transcriptions": {"text": _text(model)},
        "moderations": {
            "id": "1",
            "model": model,
            "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
        },
        "rerank": {"id": "1", "results": [{"index": 0, "relevance_score": 0.5}], "meta": {}},
        "files": {
            "id": "file-1",
            "object": "file",
            "bytes": 1,
            "created_at": 1,
            "filename": "batch.jsonl",
            "purpose": "batch",
            "status": "processed",
        },
        "batches": {
            "id": "batch_1",
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "file-1",
            "completion_window": "24h",
            "status": "validating",
            "created_at": 1,
        },
    }
    return documents.get(name, {"model": model})


def _response(model: str) -> dict[str, Any]:
    content = {"type": "output_text", "text": _text(model), "annotations": []}
    message = {"id": "1", "type": "message", "role": "assistant", "status": "completed", "content": [content]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": model,
        "status": "completed",
        "output": [message],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 1,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 1,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 2,
        },
    }


def _stream(path: str, model: str) -> bytes:
    if path.endswith("/responses"):
        events = [{"type": "response.completed", "sequence_number": 0, "response": _response(model)}]
    elif path.endswith("/chat/completions"):
        one = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": model}
        delta = {"role": "assistant", "content": _text(model)}
        events = [
            {**one, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
            {**one, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        ]
    else:
        one = {"id": "1", "object": "text_completion", "created": 1, "model": model}
        events = [{**one, "choices": [{"index": 0, "text": _text(model), "finish_reason": "stop"}]}]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


# --- between LiteLLM and the engine -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Between:
    """Stands between the plugin and the engine: hands questions on, or answers as an engine that misbehaves would."""

    url: str
    engine: str
    answers: tuple[int, str, bytes] | None = None
    silent: bool = False
    resets: bool = False
    asked: list[bytes] = field(default_factory=list)

    def behave(self) -> None:
        """Hand questions on, and forget what was asked."""
        self.answers, self.silent, self.resets = None, False, False
        self.asked.clear()

    def questions(self) -> list[dict[str, Any]]:
        """What was asked."""
        return [json.loads(body) for body in self.asked]


@contextmanager
def between(engine: str) -> Iterator[Between]:
    """A stand-in for the engine on a port of its own."""
    with _serving(_Between) as (server, url):
        made = Between(url=url, engine=engine)
        server.between = made
        server.client = httpx.Client(base_url=engine, trust_env=False, timeout=30)
        try:
            yield made
        finally:
            server.client.close()


class _Between(_Handler):
    def do_POST(self) -> None:
        made: Between = self.server.between
        body = self.body()
        made.asked.append(body)
        if made.silent:
            time.sleep(3)
            self.close_connection = True
        elif made.resets:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            self.connection.close()
            self.close_connection = True
        elif made.answers is not None:
            status, kind, content = made.answers
            self.send(status, content, kind)
        else:
            head = {name: self.headers[name] for name in ("authorization", "content-type")}
            answer = self.server.client.post(self.path, content=body, headers=head)
            self.send(answer.status_code, answer.content, answer.headers.get("content-type", ""))


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[tuple[Any, str]]:
    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that goes away in the middle is nothing to tell."""

    server = Quiet(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
