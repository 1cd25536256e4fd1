"""Which networks an address belongs to, found without looking at every network there is."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Generic, TypeAlias, TypeVar

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
T = TypeVar("T")

_MAPPED_BITS: Final = 96
"""IPv4 addresses mapped into IPv6 have this much before them."""
_ADDRESSES_KEPT: Final = 4096
"""Addresses that are taken apart only once; parsing one takes ten times as long as looking it up."""


@lru_cache(maxsize=_ADDRESSES_KEPT)
def address_of(text: str) -> Address | None:
    """The IP address that *text* is, IPv4-mapped IPv6 as IPv4 (decisions 1.4); None for anything else, such as the
    path of a Unix socket."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return address if mapped is None else mapped


def network_of(text: str) -> Network:
    """The network that an address or a CIDR names: host bits cleared, IPv4-mapped IPv6 as IPv4 (decisions 7.1).

    Raises ValueError for anything else; zones, and masks in dotted notation, are no CIDR.
    """
    address, slash, bits = text.strip().partition("/")
    if "%" in address or (slash and not (bits.isascii() and bits.isdigit())):
        raise ValueError(f"{text!r} is no CIDR")
    network = ip_network(f"{ip_address(address)}{slash}{bits}", strict=False)
    if isinstance(network, IPv6Network) and network.prefixlen >= _MAPPED_BITS:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
    return network


def shown(network: Network) -> str:
    """A network as CIDR, and one of a single address as that."""
    return str(network.network_address) if network.prefixlen == network.max_prefixlen else str(network)


class Networks(Generic[T]):
    """Values by network. The cost of a look-up grows with the number of different sizes, at most 33 or 129,
    and not with the number of networks: accepting connections stays cheap whatever is banned."""

    def __init__(self) -> None:
        self._by_size: dict[tuple[int, int], dict[int, dict[T, None]]] = {}

    def add(self, network: Network, value: T) -> None:
        """Remember *value* for a network, which may have several."""
        self._by_size.setdefault(_size(network), {}).setdefault(_prefix(network), {})[value] = None

    def discard(self, network: Network, value: T) -> None:
        """Undo `add`."""
        same_size = self._by_size.get(_size(network), {})
        values = same_size.get(_prefix(network), {})
        values.pop(value, None)
        if not values:
            same_size.pop(_prefix(network), None)
        if not same_size:
            self._by_size.pop(_size(network), None)

    def of(self, address: Address) -> Iterator[T]:
        """The values of all networks that hold *address*."""
        number = int(address)
        for (version, host_bits), same_size in self._by_size.items():
            if version == address.version:
                yield from same_size.get(number >> host_bits, ())


def _size(network: Network) -> tuple[int, int]:
    return network.version, network.max_prefixlen - network.prefixlen


def _prefix(network: Network) -> int:
    return int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
