"""POP3 where every process has its own user: mailboxes are read as their owners, and by nobody else."""

import poplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.pop3 import PASSWORD
from tests.interop.private_host import PrivateHost, private_host
from tests.interop.test_separate_users import SYSTEM_ADDRESS, SYSTEM_USER, Rights, SystemService, expected
from tests.service import ACCOUNT, free_port

pytestmark = [pytest.mark.interop, pytest.mark.root]

READER = "local.reader_main"
CHECK = f"""#!/bin/sh
# checkpassword for one user: name NUL password NUL ...
[ "$(tr '\\0' ' ' <&3 | cut -d' ' -f1,2)" = "{SYSTEM_USER} word" ] || exit 1
exec "$@"
"""


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as host:
        host.run("useradd", "--create-home", "--shell", "/bin/false", SYSTEM_USER)
        (host.root / "home" / SYSTEM_USER).chmod(0o700)
        make = f"umask 077; cd /home/{SYSTEM_USER}; mkdir -p Maildir/tmp Maildir/new Maildir/cur"
        host.run("sh", "-c", make, user=SYSTEM_USER)
        check = host.root / "etc/check"
        check.write_text(CHECK)
        check.chmod(0o755)
        yield host


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def service(host: PrivateHost, port: int) -> Iterator[SystemService]:
    service = SystemService(host)
    try:
        listen = [
            {"service": "smtp", "address": f"127.0.0.1:{service.port}"},
            {"service": "pop3", "address": f"127.0.0.1:{port}"},
        ]
        auth = {
            "backends": ["accounts", "checkpassword"],
            "checkpassword": ["/etc/check", "/bin/true"],
            "plain_in_clear": "loopback",
        }
        service.configure({"listen": listen, "auth": auth})
        service.run("account", "password", ACCOUNT, "--password", PASSWORD)
        service.start()
        yield service
        service.stop()
        service.check_log()
    except BaseException:
        print(f"the log ends with\n{service.tail()}")
        raise
    finally:
        service.kill()


def logged_in(port: int, user: str, password: str) -> poplib.POP3:
    client = poplib.POP3("127.0.0.1", port, timeout=30)
    try:
        client.user(user)
        client.pass_(password)
    except poplib.error_proto:
        client.close()
        raise
    return client


def reader_rights(service: SystemService) -> list[Rights]:
    return [Rights.of(pid) for pid, module in service.processes().items() if module == READER]


def test_each_mailbox_is_read_by_its_owner(service: SystemService, port: int) -> None:
    service.deliver("for both", [ACCOUNT, SYSTEM_ADDRESS])
    clients = logged_in(port, ACCOUNT, PASSWORD), logged_in(port, SYSTEM_USER, "word")
    for client in clients:
        assert client.stat()[0] == 1
        assert b"Subject: for both" in client.retr(1)[1]
        client.dele(1)
    owners = ("paperpath-mail", SYSTEM_USER)
    assert sorted(map(repr, reader_rights(service))) == sorted(
        repr(expected(service.host, user, confined=True)) for user in owners
    )
    for client in clients:
        client.quit()
    assert not service.messages(ACCOUNT) and not service.messages(SYSTEM_ADDRESS)


def test_pop3_itself_has_no_right_to_any_of_it(service: SystemService) -> None:
    (pid,) = [pid for pid, module in service.processes().items() if module == "pop3"]
    assert Rights.of(pid) == expected(service.host, "paperpath-pop3", confined=True)
    tried = ("/var/lib/paperpath/mail/here.test", f"/home/{SYSTEM_USER}/Maildir/new", "/var/lib/paperpath/accounts")
    code = (
        "import os, sys\nfor path in sys.argv[1:]:\n    try: print(os.listdir(path))\n    except PermissionError: pass"
    )
    assert service.host.run(service.host.python, "-Ic", code, *tried, user="paperpath-pop3") == ""


@pytest.mark.parametrize("user", ["nobody", "paperpath-receive", "paperpath-auth", SYSTEM_USER])
def test_the_door_of_mailboxes_is_for_pop3_alone(service: SystemService, user: str) -> None:
    code = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX)\ns.settimeout(20)\ns.connect(sys.argv[1])\n"
        "try: print(s.recv(1) or 'hung up')\n"
        "except (TimeoutError, ConnectionError) as error: print(type(error).__name__)"
    )
    door = Path("/run/paperpath/local.mailboxes")
    said = service.host.run(service.host.python, "-Ic", code, door, user=user)
    assert said in {"hung up\n", "ConnectionResetError\n"}


def test_wrong_password_of_a_system_user(service: SystemService, port: int) -> None:
    with pytest.raises(poplib.error_proto, match="AUTH"):
        logged_in(port, SYSTEM_USER, "wrong")


def test_a_system_user_without_a_maildir(service: SystemService, port: int) -> None:
    maildir = service.host.root / "home" / SYSTEM_USER / "Maildir"
    maildir.rename(maildir.with_name("away"))
    try:
        with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
            logged_in(port, SYSTEM_USER, "word")
    finally:
        maildir.with_name("away").rename(maildir)
