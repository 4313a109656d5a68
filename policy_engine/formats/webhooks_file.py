"""The file of webhooks (`webhooks.yaml`): strict YAML to receivers, or every fault with place and remedy.

Secrets are not in it. Each receiver names a file of one or two lines, so that the first can be replaced without a
moment at which receivers know none of those in use.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import urlsplit

from policy_engine.domain.gateways import Network
from policy_engine.domain.webhooks import Receiver
from policy_engine.formats.documents import Mapping, Node, read_document
from policy_engine.formats.faults import FaultsError, Findings, quoted
from policy_engine.formats.fields import Fields
from policy_engine.formats.gateway_profiles import network_of
from policy_engine.shapes.member_rows import RowField, ValueKind

MOST_RECEIVERS: Final = 16
"""Each has a thread of its own."""

MOST_SECRETS: Final = 2
SECRET_PREFIX: Final = "whsec_"  # noqa: S105  how every secret begins
SECRET_BYTES: Final = range(24, 65)
"""How long a secret is (Standard Webhooks, "Signature scheme")."""

_MAX_BYTES: Final = 256 * 1024
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_URL: Final = re.compile(r"https?://[A-Za-z0-9.\[\]:_-]+(?:[/?][!-~]*)?")
_PORTS: Final = {"https": 443, "http": 80}


class SecretsFault(Exception):
    """What is wrong with the file of a receiver's secrets, as the end of a sentence; nothing of it is repeated."""


def read_receivers(data: bytes, source: str) -> tuple[Receiver, ...]:
    """The receivers in a file. Raises `FaultsError` with every fault."""
    node = read_document(data, source, max_bytes=_MAX_BYTES)
    findings = Findings(source=source)
    top = Fields.of(node, "the file of webhooks", ("receivers",), findings)
    held = None if top is None else top.node_of("receivers")
    if top is not None and (not isinstance(held, Mapping) or not held.entries):
        remedy = "write receivers: {NAME: {url: https://..., secrets: FILE}}"
        top.fault("receivers", "the file names no receiver", remedy)
    found: list[Receiver] = []
    for key, value in held.entries if isinstance(held, Mapping) else ():
        if not _NAME.fullmatch(key.text):
            message = f"{quoted(key.text)} is not a name for a receiver"
            findings.add(key.line, key.column, message, "use up to 64 small letters, digits and `-`")
        one = _receiver(key.text, value, findings)
        if one is not None:
            found.append(one)
    if len(found) > MOST_RECEIVERS and top is not None:
        message = f"the file names {len(found)} receivers, and at most {MOST_RECEIVERS} can be"
        top.fault("receivers", message, "let one receiver hand on to others")
    if findings.faults:
        raise FaultsError(findings.faults)
    return tuple(found)


def _receiver(name: str, node: Node, findings: Findings) -> Receiver | None:
    fields = Fields.of(node, f"the receiver {quoted(name)}", ("url", "secrets", "networks"), findings)
    if fields is None:
        return None
    url, secrets = (
        fields.value(RowField(name=one, value=ValueKind.NAME, fields=(), required=True)) for one in ("url", "secrets")
    )
    given = (network_of(item, "an entry of `networks`", findings) for item in fields.items("networks") or ())
    networks = tuple(one for one in given if one is not None)
    if not isinstance(url, str) or not isinstance(secrets, str):
        return None
    made = _at(name, url, secrets, networks)
    if made is None:
        fields.fault("url", f"{quoted(url)} is not an address that a webhook can be sent to", "write https://HOST/PATH")
    elif not made.tls and not made.is_here:
        message = f"{quoted(url)} is not encrypted, and who may know what ended could be read on the way"
        fields.fault("url", message, "write https://; http:// is for 127.0.0.1, [::1] and localhost alone")
    return made


def _at(name: str, url: str, secrets: str, networks: tuple[Network, ...]) -> Receiver | None:
    if not _URL.fullmatch(url) or "#" in url:
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or port == 0:
        return None
    return Receiver(
        name=name,
        host=host,
        port=port or _PORTS[parts.scheme],
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        tls=parts.scheme == "https",
        secrets=secrets,
        networks=networks,
    )


def read_secrets(data: bytes) -> tuple[str, ...]:
    """The secrets in a file, the first of them first. Raises `SecretsFault`."""
    try:
        lines = [line.strip() for line in data.decode("ascii").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise SecretsFault("has a line that is not a secret") from error
    if not 1 <= len(lines) <= MOST_SECRETS:
        raise SecretsFault(f"must hold one or two lines, each a secret, and holds {len(lines)}")
    if not all(map(_is_secret, lines)):
        told = f"`{SECRET_PREFIX}` and base64 of {SECRET_BYTES.start} to {SECRET_BYTES.stop - 1} bytes"
        raise SecretsFault(f"has a line that is not a secret; a secret is {told}")
    return tuple(lines)


def _is_secret(line: str) -> bool:
    if not line.startswith(SECRET_PREFIX):
        return False
    try:
        return len(base64.b64decode(line.removeprefix(SECRET_PREFIX), validate=True)) in SECRET_BYTES
    except binascii.Error:
        return False
