"""Others' TLS clients meet the service: swaks, openssl, msmtp, curl, Postfix, and those that look for weaknesses."""

import hashlib
import json
import re
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority, Made
from tests.interop.postfix import running_postfix
from tests.peers import require_peer
from tests.service import ACCOUNT, HOSTNAME, PATIENCE_S, Line, Service, free_port, running_service

pytestmark = pytest.mark.interop

OTHER = "other.test"


@dataclass(frozen=True, slots=True)
class Scene:
    """A service with TLS on several ports."""

    service: Service
    authority: Authority
    folder: Path
    implicit: int
    """Port of submissions."""
    proxied: int
    """Port of connections that begin with a PROXY header."""
    client: Made
    """A client's certificate that may relay."""

    @property
    def trusted(self) -> Path:
        """File of the authority."""
        return self.folder / "authority.pem"

    def closed(self, since: int, **fields: Any) -> Line:
        """Wait for the line of a session with these fields; those of tests before may still come."""
        return self.service.wait_for("session.closed", since=since, **fields)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder, authority = tmp_path_factory.mktemp("tls"), Authority()
    authority.write(folder)
    mx, other = authority.issue(HOSTNAME).write(folder, "mx"), authority.issue(OTHER).write(folder, "other")
    client = Authority().issue("client.test")
    client.write(folder, "client")
    implicit, proxied = free_port(), free_port()
    tls = {
        "certificate": str(mx[0]),
        "key": str(mx[1]),
        "relay_fingerprints": [client.fingerprint],
        "certificates": [{"names": [OTHER], "certificate": str(other[0]), "key": str(other[1])}],
    }
    fronts = {"proxy": ["127.0.0.1/32"], "xclient": ["127.0.0.1/32"]}
    settings = {"tls": tls, "fronts": fronts, "relay": {"networks": ["192.0.2.0/24"]}}
    settings["limits"] = {"greeting_delay": 0, "error_delay": 0}  # those who scan connect a hundred times
    with running_service(settings=settings, start=False) as service:
        listeners = [("smtp", service.port, "never"), ("submissions", implicit, "never"), ("smtp", proxied, "always")]
        service.configure(
            {"listen": [{"service": s, "address": f"127.0.0.1:{p}", "proxy": proxy} for s, p, proxy in listeners]}
        )
        service.start()
        yield Scene(service, authority, folder, implicit, proxied, client)


def called(*words: str | Path, text: str = "", status: int | None = 0, within_s: float = PATIENCE_S) -> str:
    """Run a program; return what it printed."""
    done = subprocess.run(
        [str(word) for word in words], input=text, capture_output=True, text=True, errors="replace", timeout=within_s
    )
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def swaks(port: int, *options: str | Path, status: int = 0) -> str:
    common = ("--server", "127.0.0.1", "--helo", "swaks.test", "--from", "sender@swaks.test")
    return called(require_peer("swaks"), *common, "--port", str(port), *options, status=status)


def test_swaks_starttls(scene: Scene) -> None:
    since = scene.service.mark()
    said = swaks(scene.service.port, "--tls", "--tls-sni", OTHER, "--to", ACCOUNT, "--header", "Subject: over starttls")
    scene.service.wait_done(said)
    message = scene.service.message(ACCOUNT, "Subject: over starttls\n")
    assert re.search(rb"\n\tby \S+ with ESMTPS \(Paperpath, TLSv1\.3 TLS_\w+\) for <user@here\.test>;", message)
    line = scene.closed(since, server_name=OTHER)
    assert (line["result"], line["tls"].split()[0]) == ("quit", "TLSv1.3")


def test_swaks_tls_from_the_start(scene: Scene) -> None:
    since = scene.service.mark()
    said = swaks(scene.implicit, "--tlsc", "--quit-after", "EHLO")
    assert "TLS started with cipher TLSv1.3" in said and "STARTTLS" not in said
    assert scene.closed(since, service="submissions", helo="swaks.test")["result"] == "quit"


@pytest.mark.parametrize(("protocol", "status"), [("tlsv1_2", 0), ("tlsv1_1", 29), ("tlsv1", 29)])
def test_swaks_old_versions(scene: Scene, protocol: str, status: int) -> None:
    swaks(scene.service.port, "--tls", "--tls-protocol", protocol, "--quit-after", "EHLO", status=status)


