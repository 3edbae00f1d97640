"""Where the collector starts and where it refuses to: secure by default."""

import socket
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from doorkit import event, process
from settingskit import make_settings

from jobs.cli import cli
from jobs.core.clock import Clock
from jobs.core.context import Context
from jobs.core.errors import UsageError
from jobs.core.settings import Settings, bin_path
from jobs.ingest.collector.server import TICKS_PER_WARNING, has_tls, is_loopback, serve


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_other_machines_are_not_served_without_tls(settings: Settings, host: str) -> None:
    context = Context(settings, Clock(), "test")
    with pytest.raises(UsageError, match="TLS"):
        serve(context, host or socket.gethostname(), 0, insecure=False) if host else serve(
            context, "0.0.0.0", 0, insecure=False
        )


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False)],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_host_that_is_none(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no address"):
        is_loopback("no.such.host.invalid")


def test_a_port_that_is_taken(settings: Settings) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(UsageError, match="--port"):
            serve(Context(settings, Clock(), "test"), "127.0.0.1", other.getsockname()[1], insecure=False)


def test_half_a_certificate(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="belong together"):
        has_tls(settings.model_copy(update={"collector_tls_cert": tmp_path / "a.pem"}))
    pair = {"collector_tls_cert": tmp_path / "a.pem", "collector_tls_key": tmp_path / "b.pem"}
    with pytest.raises(UsageError, match="does not exist"):
        has_tls(settings.model_copy(update=pair))


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, valid for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)  # noqa: TID251 - TLS looks at the wall clock
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return paths


def test_tls_is_spoken(open_door: Any, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    door = open_door(collector_tls_cert=cert, collector_tls_key=key)
    trusted = ssl.create_default_context(cafile=str(cert))
    trusted.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        trusted.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        wrapped.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b'{"status":"ok"}' in wrapped.read(4096) + wrapped.read(4096)


def test_insecure_is_said_again_and_again(tmp_path: Path) -> None:
    """The warning stands in the log at once; every minute is TICKS_PER_WARNING ticks of a tenth of a second."""
    assert TICKS_PER_WARNING == 600
    settings = make_settings(tmp_path / "home", now=None)
    command = [bin_path("c360"), "collector", "serve", "--host", "0.0.0.0", "--port", "0"]
    environment = settings.child_environment
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert refused.returncode == 2
    assert "TLS" in refused.stderr
    server = subprocess.Popen([*command, "--insecure-i-know"], env=environment, stderr=subprocess.PIPE, text=True)
    assert server.stderr is not None
    lines = [server.stderr.readline() for _ in range(2)]
    server.terminate()
    assert server.wait(20) == 0
    server.stderr.close()
    assert "no write key" in lines[0]
    assert "without TLS" in lines[1]


def test_the_command_serves_and_says_where(tmp_path: Path) -> None:
    context = Context(make_settings(tmp_path / "home", now=None), Clock(), "test")
    with process(context) as door:
        assert door.post("/v1/track", event()).status == 200
        found = Path(f"/proc/{door.process.pid}/cmdline").read_text()
        assert door.key not in found
        assert door.terminate() == 0
        assert door.process.stderr is not None
        assert door.process.stderr.read() == ""


@pytest.mark.parametrize("command", [["serve"], ["keys"], ["keys", "create"], ["keys", "list"], ["keys", "revoke"]])
def test_help_has_examples(command: list[str]) -> None:
    found = CliRunner().invoke(cli, ["collector", *command, "--help"])
    assert found.exit_code == 0
    assert "Examples:" in found.output
