"""The engine inside of a Python process: the same decisions and the same promise of the log, without a network.

    from policy_engine import Engine

    with Engine() as engine:
        answer = engine.decide({"subject": {"type": "person", "id": "carol"}, "model": "opus-4.6", "action": "infer"})
        if answer.allowed:
            ...

It works on the database of the settings (`POLICY_ENGINE_DATABASE_URL`), which a service may use at the same time. What
it decides is recorded before it is answered, and sealed by the service on that database, or by this process where
`seal` says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from policy_engine.app.builder import build
from policy_engine.app.settings import Settings
from policy_engine.domain.request import Caller, Semantic
from policy_engine.formats.request_document import batch_item_of, submitted_of
from policy_engine.shapes.answer import AnswerDocument, RefusedItemDocument

_decoder: Final = msgspec.json.Decoder(AnswerDocument)
_refused_decoder: Final = msgspec.json.Decoder(RefusedItemDocument)


class Engine:
    """Decides for one caller, which needs no key since it has the database. Close it, or use it in `with`.

    `name` stands on record as who asked; `gateway` is the one whose aliases count; `assertable` are the properties that
    it may assert. Raises `FaultsError`, `MembersUnavailable` and the store's errors for what cannot be used.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        name: str = "in-process",
        gateway: str | None = None,
        assertable: Iterable[str] = (),
        seal: bool = False,
    ) -> None:
        self._parts = build(settings or Settings(), background=seal)
        self._caller = Caller(id=name, gateway=gateway, assertable=frozenset(assertable), explain=True)

    def decide(self, request: Mapping[str, object]) -> AnswerDocument:
        """The full answer to a request as `POST /decide` takes it; its record is on disk.

        Raises `MalformedRequest`, `LogUnavailable` where no record could be made, and `MembersUnavailable`: whoever
        catches one of them has no allow.
        """
        reply = self._parts.gate.decide_here(submitted_of(request), self._caller, determines=True)
        return _decoder.decode(reply.answer)

    def decide_batch(
        self, requests: Sequence[Mapping[str, object]], semantic: Semantic = Semantic.EXECUTE_ALL
    ) -> tuple[AnswerDocument | RefusedItemDocument, ...]:
        """The answers in their order, decided under one book at one instant and recorded together.

        What is no request is a recorded deny, and a request id that was used for another request a refused item.
        """
        items = [batch_item_of(request) for request in requests]
        reply = self._parts.gate.decide_batch_here(items, semantic, self._caller)
        return tuple(map(_decode_item, reply.answers))

    def close(self) -> None:
        """Write what waits, and let go of the database."""
        self._parts.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _decode_item(answer: bytes) -> AnswerDocument | RefusedItemDocument:
    try:
        return _decoder.decode(answer)
    except msgspec.ValidationError:
        return _refused_decoder.decode(answer)
