"""Connections that look before they leap: a name is resolved once, each address is judged, a judged one is connected to.

A second answer of the name server changes nothing, because the connection is made to the address, not to the name; the
certificate is still checked against the name.
"""

import socket
from dataclasses import dataclass
from typing import Any, ClassVar

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError
from urllib3.util.connection import create_connection

from jobs.core.errors import PermanentError
from jobs.transport.addresses import is_allowed

PORTS = {"https": 443, "http": 80}


class BlockedError(PermanentError):
    """A connection that was not made, because nobody allowed it."""


@dataclass(frozen=True)
class Reach:
    """Where a session may go: `origins` as (scheme, host, port); `private_hosts` may be in the company's own network."""

    origins: frozenset[tuple[str, str, int]]
    private_hosts: frozenset[str] = frozenset()
    allow_loopback: bool = False


def judged_addresses(reach: Reach, host: str, port: int) -> list[str]:
    """Addresses of `host` in the order of the resolver. Raises BlockedError when one of them must not be reached."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    private = host in reach.private_hosts
    for address in addresses:
        if not is_allowed(address, private=private, loopback=reach.allow_loopback):
            raise BlockedError(
                f"{host} leads to an address of this machine or of an inner network; not connected. If that is meant, "
                "name the host in private_hosts"
            )
    return addresses


def _connect(connection: HTTPConnection, reach: Reach) -> socket.socket:
    # Asked again where it counts: two libraries may read one odd URL in two ways.
    if (connection.host, connection.port) not in {(host, port) for _, host, port in reach.origins}:
        raise BlockedError(f"{connection.host}:{connection.port} is not among the declared hosts; not connected")
    try:
        addresses = judged_addresses(reach, connection.host, connection.port)
    except socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    problem: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return create_connection(
                (address, connection.port), connection.timeout, socket_options=connection.socket_options
            )
        except OSError as error:
            problem = error
    if isinstance(problem, TimeoutError):
        raise ConnectTimeoutError(connection, "no connection in time") from problem
    raise NewConnectionError(connection, problem.strerror or "no connection") from problem


class _Plain(HTTPConnection):
    reach: ClassVar[Reach]

    def _new_conn(self) -> socket.socket:
        return _connect(self, self.reach)


class _Tls(HTTPSConnection):
    reach: ClassVar[Reach]

    def _new_conn(self) -> socket.socket:
        return _connect(self, self.reach)


class GuardedAdapter(HTTPAdapter):
    """A requests adapter whose every connection is judged by one Reach. It retries nothing and knows no proxies."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        super().__init__(max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        """Called by requests; pools whose connections know their reach."""
        plain = type("Plain", (_Plain,), {"reach": self._reach})
        tls = type("Tls", (_Tls,), {"reach": self._reach})
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("TlsPool", (HTTPSConnectionPool,), {"ConnectionCls": tls}),
        }

    def proxy_manager_for(self, proxy: str, **_: Any) -> Any:
        """A proxy would resolve names in our place."""
        raise BlockedError("proxies are not used; unset the proxy of this session")
