"""Tokens of pages: where a search goes on, sealed to the search that it was given for.

A token is opaque and cannot be made or changed by who holds it: it is encrypted and authenticated (AES-GCM) with the
question and the limit as associated data, so that under any other it reads as none (section 8.2 of the specification).
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from policy_engine.formats.request_document import FieldFault, MalformedRequest

_NONCE: Final = 12


class Tokens:
    """Makes and reads tokens under a key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def token(self, place: str, question: Mapping[str, object], limit: int | None) -> str:
        """A token with which the search goes on after a place."""
        nonce = secrets.token_bytes(_NONCE)
        held = json.dumps([place, limit]).encode()
        return base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, held, _bound(question))).decode()

    def place(self, token: str, question: Mapping[str, object], limit: int | None) -> tuple[str, int | None]:
        """The place in a token, and the limit that holds. Raises `MalformedRequest` for a token that was given for
        another question or limit, or never."""
        try:
            held = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
            place, given = json.loads(self._cipher.decrypt(held[:_NONCE], held[_NONCE:], _bound(question)))
        except (ValueError, binascii.Error, InvalidTag) as error:
            message = "is not one that was given for this search"
            raise MalformedRequest(FieldFault(field="page.token", message=message)) from error
        if limit is not None and limit != given:
            raise MalformedRequest(FieldFault(field="page.limit", message="is not that of the page before"))
        return place, given


def _bound(question: Mapping[str, object]) -> bytes:
    return json.dumps(question, sort_keys=True, ensure_ascii=True).encode("ascii")
