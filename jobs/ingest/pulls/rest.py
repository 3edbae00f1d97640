"""Changed records of a REST source into landing/, as NDJSON. The cursor moves on only when the rows stand there, on disk.

So a crash repeats rows and loses none; a repeat is dropped downstream, being the same version of the same record. Rows
that were handed on before (the overlap, the boundary of a page) are known by keyed marks and not written again.
"""

import logging
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, cast

from expectations.contracts import SourceContract
from jobs.core.context import Context
from jobs.core.definitions import PullHeader
from jobs.core.errors import UsageError
from jobs.core.failpoints import Failpoint, fail_at
from jobs.core.hashing import hash_parts
from jobs.core.secrets import read_secret
from jobs.core.settings import Settings
from jobs.ingest.pulls.cursor import Position, as_text, before, not_later, read_position
from jobs.ingest.pulls.landing_file import LandingFile, pull_lock
from jobs.ingest.pulls.ledger import Landed, Ledger, ReadTo, open_ledger
from jobs.ingest.pulls.options import CURSOR, KEY, AuthOptions, RestOptions, rest_options
from jobs.ingest.pulls.report import PullReport
from jobs.ingest.pulls.rows import mark_of, to_line, to_record
from jobs.ingest.pulls.walk import Placed, Walk
from jobs.privacy.keys import load_token_key
from jobs.transport.http import Outbound, Sleep, open_session
from jobs.transport.rest import Auth, HeaderAuth, Page, Query, basic_auth, oauth2_auth, pages

log = logging.getLogger(__name__)
MARKS_LIMIT = 100_000  # beyond, some rows are handed on twice


def pull_rest(
    context: Context, header: PullHeader, *, since: str | None = None, sleep: Sleep = time.sleep
) -> PullReport:
    """Fetches what has changed since the last run, or since `since`; without a cursor, everything.

    Raises AuthError, PermanentError, RetryableError; what was handed on until then counts, and the next run goes on there.
    """
    options, contract = rest_options(header)
    with (
        pull_lock(context.settings, contract.name),
        open_ledger(context.settings) as ledger,
        closing(_Asker(context.settings, options, sleep)) as asker,
    ):
        puller = _Puller(context, header.name, options, contract, ledger)
        puller.run(Walk(asker, options), since)
    return puller.report


class _Asker:
    """Puts the queries of a pull, at most so many a second."""

    def __init__(self, settings: Settings, options: RestOptions, sleep: Sleep) -> None:
        token_url = [options.auth.token_url] if options.auth and options.auth.token_url else []
        urls = [options.base_url, *options.hosts, *token_url]
        self._options = options
        self._sleep = sleep
        self._session = open_session(settings, urls, private_hosts=options.private_hosts, sleep=sleep)
        self._auth = _auth(settings, self._session, options.auth) if options.auth else None
        self._last = float("-inf")

    def __call__(self, at: Position | None, key: str | None = None) -> Iterator[Page]:
        """The answers to one query; the placeholders are put in as text."""
        options, cursor = self._options, self._options.cursor
        ties = cursor.ties if cursor and key is not None else None
        marks = {CURSOR: as_text(at, cursor.asked_as)} if cursor and at is not None else {}
        marks |= {KEY: key} if key is not None else {}
        query = Query(
            base_url=options.base_url,
            path=options.path,
            method=options.method,
            params=_filled(ties.params if ties else options.params, marks),
            body=_filled(ties.body if ties else options.body, marks),
            headers=options.headers,
            records=options.records,
            paginator=options.paginator,
        )
        answers = pages(self._session, query, self._auth)
        while True:
            self._pause()
            page = next(answers, None)
            if page is None:
                return
            yield page

    def close(self) -> None:
        """Gives the connections back."""
        self._session.close()

    def _pause(self) -> None:
        rate = self._options.requests_per_second
        if rate is not None:
            wait = self._last + 1 / rate - time.monotonic()
            if wait > 0:
                self._sleep(wait)
            self._last = time.monotonic()


def _filled(value: Any, marks: Mapping[str, str]) -> Any:
    """The value with its placeholders put in, at any depth."""
    if isinstance(value, str):
        for mark, text in marks.items():
            value = value.replace(mark, text)
        return value
    if isinstance(value, Mapping):
        return {name: _filled(item, marks) for name, item in value.items()}
    return [_filled(item, marks) for item in value] if isinstance(value, list) else value


