"""A service with POP3 in all its forms, and an account whose mail is fetched."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.certificates import Authority
from tests.service import ACCOUNT, PATIENCE_S, Service, Settings, free_port, running_service

PASSWORD = "a pass word"
OTHER = "other@here.test"


@dataclass
class Fetched:
    """What the tests of POP3 share."""

    service: Service
    authority: Authority
    port: int
    tls_port: int
    ca_file: Path

    def deliver(self, *subjects: str, to: str = ACCOUNT) -> None:
        """Send messages, and wait until they are in the mailbox."""
        for subject in subjects:
            since = self.service.mark()
            self.service.send("from@there.test", [to], f"Subject: {subject}\n\n{subject} text\n.dot\n")
            self.service.wait_for("message.done", since=since)

    def run(self, command: Sequence[str | Path], *, expect: int = 0, given: str = "") -> str:
        """Run a client; return what it printed."""
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@contextmanager
def pop3_service(settings: Settings | None = None, *, proxy: str = "never") -> Iterator[Fetched]:
    """Run a service with SMTP, POP3 with STLS, and POP3S; ``proxy`` is that of all three."""
    folder = Path(tempfile.mkdtemp(prefix="pc", dir="/tmp"))
    try:
        authority = Authority()
        certificate, key = authority.issue("localhost", "127.0.0.1").write(folder, "mx")
        ports = free_port(), free_port()
        with running_service(accounts=(ACCOUNT, OTHER), start=False) as service:
            listen = [
                {"service": name, "address": f"127.0.0.1:{port}", "proxy": proxy}
                for name, port in zip(("smtp", "pop3", "pop3s"), (service.port, *ports), strict=True)
            ]
            service.configure({"listen": listen, "tls": {"certificate": str(certificate), "key": str(key)}})
            service.configure(settings or {})
            for account in (ACCOUNT, OTHER):
                service.run("account", "password", account, "--password", PASSWORD)
            service.start()
            yield Fetched(service, authority, *ports, authority.write(folder))
    finally:
        shutil.rmtree(folder)
