"""An issuer of tokens for a test: keys, tokens that they sign, and the file or the https address of the public ones."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import ipaddress
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey, RSAKey

from tests.api.service import NOON

ISSUER = "https://login.example.com/"
AUDIENCE = "https://pdp.example.com"
NOW = int(NOON.timestamp())


@cache
def rsa(kid: str) -> RSAKey:
    """The same key for the same id."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


def public_set(*keys: RSAKey | ECKey) -> bytes:
    """The document of the keys."""
    return json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()


def encoded(value: bytes | dict[str, Any]) -> str:
    """A part of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims(**changed: Any) -> dict[str, Any]:
    """Those of a good token; `None` leaves one out."""
    whole = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "gateway-eu",
        "client_id": "gateway-eu",
        "iat": NOW - 10,
        "exp": NOW + 300,
        "jti": "1",
        **changed,
    }
    return {name: value for name, value in whole.items() if value is not None}


def token(
    body: dict[str, Any] | bytes | None = None, *, kid: str = "one", key: RSAKey | None = None, **head: Any
) -> str:
    """A token; the head's members are those given beside the usual ones, `None` leaves one out."""
    whole = {"alg": "RS256", "typ": "at+jwt", "kid": kid, **head}
    header = {name: value for name, value in whole.items() if value is not None}
    payload = body if isinstance(body, bytes) else json.dumps(claims() if body is None else body).encode()
    signed = f"{encoded(header)}.{encoded(payload)}"
    private = (key or rsa(kid)).private_key
    assert private is not None
    signature = private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encoded(signature)}"


def unsigned() -> str:
    """By `none`."""
    return f"{encoded({'alg': 'none', 'typ': 'at+jwt', 'kid': 'one'})}.{encoded(claims())}."


def confused() -> str:
    """By HS256, with the public key of the issuer as the secret."""
    pem = rsa("one").as_pem(private=False)
    signed = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': 'one'})}.{encoded(claims())}"
    return f"{signed}.{encoded(hmac.digest(pem, signed.encode(), hashlib.sha256))}"


@dataclass(slots=True)
class Issuer:
    """Serves a document over https, and counts how often; `status`, `document` and `seconds`, in which it says
    nothing, may be changed."""

    document: bytes
    status: int = 200
    seconds: float = 0.0
    asked: int = 0
    address: str = ""
    authority: Path = field(default_factory=Path)


def for_the_loopback(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """What a server at the loopback address speaks TLS with, and the file of the authority that vouches for it."""
    certificate, key = self_signed(uri=None)
    pem, authority = folder / "server.pem", folder / "authority.pem"
    authority.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem.write_bytes(authority.read_bytes() + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context, authority


@contextmanager
def over_https(folder: Path, document: bytes) -> Iterator[Issuer]:
    """The issuer at a port of the loopback address, with a certificate of an authority of its own."""
    issuer = Issuer(document)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            time.sleep(issuer.seconds)
            self.send_response(issuer.status)
            self.send_header("Content-Length", str(len(issuer.document)))
            self.send_header("Location", f"{issuer.address}/elsewhere")
            self.end_headers()
            self.wfile.write(issuer.document)

        def log_message(self, *_: Any) -> None:
            return

    context, issuer.authority = for_the_loopback(folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.address = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_SIGNS = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def self_signed(
    uri: str | None, *, days: int = 3650, named: bool = True
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """A certificate for the loopback address, or of who has the URI, valid for some days around the tests' noon; if not
    `named`, without the extension that says either."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    other: list[x509.GeneralName] = [address] if uri is None else [x509.UniformResourceIdentifier(uri)]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOON - datetime.timedelta(days=3650))
        .not_valid_after(NOON + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_SIGNS, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if named:
        made = made.add_extension(x509.SubjectAlternativeName(other), critical=False)
    return made.sign(key, hashes.SHA256()), key
