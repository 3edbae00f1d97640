"""The outbound session against servers on loopback: what it takes, what it refuses, and that it tells nobody anything."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from settingskit import make_settings

from jobs.core.errors import AuthError, PermanentError, RetryableError
from jobs.core.settings import Settings
from jobs.transport.answers import parse
from jobs.transport.connections import BlockedError
from jobs.transport.http import Outbound, open_session

Work = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """Answers each request by the next of `works`, the last one again and again."""

    def __init__(self, *works: Work, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[dict[str, str]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.seen.append({"path": self.path, **self.headers})
                works[min(len(server.seen), len(works)) - 1](self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def answer(body: bytes = b"{}", status: int = 200, **headers: str) -> Work:
    def work(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return work


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def start(*works: Work, **keywords: Any) -> Server:
        made.append(Server(*works, **keywords))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "home", http_allow_loopback=True)


def session_to(settings: Settings, server: Server, waits: list[float] | None = None, **changes: Any) -> Outbound:
    return open_session(
        settings.model_copy(update=changes), [server.url], sleep=([] if waits is None else waits).append
    )


def test_a_plain_answer(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(answer(b'{"a": 1}', Content_Type="application/json"))
    with session_to(settings, server) as session:
        found = session.get(server.url + "/x")
        assert found.json() == {"a": 1}
        assert found.headers["Content-Type"] == "application/json"
        assert session.get(server.url + "/y").content == b'{"a": 1}'
    assert [seen["path"] for seen in server.seen] == ["/x", "/y"]
    assert server.seen[0]["User-Agent"] == "c360"


def test_chunks_and_gzip(settings: Settings, serve: Callable[..., Server]) -> None:
    body = gzip.compress(b'{"a": "' + b"x" * 100_000 + b'"}')

    def chunked(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.send_header("Content-Encoding", "gzip")
        request.end_headers()
        for place in range(0, len(body), 50):
            part = body[place : place + 50]
            request.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        request.wfile.write(b"0\r\n\r\n")

    server = serve(chunked)
    assert len(session_to(settings, server).get(server.url).json()["a"]) == 100_000


def test_no_cookie_no_redirect_no_proxy(
    settings: Settings, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = serve(answer())
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, other.url)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login ann password secret-3\n")
    server = serve(answer(Set_Cookie="id=7"), answer(status=302, Location=other.url), answer())
    session = session_to(settings, server)
    session.get(server.url)
    with pytest.raises(BlockedError, match="redirects are not followed"):
        session.get(server.url)
    session.get(server.url)
    assert other.seen == []
    assert not any("Cookie" in seen or "Authorization" in seen for seen in server.seen)


def test_a_proxy_that_a_caller_names_is_refused(settings: Settings, serve: Callable[..., Server]) -> None:
    other, server = serve(answer()), serve(answer())
    with pytest.raises(BlockedError, match="proxies are not used"):
        session_to(settings, server).get(server.url, proxies={"http": other.url})
    assert (other.seen, server.seen) == ([], [])


def test_a_redirect_to_itself_is_refused_too(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(answer(status=301, Location="/elsewhere"))
    with pytest.raises(BlockedError):
        session_to(settings, server).get(server.url)
    assert len(server.seen) == 1


def test_too_much_is_not_read(settings: Settings, serve: Callable[..., Server]) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    server = serve(answer(b"x" * 20_000), answer(bomb, Content_Encoding="gzip"))
    session = session_to(settings, server, http_response_bytes=10_000)
    for _ in range(2):
        with pytest.raises(PermanentError, match="more than 10000 bytes"):
            session.get(server.url)


def test_a_drip_ends(settings: Settings, serve: Callable[..., Server]) -> None:
    """A byte now and then keeps no read waiting too long, and yet would take for ever."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000")
        request.end_headers()
        try:
            for _ in range(100):
                request.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            pass

    server = serve(drip)
    session = session_to(settings, server, http_total_seconds=0.3, http_attempts=1)
    started = time.perf_counter()
    with pytest.raises(RetryableError, match="broke off"):
        session.get(server.url)
    assert time.perf_counter() - started < 3


def test_a_silent_server(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(lambda _: time.sleep(1))
    with pytest.raises(RetryableError, match="cannot be reached or broke off"):
        session_to(settings, server, http_read_seconds=0.2, http_attempts=1).get(server.url)


def test_nobody_there_is_tried_again(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(answer())
    server.close()
    waits: list[float] = []
    with pytest.raises(RetryableError, match="cannot be reached"):
        session_to(settings, server, waits, http_attempts=4).get(server.url)
    assert len(waits) == 3


def test_waits_are_the_servers_or_grow(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(
        answer(status=429, Retry_After="5"), answer(status=503, Retry_After="soon"), answer(status=500), answer()
    )
    waits: list[float] = []
    assert session_to(settings, server, waits).get(server.url).status_code == 200
    assert waits[0] == 5
    assert 0 <= waits[1] <= 1.0
    assert 0 <= waits[2] <= 2.0


def test_a_wait_that_is_too_long_is_said_and_not_taken(settings: Settings, serve: Callable[..., Server]) -> None:
    server = serve(answer(status=503, Retry_After="7200"))
    waits: list[float] = []
    with pytest.raises(RetryableError, match="asks to wait 7200 s"):
        session_to(settings, server, waits).get(server.url)
    assert (waits, len(server.seen)) == ([], 1)


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, AuthError), (404, PermanentError), (422, PermanentError)]
)
def test_refusals_are_not_repeated(
    settings: Settings, serve: Callable[..., Server], status: int, error: type[Exception]
) -> None:
    server = serve(answer(b"marker-7 ann@example.com", status=status))
    with pytest.raises(error) as raised:
        session_to(settings, server).get(server.url + "/people?email=ann@example.com")
    assert len(server.seen) == 1
    assert f"answered {status} to GET /people" in str(raised.value)
    assert "ann@" not in str(raised.value)
    assert "marker" not in str(raised.value)


def test_an_unknown_certificate(settings: Settings, serve: Callable[..., Server], tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    server = serve(answer(), tls=tls)
    waits: list[float] = []
    with pytest.raises(PermanentError, match="no certificate that we trust"):
        session_to(settings, server, waits).get(server.url)
    assert (server.seen, waits) == ([], [])
    trusting = session_to(settings, server, http_ca_file=certificate)
    assert trusting.get(server.url).status_code == 200


def self_signed(folder: Path) -> tuple[Path, Path]:
    from datetime import UTC, datetime
    from ipaddress import IPv4Address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC)).not_valid_after(datetime(2099, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return certificate, private


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 2}', '{"a": {"b": 1, "b": 1}}', "", "{", '{"a": 1} {"b": 2}', "'a'", "[1,]"]
)
def test_what_is_no_strict_json(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text.encode())


def test_numbers_stay_as_they_were_written() -> None:
    numbers = b"12.10, 1e400, 0.1234567890123456789, 9007199254740993, 12345678901234567890123"
    found = parse(b"[" + numbers + b", NaN, -Infinity, 1e99999999999999999999]")
    assert [str(value) for value in found] == [
        "12.10", "1E+400", "0.1234567890123456789", "9007199254740993", "12345678901234567890123", "NaN", "-Infinity",
        "1e99999999999999999999",
    ]  # fmt: skip
    assert found[5] == "NaN"
