"""Spans of a request on its way to a decision, for whoever follows it over several programs.

A span says how long a step took and what came of it in closed words: no person, no fact, no model and nothing of what a
client sent is ever in one. Where nobody follows requests, `NO_SPANS` costs a decision nothing that could be measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Final, Protocol

Attributes = Mapping[str, str | int]


class Span(Protocol):
    """A step that is being taken."""

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:
        """What is known of the step by now, and what it is called if that is known only now."""
        ...

    def decided(self, answers: Sequence[bytes], *, action: str, gateway: str | None) -> None:
        """The full answers that the step came to."""
        ...


class Spans(Protocol):
    """Begins spans. One that is begun within another is a part of it."""

    def door(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:
        """A request as it comes in; `traceparent` is the span of whoever sent it (W3C Trace Context)."""
        ...

    def step(self, name: str) -> AbstractContextManager[Span]:
        """A step of what is being done."""
        ...


class _Nothing:
    """The span of nobody."""

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return

    def tell(self, attributes: Attributes, *, name: str | None = None) -> None:  # noqa: ARG002  nobody's
        return

    def decided(self, answers: Sequence[bytes], *, action: str, gateway: str | None) -> None:  # noqa: ARG002  nobody's
        return


_NOTHING: Final = _Nothing()


class NoSpans:
    """Nobody follows requests."""

    def door(self, name: str, traceparent: str | None) -> AbstractContextManager[Span]:  # noqa: ARG002  nobody's
        return _NOTHING

    def step(self, name: str) -> AbstractContextManager[Span]:  # noqa: ARG002  nobody's
        return _NOTHING


NO_SPANS: Final = NoSpans()