def test_swaks_client_certificate(scene: Scene) -> None:
    own = ("--tls-cert", scene.folder / "client.pem", "--tls-key", scene.folder / "client.key")
    since = scene.service.mark()
    swaks(scene.service.port, "--tls", *own, "--to", "far@foreign.test", "--quit-after", "RCPT")
    assert scene.closed(since, client_certificate=scene.client.fingerprint)["result"] == "quit"
    other = ("--tls-cert", scene.folder / "other.pem", "--tls-key", scene.folder / "other.key")
    swaks(scene.service.port, "--tls", *other, "--to", "far@foreign.test", "--quit-after", "RCPT", status=24)


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("tls", [False, True])
def test_swaks_behind_a_load_balancer(scene: Scene, version: str, tls: bool) -> None:
    since = scene.service.mark()
    ends = ["--proxy-family", "TCP4" if version == "1" else "AF_INET", "--proxy-source", "192.0.2.77"]
    ends += ["--proxy-source-port", "4242", "--proxy-dest", "192.0.2.1", "--proxy-dest-port", "25"]
    more = ("--tls",) if tls else ()
    said = swaks(
        scene.proxied, *more, "--proxy-version", version, *ends, "--to", "far@foreign.test", "--quit-after", "RCPT"
    )
    assert "250 2.1.5" in said  # 192.0.2.77 may relay, 127.0.0.1 may not
    assert ("tls" in scene.closed(since, peer="192.0.2.77")) is tls


def test_swaks_xclient(scene: Scene) -> None:
    since = scene.service.mark()
    who = ("--xclient-addr", "192.0.2.78", "--xclient-name", "spike.example", "--xclient-helo", "spike.example")
    scene.service.wait_done(swaks(scene.service.port, *who, "--to", ACCOUNT, "--header", "Subject: xclient"))
    message = scene.service.message(ACCOUNT, "Subject: xclient\n")
    assert b"Received: from swaks.test (spike.example [192.0.2.78])\n" in message
    assert scene.closed(since, peer="192.0.2.78")["result"] == "quit"
    swaks(scene.service.port, *who, "--to", "far@foreign.test", "--quit-after", "RCPT")  # 192.0.2.0/24 may relay
    swaks(scene.service.port, "--to", "far@foreign.test", "--quit-after", "RCPT", status=24)


def s_client(scene: Scene, *options: str | Path, implicit: bool = False, text: str = "QUIT\n") -> str:
    port = scene.implicit if implicit else scene.service.port
    start = () if implicit else ("-starttls", "smtp")
    words = ("s_client", "-connect", f"127.0.0.1:{port}", *start, "-crlf", "-ign_eof", "-CAfile", scene.trusted)
    return called(require_peer("openssl"), *words, *options, text=text)


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("name", [HOSTNAME, OTHER])
def test_openssl_believes_the_certificate_of_the_name(scene: Scene, name: str, implicit: bool) -> None:
    said = s_client(scene, "-servername", name, "-verify_hostname", name, "-verify_return_error", implicit=implicit)
    assert "Verify return code: 0 (ok)" in said
    assert "221 2.0.0" in said


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("implicit", [False, True])
def test_openssl_resumes(scene: Scene, version: str, implicit: bool, tmp_path: Path) -> None:
    session = tmp_path / "session"
    first = s_client(scene, version, "-sess_out", session, implicit=implicit, text="NOOP\nQUIT\n")
    assert "\nNew, TLSv1" in first
    assert "\nReused, TLSv1" in s_client(scene, version, "-sess_in", session, implicit=implicit, text="NOOP\nQUIT\n")


def test_msmtp(scene: Scene) -> None:
    for implicit in (False, True):
        said = called(
            require_peer("msmtp"),
            "--serverinfo",
            f"--host={'127.0.0.1'}",
            f"--port={scene.implicit if implicit else scene.service.port}",
            "--tls=on",
            f"--tls-starttls={'off' if implicit else 'on'}",
            f"--tls-trust-file={scene.trusted}",
            f"--tls-host-override={HOSTNAME}",
        )
        assert "TLS session parameters:" in said and HOSTNAME in said
    message = "From: joe@msmtp.test\nSubject: by msmtp\n\nx\n"
    since = scene.service.mark()
    called(
        require_peer("msmtp"),
        "--host=127.0.0.1",
        f"--port={scene.service.port}",
        "--tls=on",
        f"--tls-trust-file={scene.trusted}",
        f"--tls-host-override={HOSTNAME}",
        "--from=joe@msmtp.test",
        ACCOUNT,
        text=message,
    )
    scene.service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    assert b"with ESMTPS (Paperpath, TLSv1.3" in scene.service.message(ACCOUNT, "Subject: by msmtp\n")


