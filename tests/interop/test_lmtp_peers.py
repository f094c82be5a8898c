"""LMTP with servers and clients that others wrote: Dovecot behind us and before us, Postfix before us."""

import pwd
import smtplib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.interop.dovecot import Dovecot, running_dovecot
from tests.interop.postfix import running_postfix
from tests.interop.private_host import private_host
from tests.interop.test_separate_users import SystemService
from tests.peers import require_peer
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.xdist_group("lmtp-peers")]

OTHER = "other@here.test"


@dataclass
class Scene:
    """A service between the peers."""

    service: Service
    dovecot: Dovecot
    lmtp: int

    @property
    def unix(self) -> str:
        return f"unix:{self.dovecot.folder / 'paperpath'}"  # where other users may come


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    lmtp = free_port()
    hands_on = {ACCOUNT: lmtp, "nobody@here.test": lmtp}
    users = ["ann@box.test", "bob@unix.test"]
    with (
        running_dovecot(users=users, full=["full@box.test"], hands_on=hands_on) as dovecot,
        running_service(accounts=(ACCOUNT, OTHER), start=False) as service,
    ):
        found = Scene(service, dovecot, lmtp)
        service.configure(
            {
                "listen": [
                    {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
                    {"service": "lmtp", "address": f"127.0.0.1:{lmtp}"},
                    {"service": "lmtp", "address": found.unix},
                ],
                "routes": {
                    "box.test": f"lmtp://127.0.0.1:{dovecot.port}",
                    "unix.test": f"lmtp:unix:{dovecot.socket}",
                    "away.test": f"lmtp:{found.unix}x",
                },
                "inject": {"trusted_users": ["postfix"]},
            }
        )
        service.start()
        yield found


def test_to_dovecot_each_recipient_has_its_outcome(scene: Scene) -> None:
    service = scene.service
    recipients = ["ann@box.test", "full@box.test", "nobody@box.test"]
    with service.client() as client:
        client.sendmail("a@here.test", ["full@box.test"], "Subject: fills\n\nx\n")
    service.wait_for("delivery.delivered", recipient="full@box.test")
    since = service.mark()
    service.send(ACCOUNT, recipients, "Subject: to three\n\n.\n..\n")
    delivered = service.wait_for("delivery.delivered", since=since, recipient="ann@box.test")
    deferred = service.wait_for("delivery.deferred", since=since, recipient="full@box.test")
    failed = service.wait_for("delivery.failed", since=since, recipient="nobody@box.test")
    assert "Saved" in delivered["text"]
    assert (deferred["status"], failed["status"]) == ("4.2.2", "5.1.1")
    (message,) = scene.dovecot.messages("ann")
    assert b"Subject: to three\n\n.\n..\n" in message.replace(b"\r\n", b"\n")


def test_to_dovecot_over_a_unix_socket(scene: Scene) -> None:
    service = scene.service
    since = service.mark()
    for number in range(3):
        service.send(ACCOUNT, ["bob@unix.test"], f"Subject: number {number}\n\n" + "0123456789\n" * 20_000)
    line = service.wait_for("delivery.delivered", since=since, recipient="bob@unix.test", count=3)
    assert scene.dovecot.socket in line["text"] or scene.dovecot.socket in line["host"]
    messages = scene.dovecot.messages("bob")
    assert sorted(len(message.splitlines()) > 20_000 for message in messages) == [True] * 3


def test_a_socket_that_is_not_there_is_temporary(scene: Scene) -> None:
    service = scene.service
    service.send(ACCOUNT, ["x@away.test"], "Subject: x\n\nx\n")
    line = service.wait_for("delivery.deferred", recipient="x@away.test")
    assert line["status"] == "4.4.1"


def test_with_users_of_their_own(scene: Scene) -> None:
    """Under separate users and confined: to a Unix socket of Dovecot's, and from a Unix socket of ours."""
    with private_host() as host:
        service = SystemService(host)
        listen = [
            {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
            {"service": "lmtp", "address": "unix:/run/lmtp"},
        ]
        service.configure({"listen": listen, "routes": {"unix.test": f"lmtp:unix:{scene.dovecot.socket}"}})
        service.start()
        try:
            with smtplib.LMTP(str(host.root / "run/lmtp"), local_hostname="client.test") as client:
                client.sendmail("a@client.test", ["bob@unix.test"], "Subject: both ways\n\nx\n")
            service.wait_for("delivery.delivered", recipient="bob@unix.test")
            assert service.events("message.accepted", origin="lmtp local uid 0")
            service.check_log()
        finally:
            service.kill()


def test_from_dovecot(scene: Scene) -> None:
    """Dovecot hands on by LMTP what it is given for one of our mailboxes."""
    swaks = require_peer("swaks")
    call = [str(swaks), "--protocol", "LMTP", "--socket", scene.dovecot.socket, "--from", "a@client.test"]
    done = subprocess.run(
        [*call, "--to", f"{ACCOUNT},nobody@here.test,ann@box.test", "--h-Subject", "through dovecot"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert "550 5.1.1 <nobody@here.test> No mailbox here by that name" in done.stdout, done.stdout + done.stderr
    scene.service.wait_for("session.closed", service="lmtp", messages=1)
    assert b" with LMTP " in _arrived(scene.service, "through dovecot")


def test_from_postfix(scene: Scene) -> None:
    """On a port and on a Unix socket, where it is known by its user."""
    service = scene.service
    relays = {"here.test": f"lmtp:inet:[127.0.0.1]:{scene.lmtp}", "unix.here.test": f"lmtp:{scene.unix}"}
    with running_postfix(aliases={"x@postfix.test": ACCOUNT}, relays=relays) as postfix:
        since = service.mark()
        for recipients in ([ACCOUNT, OTHER, "nobody@here.test"], ["x@unix.here.test"]):
            with smtplib.SMTP("127.0.0.1", postfix.port, timeout=PATIENCE_S) as client:
                client.sendmail(OTHER, recipients, "Subject: from postfix\n\n.\n..\n")
        service.wait_for("message.accepted", since=since, origin="lmtp 127.0.0.1", recipients=2)
        assert _arrived(service, "from postfix").endswith(b"\n\n.\n..\n")
        # Over the socket what is not for here comes in too, since postfix may send for others.
        service.wait_for("message.accepted", since=since, origin=f"lmtp local uid {pwd.getpwnam('postfix').pw_uid}")


def _arrived(service: Service, text: str) -> bytes:
    """Wait for the message with this text."""

    def there() -> bytes | None:
        found = [path.read_bytes() for path in service.messages(ACCOUNT)]
        return next((content for content in found if text.encode() in content), None)

    return service.wait_until(there, text)
