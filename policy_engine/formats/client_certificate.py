"""The certificate that a proxy has checked, out of the header in which it passes it on: `Client-Cert` (RFC 9440) or
Envoy's `x-forwarded-client-cert`.

A certificate is known by its names: each URI, `dns:NAME`, and `sha256:HEX` of the whole of it. A header that says
something of more than one certificate, or cannot be read to its end, is refused: a client may have written a part.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from policy_engine.domain.gateways import CertificateHeader

MOST_CHARACTERS: Final = 16 * 1024


class CertificateFault(ValueError):
    """The header names no one certificate; the text says why, and nothing of the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The names of a certificate, and its issuer where the header tells it."""

    names: frozenset[str]
    issuer: str | None = None


def read_certificate(header: CertificateHeader, value: str, at: datetime) -> Certificate:
    """The certificate in a header, which holds at the instant where the header tells. Raises `CertificateFault`."""
    if not value.isascii() or not 0 < len(value) <= MOST_CHARACTERS:
        raise CertificateFault("the header of the certificate is empty, too long or not ASCII")
    return _client_cert(value, at) if header is CertificateHeader.CLIENT_CERT else _forwarded(value)


# --- RFC 9440 ---------------------------------------------------------------------------------------------------------


def _client_cert(value: str, at: datetime) -> Certificate:
    if not (len(value) > 2 and value.startswith(":") and value.endswith(":")):
        raise CertificateFault("`Client-Cert` is not a byte sequence between colons")
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(value[1:-1], validate=True))
        names = _names(certificate)
    except (binascii.Error, ValueError, x509.DuplicateExtension) as error:
        raise CertificateFault("`Client-Cert` carries no certificate") from error
    if not certificate.not_valid_before_utc <= at < certificate.not_valid_after_utc:
        raise CertificateFault("the certificate is not valid now")
    return Certificate(names=names, issuer=certificate.issuer.rfc4514_string() or None)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    names = {f"sha256:{certificate.fingerprint(SHA256()).hex()}"}
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset(names)
    names |= set(others.get_values_for_type(x509.UniformResourceIdentifier))
    names |= {f"dns:{name.lower()}" for name in others.get_values_for_type(x509.DNSName)}
    return frozenset(names)


# --- Envoy ------------------------------------------------------------------------------------------------------------

_PAIR: Final = re.compile(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^",;\\]*)(;|,|$)')
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


def _forwarded(value: str) -> Certificate:
    names: set[str] = set()
    for name, told in _pairs(value):
        match name.lower():
            case "hash":
                if not _DIGEST.fullmatch(told):
                    raise CertificateFault("`Hash` is not a SHA-256 in hex digits")
                names.add(f"sha256:{told}")
            case "uri" if told:
                names.add(told)
            case "dns" if told:
                names.add(f"dns:{told.lower()}")
    if sum(name.startswith("sha256:") for name in names) > 1:
        raise CertificateFault("the header tells of two certificates")
    if not names:
        raise CertificateFault("the header tells no name of the certificate: let the proxy set `Hash`, `URI` or `DNS`")
    return Certificate(names=frozenset(names))


def _pairs(value: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(value):
        found = _PAIR.match(value, place)
        if found is None:
            raise CertificateFault("the header of the certificate cannot be read to its end")
        name, told, ending = found.groups()
        if ending == ",":
            raise CertificateFault(
                "the header tells of more than one certificate: let the proxy write it again from the start"
            )
        yield name, re.sub(r"\\(.)", r"\1", told[1:-1]) if told.startswith('"') else told
        place = found.end()
        if ending == ";" and place == len(value):
            raise CertificateFault("the header of the certificate cannot be read to its end")
