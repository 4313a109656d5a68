"""Ambiguous framings: what one reader of HTTP takes for a body and another for a second request asks nothing here.

Each is sent raw to a real server on a connection of its own (RFC 9112 sections 6 and 11.2 say which are attacks). In
each hides a question about `SMUGGLED`; whatever the server makes of the rest, that question is never decided.
"""

from __future__ import annotations

import json
import re
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import ROOT
from tests.faults.process import Installation, Server, installed, running
from tests.store.conftest import migrated_file  # noqa: F401  a fixture

SMUGGLED: Final = "smuggled-person"
_QUESTION: Final = {"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer"}
BODY: Final = json.dumps({**_QUESTION, "place": {"country": "US"}}).encode()
_HIDDEN_BODY: Final = json.dumps({**_QUESTION, "subject": {"type": "person", "id": SMUGGLED}}).encode()
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


def _request(
    headers: bytes, body: bytes, *, line: bytes = b"POST /decide HTTP/1.1", host: bytes = b"Host: x\r\n"
) -> bytes:
    return line + b"\r\n" + host + b"Authorization: Bearer TOKEN\r\n" + headers + b"\r\n" + body


def _length(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n" % len(body)


HIDDEN: Final = _request(_length(_HIDDEN_BODY), _HIDDEN_BODY)
_CHUNKED: Final = b"Transfer-Encoding: chunked\r\n"


def _chunk(body: bytes, size: bytes | None = None) -> bytes:
    return (b"%x" % len(body) if size is None else size) + b"\r\n" + body + b"\r\n"


_END: Final = b"0\r\n\r\n"
_CUT: Final = _chunk(BODY) + _END
"""A body in chunks, after which a reader of lengths would still read."""

FRAMINGS: Final[dict[str, bytes]] = {
    # A length and chunks: whoever reads by the other one finds the hidden request (RFC 9112 section 6.1).
    "length and chunks, the length covers the hidden request": _request(
        _length(_CUT + HIDDEN) + _CHUNKED, _CUT + HIDDEN
    ),
    "length and chunks, the chunks cover the hidden request": _request(
        _length(BODY) + _CHUNKED, BODY + _chunk(HIDDEN) + _END
    ),
    "chunks and length, the other way round": _request(_CHUNKED + _length(_CUT + HIDDEN), _CUT + HIDDEN),
    "a length of nothing and chunks": _request(b"Content-Length: 0\r\n" + _CHUNKED, _chunk(HIDDEN) + _END),
    # Lengths that two readers read differently (section 6.3).
    "two lengths": _request(_length(BODY) + _length(BODY + HIDDEN), BODY + HIDDEN),
    "two lengths, the other way round": _request(_length(BODY + HIDDEN) + _length(BODY), BODY + HIDDEN),
    "a list of lengths": _request(b"Content-Length: %d, %d\r\n" % (len(BODY), len(BODY + HIDDEN)), BODY + HIDDEN),
    "a length with a sign": _request(b"Content-Length: +%d\r\n" % len(BODY), BODY + HIDDEN),
    "a negative length": _request(b"Content-Length: -1\r\n", HIDDEN),
    "a length in hexadecimal": _request(b"Content-Length: 0x10\r\n", HIDDEN),
    "a length with a blank in it": _request(b"Content-Length: 1 0\r\n", HIDDEN),
    "a length with a point": _request(b"Content-Length: 0.0\r\n", HIDDEN),
    "an empty length": _request(b"Content-Length: \r\n", HIDDEN),
    "a length beyond 64 bits": _request(b"Content-Length: 18446744073709551616\r\n", HIDDEN),
    "a length in Arabic digits": _request("Content-Length: ٠\r\n".encode(), HIDDEN),
    "a length with a blank before the colon": _request(b"Content-Length : 0\r\n", HIDDEN),
    # Encodings that only one of two readers takes for chunks (section 7).
    "an encoding that is nearly chunked": _request(
        b"Transfer-Encoding: xchunked\r\n" + _length(_CUT + HIDDEN), _CUT + HIDDEN
    ),
    "an encoding with a tab": _request(b"Transfer-Encoding:\tchunked\r\n" + _length(_CUT + HIDDEN), _CUT + HIDDEN),
    "an encoding with a vertical tab": _request(
        b"Transfer-Encoding: \x0bchunked\r\n" + _length(_CUT + HIDDEN), _CUT + HIDDEN
    ),
    "an encoding with a blank before the colon": _request(
        b"Transfer-Encoding : chunked\r\n" + _length(_CUT + HIDDEN), _CUT + HIDDEN
    ),
    "an encoding in a folded line": _request(b"X-A: b\r\n Transfer-Encoding: chunked\r\n" + _length(BODY), BODY),
    "chunked, and then another": _request(
        b"Transfer-Encoding: chunked, identity\r\n" + _length(_CUT + HIDDEN), _CUT + HIDDEN
    ),
    "identity, and then chunked": _request(b"Transfer-Encoding: identity, chunked\r\n", _CUT[:-5] + HIDDEN),
    "two encodings": _request(b"Transfer-Encoding: identity\r\n" + _CHUNKED + _length(_CUT + HIDDEN), _CUT + HIDDEN),
    "an encoding in a quoted text": _request(
        b'Transfer-Encoding: "chunked"\r\n' + _length(_CUT + HIDDEN), _CUT + HIDDEN
    ),
    "chunks in HTTP/1.0": _request(_CHUNKED + _length(_CUT + HIDDEN), _CUT + HIDDEN, line=b"POST /decide HTTP/1.0"),
    # Chunks that two readers cut differently (section 7.1).
    "a chunk with a negative size": _request(_CHUNKED, _chunk(HIDDEN, b"-1") + _END),
    "a chunk with a prefix": _request(_CHUNKED, _chunk(BODY, b"0x%x" % len(BODY)) + HIDDEN),
    "a chunk whose size overflows": _request(_CHUNKED, _chunk(HIDDEN, b"10000000000000000") + _END),
    "a chunk with no size": _request(_CHUNKED, _chunk(HIDDEN, b"") + _END),
    "a chunk longer than its size": _request(_CHUNKED, _chunk(BODY + HIDDEN, b"%x" % len(BODY)) + _END),
    "a chunk that ends in a bare line feed": _request(_CHUNKED, b"%x\n" % len(BODY) + BODY + b"\n0\n\n" + HIDDEN),
    "a chunk extension with a line feed": _request(
        _CHUNKED, b"%x;a=\nb\r\n" % len(BODY) + BODY + b"\r\n" + _END + HIDDEN
    ),
    "no last chunk": _request(_CHUNKED, _chunk(BODY)),
    # Header lines that two readers part differently (sections 2.2 and 5).
    "a header that ends in a bare carriage return": _request(_length(BODY) + b"X-A: b\rX-B: c\r\n", BODY),
    "a header with a NUL": _request(_length(BODY) + b"X-A: b\x00c\r\n", BODY),
    "a header name with a blank": _request(_length(BODY) + b"X A: b\r\n", BODY),
    "a header without a colon": _request(_length(BODY) + b"X-A\r\n", BODY),
    "a header without a name": _request(_length(BODY) + b": b\r\n", BODY),
    "no host": _request(_length(BODY), BODY, host=b""),
    "two hosts": _request(_length(BODY), BODY, host=b"Host: x\r\nHost: y\r\n"),
    "two keys": _request(_length(BODY) + b"Authorization: Bearer pe_0_0\r\n", BODY),
    # Something other than HTTP/1.1.
    "a request line without a version": b"POST /decide\r\n" + HIDDEN,
    "a version that is none": _request(_length(BODY), BODY, line=b"POST /decide HTTP/1.9"),
    "the beginning of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "an upgrade to HTTP/2": _request(b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + _length(b""), b""),
    "an upgrade to a web socket": _request(
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4\r\n", b""
    ),
    "a method in small letters": _request(_length(BODY), BODY, line=b"post /decide HTTP/1.1"),
    "a path with a blank": _request(_length(BODY), BODY, line=b"POST /decide x HTTP/1.1"),
}
"""Every framing by what it is; none of them may be answered with an allow."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Iterator[Server]:  # noqa: F811
    folder = tmp_path_factory.mktemp("framings")
    database = folder / "service.db"
    database.write_bytes(migrated_file.read_bytes())
    with running(installed(f"sqlite:///{database}", folder)) as started:
        yield started


def answers(server: Server, raw: bytes) -> bytes:
    """Everything that comes back before the server ends the connection, or says nothing for a while."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=2) as connection:
        connection.sendall(raw.replace(b"TOKEN", server.installation.token.encode()))
        said = b""
        try:
            while part := connection.recv(65_536):
                said += part
        except (TimeoutError, ConnectionError):
            pass
        return said


def asked_about(installation: Installation, subject: str) -> int:
    with sqlite3.connect(installation.database) as reader:
        (count,) = reader.execute(
            "SELECT count(*) FROM decisions WHERE instr(body, ?) > 0", (subject.encode(),)
        ).fetchone()
        return int(count)


def test_the_plain_request_that_the_framings_distort_is_allowed(server: Server) -> None:
    assert b'"decision":"allow"' in answers(server, _request(_length(BODY), BODY))
    assert b'"decision":"allow"' in answers(server, _request(_CHUNKED, _CUT))


@pytest.mark.parametrize("name", FRAMINGS)
def test_a_framing_that_two_readers_could_read_differently_is_answered_with_no_allow(server: Server, name: str) -> None:
    said = answers(server, FRAMINGS[name])

    statuses = [int(status) for status in _STATUS.findall(said)]
    assert b'"allow"' not in said, said
    assert all(400 <= status < 500 for status in statuses), said
    assert asked_about(server.installation, SMUGGLED) == 0
    # The server is there for the next one.
    assert b"200 OK" in answers(server, b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


def test_requests_behind_one_another_on_a_connection_are_answered_in_their_order(server: Server) -> None:
    second = BODY.replace(b"carol", b"nobody")
    twice = answers(server, _request(_length(BODY), BODY) + _request(_length(second), second))

    assert re.findall(rb'"decision":"([a-z]+)"', twice) == [b"allow", b"deny"]


def test_the_page_on_security_has_the_count_of_framings() -> None:
    page = (ROOT / "docs" / "security.md").read_text()

    assert f"{len(FRAMINGS)} ambiguous framings" in page
