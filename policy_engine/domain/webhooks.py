"""Where what may have ended is delivered to, and which addresses nothing is ever sent to. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from policy_engine.domain.gateways import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

LOOPBACK_NAME: Final = "localhost"
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """A receiver of webhooks. `target` is path and query of its address; `secrets` is the file of what is signed with.

    `networks` are the networks beside the public ones in which it may be.
    """

    name: str
    host: str
    port: int
    target: str
    tls: bool
    secrets: str
    networks: tuple[Network, ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether its address says that it is on this machine."""
        if self.host == LOOPBACK_NAME:
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def may_be_at(receiver: Receiver, address: Address) -> bool:
    """Whether something may be sent to the receiver at an address to which its name leads.

    A name is somebody else's to change. So it leads to the public network, into a network that the receiver names,
    or, where the receiver says itself that it is on this machine, to this machine; and nowhere else.
    """
    if receiver.is_here:
        return address.is_loopback
    if any(address.version == network.version and address in network for network in receiver.networks):
        return True
    return all(one.is_global and not one.is_multicast for one in _meant(address))


def _meant(address: Address) -> tuple[Address, ...]:
    """The address, and the IPv4 one to which a network would hand on what is sent to it."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address in _NAT64:
        return address, ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    within = (address.sixtofour, *(address.teredo or ()))
    return (address, *(one for one in within if one is not None))


class Disabled(StrEnum):
    """Why nothing is sent to a receiver any more: it said that it is gone, or took nothing for too long."""

    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """How far a receiver was told: everything up to an entry of the log. `failing_since` says since when it has
    taken nothing; `disabled_at` and `disabled`, when and why nothing is sent there any more."""

    name: str
    told: int
    failing_since: datetime | None = None
    disabled_at: datetime | None = None
    disabled: Disabled | None = None
