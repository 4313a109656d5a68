"""A policy-decision service for export control and nationality access to AI models."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from policy_engine.engine import Engine

__all__ = ["ENGINE_VERSION", "Engine"]

ENGINE_VERSION: Final = "0.1.0"


def __getattr__(name: str) -> object:
    # Whoever wants the version, or a part, does not pay for the whole engine.
    if name == "Engine":
        return import_module("policy_engine.engine").Engine
    raise AttributeError(name)
