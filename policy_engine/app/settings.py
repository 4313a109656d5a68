"""The settings of the service and of the commands beside it, from the environment."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from policy_engine.domain.reviews import CASES_PER_HOUR
from policy_engine.ledger.note import name_fault
from policy_engine.service.gate.tokens import ALGORITHMS

_IDENTIFIER: Final = re.compile(r"https://[A-Za-z0-9.\[\]:-]+(?:/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?")


class Settings(BaseSettings):
    """Settings of the service, from environment variables that begin with `POLICY_ENGINE_`."""

    model_config = SettingsConfigDict(env_prefix="POLICY_ENGINE_", extra="ignore")

    database_url: str = Field(
        "sqlite:///var/policy-engine.db",
        description="SQLAlchemy URL: sqlite:///path or postgresql+psycopg://user:password@host/name",
    )
    policies: Path = Field(
        Path("policies"),
        description="folder of the rule book: taken as the first book of an empty database, and read on by --watch",
    )
    gateways: Path | None = Field(
        None, description="file of the gateways' profiles; without it the routes for gateways deny"
    )
    webhooks: Path | None = Field(
        None, description="file of the receivers of webhooks, which tell what ended; without it none are sent"
    )
    token_issuer: str | None = Field(
        None, description="issuer (`iss`) of the access tokens that callers may present in the place of a key"
    )
    token_audience: str | None = Field(None, description="audience (`aud`) that a token has to be for")
    token_keys: str | None = Field(
        None, description="public keys of the issuer (JWKS): an https address, or the path of a file"
    )
    token_algorithms: str = Field(
        "RS256,PS256,ES256", description="algorithms by which tokens may be signed, with commas between"
    )
    rate_per_second: int = Field(
        0, ge=0, description="requests a second that one caller may make, where no profile says it; 0: no limit"
    )
    rate_burst: int = Field(0, ge=0, description="requests at once after a pause; 0: those of two seconds")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8181, ge=0, le=65535, description="port to listen on")
    public_url: str | None = Field(
        None, description="https address under which callers know the service, such as `https://pdp.example.com`"
    )
    grpc_port: int | None = Field(
        None, ge=0, le=65535, description="port for Envoy's ext_authz over gRPC; without it there is none"
    )
    ledger: Path = Field(Path("var/ledger"), description="folder of the sealed log: tiles and checkpoints")
    witness: Path = Field(
        Path("var/witness"),
        description="folder of the witness, which remembers the last checkpoint: best on another disk",
    )
    log_key: Path = Field(Path("var/log.key"), description="file of the key that signs checkpoints; made when missing")
    log_origin: str = Field(
        "policy-engine.local/log",
        description="origin of the log, to which the year is added: without blanks and `+`, such as `example.com/log`",
    )
    listeners: int = Field(
        64, ge=1, description="gateways that may listen at `GET /watch` at once; a further one gets 503"
    )
    metrics_without_key: bool = Field(
        False, description="whether `GET /metrics` needs no key; otherwise one with the right `metrics`"
    )
    traces: str | None = Field(
        None,
        description="address to which OpenTelemetry spans are sent, such as `http://127.0.0.1:4318/v1/traces`; without"
        " it none are made",
    )
    watch: bool = Field(False, description="whether the folder of the rule book is watched, as `serve --watch` does")
    log_queue: int = Field(10_000, ge=1, description="decisions that may wait for the log before 503 is answered")
    review_due_days: int = Field(5, ge=1, description="days after which a review of a held request is due")
    reviews_per_hour: int = Field(
        CASES_PER_HOUR, ge=1, description="review cases that one key opens within an hour; what is beyond is one case"
    )
    log_level: str = Field("info", description="debug, info, warning or error; no level logs facts about a person")

    header_bytes: int = Field(32_768, ge=1_024, le=1_048_576, description="bytes of a request line with its headers")
    headers: int = Field(100, ge=10, description="headers of a request")
    request_seconds: float = Field(
        30.0, ge=1.0, description="seconds after its first byte in which a request has to be whole, body included"
    )
    keep_alive_seconds: int = Field(
        75, ge=1, description="seconds after which a connection without a request is closed: longer than at the proxy"
    )
    connections: int = Field(
        512, ge=8, description="connections that may be open; a further one replaces one that holds its request back"
    )
    connections_per_address: int = Field(
        256, ge=1, description="connections that may be open from one address; a proxy's all come from one"
    )

    @field_validator("public_url")
    @classmethod
    def _is_an_identifier(cls, url: str | None) -> str | None:
        # What AuthZEN calls the identifier of a decision point: https, without query and fragment.
        if url is not None and not re.fullmatch(
            r"https://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?", url
        ):
            raise ValueError("write an https address without a query and without `/` at its end")
        return url

    @field_validator("traces")
    @classmethod
    def _is_a_collector(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/[!-~]*", address):
            raise ValueError("write the whole address of a collector, as http://127.0.0.1:4318/v1/traces")
        return address

    @field_validator("token_keys")
    @classmethod
    def _is_an_address_or_a_path(cls, keys: str | None) -> str | None:
        if keys is not None and "://" in keys and not re.fullmatch(r"https://[!-~]+", keys):
            raise ValueError("write an https address or the path of a file: by another way anybody could give the keys")
        return keys

    @field_validator("token_algorithms")
    @classmethod
    def _can_be_allowed(cls, named: str) -> str:
        if any(one.strip() not in ALGORITHMS for one in named.split(",")):
            raise ValueError(f"write some of {', '.join(ALGORITHMS)}: signatures that only the issuer can make")
        return named

    @model_validator(mode="after")
    def _says_all_of_tokens(self) -> Settings:
        told = {"ISSUER": self.token_issuer, "AUDIENCE": self.token_audience, "KEYS": self.token_keys}
        missing = [f"POLICY_ENGINE_TOKEN_{name}" for name, value in told.items() if not value]
        if len(missing) not in (0, len(told)):
            raise ValueError(f"tokens need {' and '.join(missing)} too: set all three, or none")
        return self

    @field_validator("log_origin")
    @classmethod
    def _names_a_key(cls, origin: str) -> str:
        # The origin is the name of the key that signs; with another name nothing could ever be sealed.
        fault = name_fault(origin)
        if fault is not None:
            raise ValueError(f"{fault}: write a name such as `example.com/log`")
        return origin
