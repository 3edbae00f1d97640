"""Pages of a REST source: dlt's client and paginators over our guarded session.

Of dlt only these two are used. Its configuration (files in the working directory and the home folder, Airflow's secret
store), its state and its incremental filter are not: the filter drops rows older than its start without a word, and
compares ISO times as text, where "…:00Z" comes after "…:00.5Z".
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from requests import PreparedRequest
from requests.auth import AuthBase, HTTPBasicAuth

from jobs.core.errors import AuthError, PermanentError
from jobs.core.hashing import hash_parts
from jobs.transport.http import Outbound

Method = Literal["GET", "POST"]
Auth = AuthBase
PAGINATORS = {
    "single_page": "SinglePagePaginator",
    "json_link": "JSONLinkPaginator",
    "header_link": "HeaderLinkPaginator",
    "cursor": "JSONResponseCursorPaginator",
    "header_cursor": "HeaderCursorPaginator",
    "offset": "OffsetPaginator",
    "page_number": "PageNumberPaginator",
}


class HeaderAuth(AuthBase):
    """A secret in a header."""

    def __init__(self, name: str, value: str) -> None:
        if not value.isascii():
            raise AuthError("the secret holds letters that no header can carry; expected ASCII")
        self._name, self._value = name, value

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        request.headers[self._name] = self._value
        return request


def basic_auth(username: str, password: str) -> AuthBase:
    """User name and password, UTF-8."""
    return HTTPBasicAuth(username.encode(), password.encode())


def oauth2_auth(session: Outbound, token_url: str, client_id: str, client_secret: str) -> AuthBase:
    """OAuth 2.0 client credentials: a token is fetched through the same session, and again when it runs out."""
    from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials

    auth: AuthBase = OAuth2ClientCredentials(
        access_token_url=token_url, client_id=client_id, client_secret=client_secret, session=session
    )
    return auth


@dataclass(frozen=True)
class Query:
    """One question that is answered in pages. `records` is the path of dots to the list of rows in an answer."""

    base_url: str
    path: str
    method: Method
    params: Mapping[str, Any]
    body: Mapping[str, Any] | None
    headers: Mapping[str, str]
    records: str
    paginator: Mapping[str, Any]


@dataclass(frozen=True)
class Page:
    """The rows of one answer, and whether the server says that there are more."""

    rows: list[Any]
    has_next: bool


def make_paginator(declared: Mapping[str, Any]) -> Any:
    """dlt's paginator of a kind, with the arguments declared for it. Raises PermanentError when they do not fit."""
    from dlt.sources.helpers.rest_client import paginators

    arguments = {name: value for name, value in declared.items() if name != "kind"}
    try:
        return getattr(paginators, PAGINATORS[declared["kind"]])(**arguments)
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(f"paginator: {' '.join(str(error).split())}; kinds: {', '.join(PAGINATORS)}") from error


def pages(session: Outbound, query: Query, auth: AuthBase | None) -> Iterator[Page]:
    """The answers to a query, each asked for only when it is wanted.

    Raises PermanentError when an answer has no rows where they should be, or a page is about to be asked for twice.
    """
    logging.getLogger("dlt").setLevel(logging.ERROR)  # it would write addresses with their parameters
    asked: set[str] = set()
    try:
        for page in _answers(session, query, auth):
            rows = at_path(page.response.json(), query.records)
            if not isinstance(rows, list):
                raise PermanentError(f"{query.path}: the answer has no list at {query.records!r}; check `records`")
            has_next = bool(page.paginator.has_next_page)
            if has_next:
                _refuse_repeats(asked, page.request, query.path)
            yield Page(rows, has_next)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        # Of a paginator, which puts the whole answer into its message.
        raise PermanentError(f"{query.path}: the answer does not fit the paginator ({type(error).__name__})") from error


def _answers(session: Outbound, query: Query, auth: AuthBase | None) -> Iterator[Any]:
    from dlt.common.configuration.specs.runtime_configuration import RuntimeConfiguration
    from dlt.sources.helpers.rest_client.client import RESTClient

    config = RuntimeConfiguration(dlthub_telemetry=False, http_show_error_body=False)
    client = RESTClient(base_url=query.base_url, headers=dict(query.headers), auth=auth, session=session, config=config)
    return client.paginate(
        query.path,
        method=query.method,
        params=dict(query.params),
        json=json.loads(json.dumps(query.body)) if query.body is not None else None,  # paginators write into it
        paginator=make_paginator(query.paginator),
        data_selector=query.records or "$",
    )


def at_path(value: Any, path: str) -> Any:
    """What stands at a path of dots (`paging.next`), the value itself at the empty path, None where there is nothing."""
    for name in path.split(".") if path else ():
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _refuse_repeats(asked: set[str], request: Any, path: str) -> None:
    mark = hash_parts(
        [request.url, *(json.dumps(x, sort_keys=True, default=str) for x in (request.params, request.json))]
    )
    if mark in asked:
        raise PermanentError(f"{path}: the server leads in a circle, the same page would be asked for again")
    asked.add(mark)
