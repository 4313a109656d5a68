"""Whether the part that speaks gRPC is installed; the service is whole without it."""

from __future__ import annotations

from importlib import import_module
from typing import Final

INSTALL: Final = ".venv/bin/pip install --require-hashes -r requirements/grpc.txt"
"""What installs it into a checkout's environment."""

ADDRESS: Final = "grpc_address"
"""Under which name the state of the application's lifespan tells who runs it where gRPC is listened for."""


class GrpcMissing(Exception):
    """grpcio or Envoy's messages are not installed; the text says how they are."""

    def __init__(self) -> None:
        super().__init__(
            f"POLICY_ENGINE_GRPC_PORT is set, and gRPC is not installed: run {INSTALL}, or unset it and"
            " let Envoy ask over HTTP"
        )


def require_grpc() -> None:
    """Raises `GrpcMissing`."""
    try:
        import_module("grpc")
        import_module("envoy.service.auth.v3.external_auth_pb2")
    except ImportError as error:
        raise GrpcMissing from error
