"""What is asked: one request, as `POST /decide` takes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A requester or an end user: `type` is person, organisation, account or service, `id` as on file."""

    type: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Evidence of where the requester is: ISO 3166-1 alpha-2 countries, an ISO 3166-2 subdivision."""

    country: str | None = None
    subdivision: str | None = None
    postcode: str | None = None
    ip: str | None = None
    ip_country: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May this subject do this with this model? What is `None` was not stated, which is never the same as no.

    `request_id` makes a retry safe: the same question under the same id is decided once.
    """

    subject: Party
    model: str
    action: str
    purpose: str | None = None
    place: Place | None = None
    acting_for: str | None = None
    end_user: Party | None = None
    fallbacks: tuple[str, ...] | None = None
    request_id: str | None = None

    def document(self) -> Mapping[str, Any]:
        """As it is sent."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def key(self) -> str:
        """What two equal questions have in common, whatever id they carry."""
        told = {name: value for name, value in self.document().items() if name != "request_id"}
        return json.dumps(told, sort_keys=True)
