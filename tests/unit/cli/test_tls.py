"""`paperpath tls`, and what `doctor` and `check-config` say of certificates."""

import json
import os
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paperpath.cli.listeners import check_listeners
from paperpath.config.load import load
from tests.certificates import Authority, Made
from tests.unit.cli.conftest import Run

AUTHORITY = Authority()
HERE = AUTHORITY.issue("mx.trial.test")
NOW = datetime.now(UTC)


def configure(folder: Path, *pairs: tuple[str, Made], names: str = '["other.test", ".below.test"]') -> None:
    """Have these pairs in the configuration, the first for every other name."""
    lines: list[str] = []
    for name, made in pairs:
        certificate, key = made.write(folder, name)
        head = "[tls]" if not lines else f"[[tls.certificates]]\nnames = {names}"
        lines.append(f'{head}\ncertificate = "{certificate}"\nkey = "{key}"\n')
    file = folder / "paperpath.toml"
    file.write_text(file.read_text() + "\n" + "".join(lines))


def told(run: Run, code: int) -> dict[str, Any]:
    done = run("tls", "--json")
    assert done.exit_code == code, done.output
    answer = json.loads(done.output)
    assert isinstance(answer, dict)
    return answer


def troubles(run: Run, code: int) -> list[list[str]]:
    return [[one["kind"] for one in pair["troubles"]] for pair in told(run, code)["certificates"]]


def test_without_a_certificate(run: Run, configured: Path) -> None:
    done = run("tls")
    assert done.exit_code == 0
    assert "no certificate: set certificate and key in [tls]" in done.output
    assert told(run, 0)["listeners"] == [{"service": "smtp", "address": "127.0.0.1:0", "tls": "none"}]


def test_what_is_configured(run: Run, configured: Path) -> None:
    other = AUTHORITY.issue("other.test", "*.below.test")
    file = configured / "paperpath.toml"
    listeners = [("submissions", "from the start"), ("pop3", "STLS"), ("qmtp", "none"), ("submission", "STARTTLS")]
    for number, (service, _) in enumerate(listeners, 1):
        file.write_text(file.read_text() + f'\n[[listen]]\nservice = "{service}"\naddress = "127.0.0.{number}:0"\n')
    configure(configured, ("mx", HERE), ("other", other))
    found = told(run, 0)
    assert [(one["service"], one["tls"]) for one in found["listeners"]] == [("smtp", "STARTTLS"), *listeners]
    first, second = found["certificates"]
    assert (first["shown_for"], first["names"], first["chain"]) == ([], ["mx.trial.test"], 1)
    assert first["sha256"] == HERE.fingerprint
    assert second["shown_for"] == ["other.test", ".below.test"]
    done = run("tls")
    assert f"SHA-256    {other.fingerprint}" in done.output
    assert "shown for  every other name" in done.output
    assert "TLS 1.2 and later; 0 client certificates may relay" in done.output


@pytest.mark.parametrize(
    ("made", "kinds", "code"),
    [
        (AUTHORITY.issue("mx.trial.test", ends=NOW - timedelta(hours=1)), ["expired"], 100),
        (AUTHORITY.issue("mx.trial.test", begins=NOW + timedelta(hours=1)), ["early"], 100),
        (AUTHORITY.issue("mx.trial.test", ends=NOW + timedelta(days=20)), ["soon"], 0),
        (AUTHORITY.issue("mx.trial.test", ends=NOW + timedelta(days=22)), [], 0),
        (AUTHORITY.issue("*.trial.test"), [], 0),
        (AUTHORITY.issue("mx.other.test", "*.mx.trial.test"), ["name"], 0),
        (Made(HERE.certificate, AUTHORITY.issue("mx.trial.test").key), ["unusable"], 100),
        (Made(b"-----BEGIN", HERE.key), ["unusable"], 100),
    ],
    ids=["expired", "early", "soon", "not so soon", "wildcard", "other name", "other key", "no certificate"],
)
def test_what_is_wrong_with_a_pair(run: Run, configured: Path, made: Made, kinds: list[str], code: int) -> None:
    configure(configured, ("mx", made))
    assert troubles(run, code) == [kinds]


def test_names_of_its_own_need_the_certificate_too(run: Run, configured: Path) -> None:
    configure(configured, ("mx", HERE), ("other", AUTHORITY.issue("other.test", "a.below.test")))
    (_, second) = told(run, 0)["certificates"]
    assert [one["text"] for one in second["troubles"]] == ["is not for .below.test"]


