"""A policy-decision service for export control and nationality access to AI models."""

from typing import Final

ENGINE_VERSION: Final = "0.1.0"