def test_curl(scene: Scene, tmp_path: Path) -> None:
    mail = tmp_path / "mail"
    mail.write_text("Subject: by curl\r\n\r\nx\r\n")
    common = ("--silent", "--show-error", "--cacert", scene.trusted)
    resolve = ("--resolve", f"{HOSTNAME}:{scene.service.port}:127.0.0.1")
    since = scene.service.mark()
    called(
        require_peer("curl"),
        *common,
        *resolve,
        "--ssl-reqd",
        "--mail-from",
        "joe@curl.test",
        "--mail-rcpt",
        ACCOUNT,
        "--upload-file",
        mail,
        f"smtp://{HOSTNAME}:{scene.service.port}/curl.test",
    )
    scene.service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
    resolve = ("--resolve", f"{HOSTNAME}:{scene.implicit}:127.0.0.1")
    called(require_peer("curl"), *common, *resolve, "--request", "NOOP", f"smtps://{HOSTNAME}:{scene.implicit}/")


def test_smtplib_believes_the_certificate(scene: Scene) -> None:
    with smtplib.SMTP("127.0.0.1", scene.service.port, timeout=PATIENCE_S) as client:
        context = scene.authority.client_context()
        client._host = HOSTNAME  # type: ignore[attr-defined]
        client.starttls(context=context)
        client.ehlo("c")
        assert "starttls" not in client.esmtp_features and "requiretls" in client.esmtp_features


@pytest.mark.root
def test_postfix_as_a_client_that_demands_tls(scene: Scene) -> None:
    lines = f"smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = {HOSTNAME}\n"
    lines += f"smtp_tls_CAfile = {scene.trusted}\n"
    aliases, relays = {"x@postfix.test": ACCOUNT}, {"here.test": scene.service.port}
    with running_postfix(aliases=aliases, relays=relays, more=lines) as postfix:
        since = scene.service.mark()
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=PATIENCE_S) as client:
            client.sendmail("far@client.test", [ACCOUNT], "Subject: Postfix over TLS\n\nx\n")
        scene.service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT)
        assert "ESMTPS" in scene.service.message(ACCOUNT, "Subject: Postfix over TLS\n").decode()


def test_a_new_certificate_is_shown_after_hup_and_a_broken_one_is_not(scene: Scene) -> None:
    def shown() -> bytes:
        return ssl.get_server_certificate(("127.0.0.1", scene.implicit)).encode()

    former, new = shown(), scene.authority.issue(HOSTNAME)
    (scene.folder / "mx.pem").write_bytes(new.certificate)
    refused = scene.service.reload()
    assert refused["event"] == "service.reload-refused" and "the key is not this certificate's" in refused["reason"]
    assert shown() == former
    new.write(scene.folder, "mx")
    assert scene.service.reload()["event"] == "service.reloaded"
    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown().decode())).hexdigest() == new.fingerprint


@pytest.mark.timeout(180)
@pytest.mark.parametrize("implicit", [False, True])
def test_sslscan_finds_nothing_weak(scene: Scene, implicit: bool) -> None:
    port = scene.implicit if implicit else scene.service.port
    start = () if implicit else ("--starttls-smtp",)
    words = ("--no-colour", "--no-check-certificate", *start)
    said = called(require_peer("sslscan"), *words, f"127.0.0.1:{port}", within_s=170)  # some hundred handshakes
    assert re.search(r"TLSv1\.2\s+enabled", said) and re.search(r"TLSv1\.3\s+enabled", said)
    for old in ("SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"):
        assert re.search(rf"{re.escape(old)}\s+disabled", said), said
    accepted = re.findall(r"(?:Preferred|Accepted)\s+(TLSv\S+)\s+(\d+) bits\s+(\S+)", said)
    assert accepted
    for version, bits, cipher in accepted:
        assert int(bits) >= 128
        assert version == "TLSv1.3" or cipher.startswith("ECDHE-"), cipher


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_testssl_finds_nothing_above_low(scene: Scene, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "min", "--ip", "one", "--sneaky")
    subprocess.run(
        [
            *(require_peer("testssl"), *words, "--protocols", "--vulnerable"),
            *("--jsonfile", str(report), f"127.0.0.1:{scene.implicit}"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=170,
        check=False,
    )
    found = json.loads(report.read_text())
    assert {"SSLv3", "TLS1_1", "TLS1_3", "heartbleed", "secure_client_renego", "LUCKY13"} <= {
        one["id"] for one in found
    }
    # WARN is what it says of itself, where it could not try something.
    worse = [one for one in found if one["severity"] in {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}]
    assert not worse
