"""Which network addresses an outbound connection may go to. Pure: judges addresses, resolves none."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
GLOBAL_UNICAST = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are the IPv4 address that is reached
SIX_TO_FOUR = IPv6Network("2002::/16")
INNER = [ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")]


def embedded(address: Address) -> Address:
    """The address that is reached in the end: the IPv4 one inside a mapped or NAT64 address, else the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether it is an address of the open internet: not private, link-local, loopback, shared, multicast, reserved."""
    real = embedded(address)
    if isinstance(real, IPv6Address):
        return real in GLOBAL_UNICAST and real not in SIX_TO_FOUR and real.is_global
    return real.is_global and not real.is_multicast and not real.is_reserved


def is_allowed(text: str, *, private: bool, loopback: bool) -> bool:
    """Whether a connection to this address may be made.

    `private` allows the ranges of company networks, `loopback` this machine. Link-local addresses (where clouds keep their
    credentials), multicast and the rest are never allowed.
    """
    address = embedded(ip_address(text.partition("%")[0]))
    if address.is_loopback:
        return loopback
    return is_public(address) or (private and any(address in network for network in INNER))