def _auth(settings: Settings, session: Outbound, options: AuthOptions) -> Auth:
    secret = read_secret(settings, options.secret)
    if options.kind == "oauth2":
        return oauth2_auth(session, cast(str, options.token_url), cast(str, options.client_id), secret)
    if options.kind == "basic":
        return basic_auth(cast(str, options.username), secret)
    if options.kind == "header":
        return HeaderAuth(cast(str, options.header), secret)
    return HeaderAuth("Authorization", f"Bearer {secret}")


class _Puller:
    """One run: rows into a hidden file, the file into landing/, then the cursor."""

    def __init__(
        self, context: Context, name: str, options: RestOptions, contract: SourceContract, ledger: Ledger
    ) -> None:
        self.context = context
        self.options = options
        self.contract = contract
        self.ledger = ledger
        self.report = PullReport(name)
        self.started = context.clock.now()
        self.endpoint = _endpoint(options)
        self.key = load_token_key(context.settings).stable
        self.marks = {mark: int(at) for mark, at in ledger.marks(name, self.endpoint).items()}
        self.done: Position | None = None

    def run(self, walk: Walk, since: str | None) -> None:
        """Until the source has no more."""
        steps = walk.steps(self._start(since))
        ended = False
        while not ended:
            with LandingFile(self.context.settings, self.contract, self.report.name) as file:
                rows = 0
                while rows < self.context.settings.pull_file_rows:
                    step = next(steps, None)
                    if step is None:
                        ended = True
                        break
                    rows += self._write(file, step.rows)
                    self.done = step.done if step.done is not None else self.done
                    fail_at(self.context.settings, Failpoint.DURING_PULL)
                self._hand_on(file, rows)

    def _start(self, since: str | None) -> Position | None:
        cursor = self.options.cursor
        if cursor is None:
            if since is not None:
                raise UsageError(f"pull {self.report.name} has no cursor: it fetches everything, --since means nothing")
            return None
        if since is not None:
            begin = read_position(since, cursor.format, cursor.asked_as)
            if begin is None:
                raise UsageError(f"--since {since!r} is no {cursor.format}, as {cursor.column} is")
            return begin
        kept = self.ledger.position(self.report.name, self.endpoint)
        if kept is None:
            return cursor.first
        return max(before(int(kept), cursor.overlap_seconds, cursor.asked_as), cursor.first)

    def _write(self, file: LandingFile, rows: list[Placed]) -> int:
        """Writes the rows that are news; how many they were."""
        written = 0
        for row, position in rows:
            line = to_line(to_record(row, self.options.rules, tuple(self.contract.columns)))
            mark = mark_of(line, self.key)
            self.report.received += 1
            if mark in self.marks:
                self.report.known += 1
                continue
            if position is not None:
                self.marks[mark] = position
            file.out.write(line)
            written += 1
        return written

    def _hand_on(self, file: LandingFile, rows: int) -> None:
        settings, now = self.context.settings, self.context.clock.now()
        landed = None
        if rows:
            file.sync()
            fail_at(settings, Failpoint.AFTER_PULL_BEFORE_LANDING)
            name = f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(8)}.ndjson"
            file.land(name)
            landed = Landed(name, rows)
            self.report.files += 1
            self.report.landed += rows
            log.info("%s: %d rows in %s", self.report.name, rows, name)
        fail_at(settings, Failpoint.AFTER_LANDING_BEFORE_RECORD)
        self.ledger.landed(self.report.name, self.endpoint, landed, self._read_to(), run_id=self.context.run_id, at=now)

    def _read_to(self) -> ReadTo | None:
        """How far the source counts as read; marks that the next run cannot meet again are forgotten."""
        cursor = self.options.cursor
        if cursor is None or self.done is None:
            self._forget(None)
            return None
        position = not_later(self.done, self.started, cursor.asked_as)
        kept = self.ledger.position(self.report.name, self.endpoint)
        position = max(position, int(kept)) if kept is not None else position
        self._forget(before(position, cursor.overlap_seconds, cursor.asked_as))
        return ReadTo(str(position), [(mark, str(at)) for mark, at in self.marks.items()])

    def _forget(self, oldest: Position | None) -> None:
        near = [(at, mark) for mark, at in self.marks.items() if oldest is None or at >= oldest]
        self.marks = {mark: at for at, mark in sorted(near, reverse=True)[:MARKS_LIMIT]}


def _endpoint(options: RestOptions) -> str:
    """What a kept cursor belongs to: another address, or another cursor, is read from its beginning."""
    cursor = options.cursor
    return hash_parts([options.base_url, options.path, cursor and cursor.column, cursor and cursor.asked_as])[:16]
