"""What the door notes about a request, in place of what it must not keep: a truncated address, a reduced user agent."""

import ipaddress
import re
import secrets
from functools import lru_cache

ANONYMOUS_BITS = {4: 24, 6: 48}
USER_AGENT_CHARS = 200
# Products (`Chrome/40.0.2214` becomes Chrome/40) wherever they stand, and what a crawler calls itself.
PRODUCT = re.compile(
    r"([A-Za-z][A-Za-z._-]{1,40})/v?(\d{1,4})|([A-Za-z-]{0,30}(?:bot|crawler|spider)[A-Za-z-]{0,30})", re.I
)

URL = re.compile(r"\+?https?://\S+")


def new_receipt_id() -> str:
    """128 random bits: nobody can guess another's."""
    return secrets.token_hex(16)


@lru_cache(maxsize=4096)
def truncated_ip(address: str) -> str | None:
    """The network of an address: /24 or /48. None for what is no address (a Unix socket, a proxy's nonsense)."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return str(ipaddress.ip_network((found, ANONYMOUS_BITS[found.version]), strict=False))


@lru_cache(maxsize=4096)
def reduced_user_agent(text: str) -> str | None:
    """Product names with their major versions, at most 200 characters; builds, devices and comments are left out."""
    names = [f"{name}/{major}" if name else robot for name, major, robot in PRODUCT.findall(URL.sub("", text[:2000]))]
    return " ".join(dict.fromkeys(names))[:USER_AGENT_CHARS] or ("other" if text.strip() else None)