def test_a_key_that_is_open_and_one_that_is_gone(run: Run, configured: Path) -> None:
    configure(configured, ("mx", HERE))
    os.chmod(configured / "mx.key", 0o644)
    assert troubles(run, 0) == [["open"]]
    os.unlink(configured / "mx.key")
    assert troubles(run, 100) == [["unusable"]]


@pytest.mark.parametrize("file", ["mx.key", "mx.pem"])
def test_check_config_refuses_a_file_that_is_gone(run: Run, configured: Path, file: str) -> None:
    configure(configured, ("mx", HERE))
    os.unlink(configured / file)
    done = run("check-config")
    assert done.exit_code == 100
    assert "cannot be read: No such file" in done.output and "fine" not in done.output


@pytest.mark.parametrize("file", ["mx.key", "mx.pem"])
def test_check_config_takes_what_only_others_may_read(
    run: Run, configured: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_pem(path: str) -> bytes:
        if path.endswith(file):
            raise ValueError(f"{path}: cannot be read: Permission denied")
        return Path(path).read_bytes()

    configure(configured, ("mx", HERE))
    monkeypatch.setattr("paperpath.config.certificates.read_pem", read_pem)
    assert troubles(run, 100) == [["unreadable"]]
    done = run("check-config")
    assert done.exit_code == 0
    assert "cannot be read: Permission denied" in done.output


def test_check_config_warns_and_refuses_what_the_server_would(run: Run, configured: Path) -> None:
    configure(configured, ("mx", AUTHORITY.issue("mx.trial.test", ends=NOW - timedelta(days=1))))
    done = run("check-config")
    assert done.exit_code == 0
    assert f"[tls] {configured}/mx.pem: expired on" in done.output
    (configured / "mx.key").write_bytes(AUTHORITY.issue("mx.trial.test").key)
    done = run("check-config", "--json")
    assert done.exit_code == 100
    answer = json.loads(done.output)
    assert not answer["ok"]
    assert answer["warnings"][0] == f"{configured}/mx.pem: the key is not this certificate's"


def test_doctor(run: Run, configured: Path) -> None:
    def finding() -> dict[str, Any]:
        found = json.loads(run("doctor", "--no-dns", "--json").output)
        (one,) = [one for one in found if one["what"] == "certificate"]
        assert isinstance(one, dict)
        return one

    configure(configured, ("mx", HERE))
    assert finding()["verdict"] == "good"
    (configured / "mx.pem").write_bytes(AUTHORITY.issue("mx.trial.test", ends=NOW + timedelta(days=3)).certificate)
    (configured / "mx.key").write_bytes(AUTHORITY.issue("mx.trial.test").key)
    done = run("doctor", "--no-dns")
    assert done.exit_code == 100
    assert "mx.pem: the key is not this certificate's" in done.output
    assert "mx.pem: expires on" in done.output


class Greeter:
    """Greets one client, over TLS where it has a context."""

    def __init__(self, said: bytes, context: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._said, self._context = said, context
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket, self._socket.accept()[0] as connection:
            if self._context is None:
                connection.sendall(self._said)
                return
            with self._context.wrap_socket(connection, server_side=True) as secured:
                secured.sendall(self._said)


@pytest.mark.parametrize(
    ("service", "said", "secured", "expected"),
    [
        ("smtp", b"220 mx", False, "greets"),
        ("submissions", b"220 mx", True, "greets"),
        ("submissions", b"220 mx", False, "does not greet"),
        ("pop3s", b"+OK", True, "greets"),
        ("pop3", b"220 mx", False, "does not greet"),
        ("qmtp", b"", False, "listens"),
    ],
)
def test_doctor_knows_how_each_service_begins(
    configured: Path, service: str, said: bytes, secured: bool, expected: str
) -> None:
    context = None
    if secured:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*HERE.write(configured, "server"))
    greeter = Greeter(said, context)
    file = configured / "paperpath.toml"
    text = file.read_text().replace('service = "smtp"\naddress = "127.0.0.1:0"', "")
    file.write_text(text.replace("[[listen]]", f'[[listen]]\nservice = "{service}"\naddress = "{greeter.address}"'))
    configure(configured, ("mx", HERE))
    (found,) = check_listeners(load(str(file)))
    assert found.found == expected
    greeter._thread.join(10)
