"""The one HTTP client for going out: a `requests` session that goes only where it may, and takes only what it should.

https to declared hosts, by judged addresses (see connections.py); no redirects, cookies, proxies or credentials from the
environment; limits on time and on bytes after inflating. 429, 5xx and broken connections are tried again, waiting as long
as `Retry-After` says. Errors name the host and the status, never the answer: it may hold personal data.
"""

import time
from collections.abc import Callable, Iterable
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3

from jobs.core.errors import AuthError, PermanentError, RetryableError
from jobs.core.settings import Settings
from jobs.transport.answers import Answer
from jobs.transport.connections import PORTS, BlockedError, GuardedAdapter, Reach

AGAIN = (408, 425, 429)
REFUSED = (401, 403)
FIRST_WAIT = 0.5
Sleep = Callable[[float], None]


class TryAgainError(RetryableError):
    """One try that failed in a way that another may not; `wait` is what the server asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


class Outbound(requests.Session):
    """A session bound to a Reach. Every answer is whole, in memory and 2xx; anything else is an error of ours."""

    def __init__(self, settings: Settings, reach: Reach, *, sleep: Sleep = time.sleep) -> None:
        super().__init__()
        self._settings = settings
        self._reach = reach
        self._sleep = sleep
        self.trust_env = False
        self.verify = str(settings.http_ca_file) if settings.http_ca_file else True
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers["User-Agent"] = "c360"
        for scheme in ("https://", "http://"):
            self.mount(scheme, GuardedAdapter(reach))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends until it is answered. Raises BlockedError, AuthError, PermanentError, RetryableError."""
        check_target(self._reach, str(request.url))
        request.hooks = requests.hooks.default_hooks()  # a library's own judgement of answers would come before ours
        settings = self._settings
        kwargs |= {
            "allow_redirects": False,
            "stream": True,
            "timeout": (settings.http_connect_seconds, settings.http_read_seconds),
        }
        tries = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(settings.http_attempts),
            retry=tenacity.retry_if_exception_type(TryAgainError),
            wait=self._wait,
            sleep=self._sleep,
            reraise=True,
        )
        return tries(self._try, request, kwargs)

    def _try(self, request: requests.PreparedRequest, kwargs: dict[str, Any]) -> requests.Response:
        host = urlsplit(str(request.url)).hostname
        try:
            with super().send(request, **kwargs) as response:
                answer = Answer.read(response, self._settings)
        except (requests.exceptions.SSLError, urllib3.exceptions.SSLError) as error:
            raise PermanentError(f"{host} has no certificate that we trust; see C360_HTTP_CA_FILE") from error
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise TryAgainError(
                f"{host} cannot be reached or broke off ({type(error).__name__}); run it again"
            ) from error
        _judge(answer, request, self._settings.http_wait_seconds)
        return answer

    def _wait(self, state: tenacity.RetryCallState) -> float:
        """What the server asked for; otherwise twice as long each time, with a random share so that callers spread."""
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, TryAgainError) and error.wait is not None:
            return error.wait
        longest = self._settings.http_wait_seconds
        return tenacity.wait_random_exponential(multiplier=FIRST_WAIT, max=longest)(state)


def open_session(
    settings: Settings, urls: Iterable[str], *, private_hosts: Iterable[str] = (), sleep: Sleep = time.sleep
) -> Outbound:
    """A session that may go to the scheme, host and port of `urls` and nowhere else. Raises BlockedError for a bad URL."""
    origins = frozenset(origin(url) for url in urls)
    reach = Reach(origins, frozenset(private_hosts), allow_loopback=settings.http_allow_loopback)
    for scheme, host, _ in origins:
        if scheme != "https" and not (reach.allow_loopback and is_loopback(host)):
            raise BlockedError(f"{scheme}://{host} is not encrypted; expected https://")
    return Outbound(settings, reach, sleep=sleep)


def is_loopback(host: str) -> bool:
    """Whether a host name stands for this machine by itself, without asking a name server."""
    return host in ("localhost", "127.0.0.1", "::1")


def origin(url: str) -> tuple[str, str, int]:
    """(scheme, host, port) of an absolute URL. Raises BlockedError when it is none, or carries a user name."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError as error:
        raise BlockedError("not a URL that can be requested") from error
    if port is None or not parts.hostname or "@" in parts.netloc:
        raise BlockedError("not a URL that can be requested; expected https://host/path, without a user name")
    return parts.scheme, parts.hostname, port


def check_target(reach: Reach, url: str) -> None:
    """Raises BlockedError unless the URL is one of the origins that were declared."""
    found = origin(url)
    if found not in reach.origins:
        scheme, host, port = found
        raise BlockedError(f"{scheme}://{host}:{port} is not among the declared hosts; nothing was sent there")


def _judge(response: requests.Response, request: requests.PreparedRequest, longest_wait: float) -> None:
    status = response.status_code
    if 200 <= status < 300:
        return
    parts = urlsplit(str(request.url))
    what = f"{parts.hostname} answered {status} to {request.method} {parts.path}"
    if status in AGAIN or status >= 500:
        wait = _retry_after(response)
        if wait is not None and wait > longest_wait:
            raise RetryableError(f"{what} and asks to wait {wait:.0f} s; run it again after that")
        raise TryAgainError(f"{what}; run it again later", wait)
    if status in REFUSED:
        raise AuthError(f"{what}: the credential was refused; check the secret and what it may read")
    if 300 <= status < 400:
        raise BlockedError(f"{what}: redirects are not followed; use the address that it leads to")
    raise PermanentError(
        f"{what}; check path, parameters and body (the answer is not shown, it may hold personal data)"
    )


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server wants to be left alone; None when it does not say, or not readably."""
    text = response.headers.get("Retry-After")
    if text is None:
        return None
    try:
        return max(0.0, urllib3.Retry().parse_retry_after(text))
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return None
