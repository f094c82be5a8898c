"""One Maildir, and others at it at the same time: Dovecot reading, and a second host delivering."""

import imaplib
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.interop.system_host import DOMAIN, SystemHost, running_system_host
from tests.peers import require_peer, require_root
from tests.unit.delivery.test_maildir import make_home

pytestmark = [pytest.mark.interop, pytest.mark.root]

MESSAGES: Final = 150
EACH: Final = 300

DELIVER: Final = """
import sys
from paperpath.delivery import maildir
from paperpath.delivery.errand import Message
from paperpath.system import kernel
kernel.HAS_RENAMEAT2 = False  # as on NFS
folder, count = sys.argv[1], int(sys.argv[2])
names = maildir.process_names()
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
for start in range(0, count, 20):
    batch = []
    for number in range(start, start + 20):
        content = b"Subject: %b %d\\n\\nx\\n" % (sys.argv[3].encode(), number)
        batch.append(maildir.Delivery(folder, Message(b"j@h", b"s@x", b"", content, None, len(content))))
    print(*maildir.deliver(batch, names), sep="\\n")
"""
"""Every process id, counter and file is what it is on the other host; only the host's name differs."""


@pytest.fixture(scope="module")
def host() -> Iterator[SystemHost]:
    with running_system_host({"mailboxes": {"domains": ["box.test"]}}) as host:
        yield host


def dovecot(host: SystemHost, user: str, home: str, settings: str = "") -> imaplib.IMAP4_stream:
    """Return a session of Dovecot's with the Maildir in a home, which belongs to a user."""
    imap = require_peer("/usr/lib/dovecot/imap")
    (host.folder / "etc/dovecot").mkdir(exist_ok=True)
    plain = f"mail_location = maildir:{home}/Maildir\nlog_path = /dev/stderr\nfirst_valid_uid = 1\n"
    (host.folder / f"etc/dovecot/{user}.conf").write_text(plain + settings)
    script = f"HOME={home} USER={user} exec {imap} -c /etc/dovecot/{user}.conf 2>/dev/null"
    uid, gid = host.host.ids(user)
    become = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--")
    return imaplib.IMAP4_stream(shlex.join([*host.host.within, *become, "sh", "-c", script]))


def test_dovecot_reads_and_deletes_while_mail_arrives(host: SystemHost) -> None:
    client = dovecot(host, "ann", "/home/ann")
    sending = threading.Thread(target=_send, args=(host,))
    sending.start()
    try:
        seen = _read(client)
    finally:
        sending.join()
        client.logout()
    assert sorted(seen.values()) == list(range(MESSAGES))
    left = host.texts("ann", "Maildir/cur") + host.texts("ann")
    assert len(left) == MESSAGES // 2
    assert not list((host.home("ann") / "Maildir/tmp").iterdir())


def _send(host: SystemHost) -> None:
    with host.client() as client:
        for number in range(MESSAGES):
            client.sendmail("from@there.test", [f"ann@{DOMAIN}"], f"Subject: number {number}\n\nx\n")


def _read(client: "imaplib.IMAP4_stream") -> dict[bytes, int]:
    """Read until all are there; delete those with an odd number at once.  Return the numbers by UID."""
    seen: dict[bytes, int] = {}
    client.select("INBOX")
    while len(seen) < MESSAGES:
        client.noop()
        last = max(map(int, seen), default=0)
        _, found = client.uid("FETCH", f"{last + 1}:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for part in found:
            if isinstance(part, tuple):
                uid, number = re.findall(rb"UID (\d+)", part[0])[0], int(re.findall(rb"number (\d+)", part[1])[0])
                assert seen.get(uid, number) == number
                if uid not in seen and number % 2:
                    client.uid("STORE", uid.decode(), "+FLAGS", "\\Deleted")
                seen[uid] = number
        client.expunge()
    return seen


QUOTA: Final = "mail_plugins = quota imap_quota\nplugin {\n  quota = maildir:User quota\n}\n"


def test_dovecot_counts_in_the_same_quota(host: SystemHost) -> None:
    address, home = "you@box.test", "/var/lib/paperpath/mail/box.test/you"
    host.run("account", "add", address)
    assert "holds 0 B in 0 messages" in host.run("account", "quota", address, "--messages", "3", "--size", "1MiB")
    for number in range(3):
        send(host, address, number, "delivery.delivered")
    full = send(host, address, 3, "delivery.deferred")
    assert (full["status"], full["text"]) == ("4.2.2", "The mailbox is full: its quota is 1048576S,3C.")
    client = dovecot(host, "paperpath-mail", home, QUOTA)
    _, (_, (shown,)) = client.getquotaroot("INBOX")
    assert re.search(rb"STORAGE [12] 1024 MESSAGE 3 3", shown), shown
    client.select("INBOX")
    client.store("1", "+FLAGS", "\\Deleted")
    client.expunge()
    client.logout()
    assert "3 messages; holds" in (told := host.run("account", "quota", address)) and "in 2 messages" in told
    host.run("queue", "retry", "--all")
    send(host, address, 4, "delivery.deferred")
    _, lines = (host.folder / home.removeprefix("/") / "Maildir/maildirsize").read_text().split("\n", 1)
    assert sum(int(line.split()[1]) for line in lines.splitlines()) == 3


def send(host: SystemHost, address: str, number: int, event: str) -> dict[str, Any]:
    """Send a message and return the line of what became of it, or of the one before it that waits."""
    since = host.mark()
    host.send("from@there.test", [address], f"Subject: number {number}\n\nx\n")
    return host.wait_for(event, since=since, recipient=address)


def test_two_hosts_deliver_into_one_maildir(tmp_path: Path) -> None:
    require_root()
    unshare = require_peer("unshare")
    home = make_home(tmp_path / "joe")
    hosts = []
    for name in ("one", "two"):
        inside = f"hostname {name} && exec {sys.executable} -c {shlex.quote(DELIVER)} {home}/Maildir {EACH} {name}"
        command = [str(unshare), "--uts", "--pid", "--fork", "sh", "-c", inside]
        pipe = subprocess.PIPE
        hosts.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True))
    for process in hosts:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in hosts:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=45)[0].splitlines() for process in hosts]
    assert all(len(found) == EACH and all("Delivered" in line for line in found) for found in outcomes)
    files = list((home / "Maildir/new").iterdir())
    subjects = sorted(re.findall(r"Subject: (.*)\n", file.read_text())[0] for file in files)
    assert subjects == sorted(f"{name} {number}" for name in ("one", "two") for number in range(EACH))
    # The same process id on both: without the host's name they could not tell their files apart.
    assert len({re.findall(r"P(\d+)Q", file.name)[0] for file in files}) == 1
    assert {file.name.rpartition(".")[2] for file in files} == {"one", "two"}
    assert not list((home / "Maildir/tmp").iterdir())
