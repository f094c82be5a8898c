"""A service with submission under TLS, for tests that log in."""

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.certificates import Authority
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service

PASSWORD: Final = "correct horse"
AUTHORITY: Final = Authority()
SERVER: Final = AUTHORITY.issue("localhost", "127.0.0.1", "mx.here.test")


class Submission:
    """The service, its ports and what a client needs to trust it."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.port, self.tls_port = free_port(), free_port()
        self.authority = AUTHORITY.write(service.folder)

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Give it a certificate and its listeners."""
        certificate, key = SERVER.write(self.service.folder, "server")
        listen = [
            {"service": "smtp", "address": f"127.0.0.1:{self.service.port}"},
            {"service": "submission", "address": f"127.0.0.1:{self.port}"},
            {"service": "submissions", "address": f"127.0.0.1:{self.tls_port}"},
        ]
        self.service.configure({"listen": listen, "tls": {"certificate": str(certificate), "key": str(key)}})
        self.service.configure(settings)

    def client(self) -> smtplib.SMTP:
        """Return a client under TLS that has not logged in."""
        client = smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.test", timeout=PATIENCE_S)
        client.starttls(context=self.context())
        return client

    def context(self) -> ssl.SSLContext:
        """Return what believes the server's certificate."""
        context = AUTHORITY.client_context()
        context.check_hostname = False
        return context

    def file(self, name: str, text: str) -> Path:
        """Write a client's own file, which nobody else may read."""
        path = self.service.folder / name
        path.write_text(text)
        path.chmod(0o600)
        return path


@contextmanager
def submission(*, starts: bool = True, **settings: Any) -> Iterator[Submission]:
    """Make one with an account whose password is known, and start it."""
    with running_service(accounts=(ACCOUNT, "other@here.test"), start=False) as service:
        made = Submission(service)
        made.configure(settings)
        service.run("account", "password", ACCOUNT, "--password", PASSWORD)
        if starts:
            service.start()
        yield made
