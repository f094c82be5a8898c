"""A host that was qmail's, whole: its control files and dot-qmail files say who gets what, and whence reports come."""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.interop.private_host import private_host
from tests.interop.system_host import PROGRAMS, USERS, SystemHost

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("system-users")]

HOME: Final = "/var/qmail"
CONTROL: Final = {
    "me": "h.ex",
    "virtualdomains": "v.ex:ann\n.v.ex:ann-wild\njoe@v.ex:bob\nnot.v.ex:\nh.ex:bob\nplus.ex:alias-plus",
    "smtproutes": "not.v.ex:127.0.0.1:1",
    "percenthack": "h.ex",
    "envnoathost": "h.ex",
    "bouncefrom": "daemon",
    "bouncehost": "b.h.ex",
    "doublebounceto": "ann-double",
    "doublebouncehost": "h.ex",
}
TELLS: Final = '|echo "$LOCAL $EXT $DEFAULT $HOST" >told\n'


class QmailHost(SystemHost):
    """The same, with qmail's home."""

    def hand_in(self, sender: str, recipient: str) -> int:
        """Inject a message as root; return where the log began to tell of it."""
        since = self.mark()
        script = f"printf '\\n' | {PROGRAMS}/qmail-inject -a -f '{sender}' '{recipient}'"
        self.host.run("env", f"PAPERPATH_QMAIL_HOME={HOME}", "QMAILDEFAULTHOST=h.ex", "sh", "-c", script)
        return since


@pytest.fixture(scope="module")
def qmail() -> Iterator[QmailHost]:
    with private_host() as host:
        for user in USERS:
            host.run("useradd", "--create-home", "--shell", "/bin/sh", user)
            host.run("sh", "-c", f"umask 077; cd /home/{user}; mkdir -p Maildir/tmp Maildir/new Maildir/cur", user=user)
        service = QmailHost(host)
        control = host.root / "var/qmail/control"
        control.mkdir()
        for name, text in CONTROL.items():
            (control / name).write_text(f"{text}\n")
        service.configure({"qmail": {"home": HOME}})
        for user in USERS:
            service.write(user, ".qmail-default", TELLS)
        try:
            service.start()
            yield service
            service.stop()
            service.check_log()
        finally:
            service.kill()


@pytest.mark.parametrize(
    ("recipient", "user", "told"),
    [
        ("X@V.ex", "ann", "ann-X X X V.ex"),
        ("y@a.b.v.ex", "ann", "ann-wild-y wild-y wild-y a.b.v.ex"),
        ("joe@v.ex", "bob", "bob-joe joe joe v.ex"),
        ("Z.z@plus.ex", "alias", "alias-plus-Z.z plus-Z.z plus-Z.z plus.ex"),
        ("Ann-Q@h.ex", "ann", "Ann-Q Q Q h.ex"),
        ("q%v.ex@h.ex", "ann", "ann-q q q v.ex"),
        ("Nobody-x@h.ex", "alias", "Nobody-x Nobody-x Nobody-x h.ex"),
        ("ann-bare", "ann", "ann-bare bare bare h.ex"),
    ],
)
def test_control_files_say_who_gets_it(qmail: QmailHost, recipient: str, user: str, told: str) -> None:
    since = qmail.hand_in("s@far.ex", recipient)
    qmail.wait_for("message.done", since=since)
    assert (qmail.home(user) / "told").read_text() == f"{told}\n"


def test_exception_under_a_wildcard_is_remote(qmail: QmailHost) -> None:
    since = qmail.hand_in("s@far.ex", "u@not.v.ex")
    assert qmail.wait_for("delivery.deferred", since=since)["channel"] == "remote"


def test_reports_come_from_whom_the_control_files_name(qmail: QmailHost) -> None:
    qmail.write("ann", ".qmail-fail", "|echo sorry; echo; echo again; exit 100\n")
    qmail.write("bob", ".qmail-box", "./Maildir/\n")
    since = qmail.hand_in("bob-box@h.ex", "fail@v.ex")
    qmail.wait_for("message.done", since=since, count=2)
    (report,) = qmail.texts("bob")
    assert report.startswith("Return-Path: <>\nDelivered-To: bob-box@h.ex\n")
    assert "\nFrom: <daemon@b.h.ex>\nTo: <bob-box@h.ex>\nSubject: failure notice\n" in report
    assert "\n\nHi. This is the Paperpath mail server at b.h.ex.\n" in report
    assert "\n\n<fail@v.ex>:\nsorry\n/again\n\n--- Below this line is a copy of the message.\n\n" in report
    assert "\n\nReturn-Path: <bob-box@h.ex>\n" in report


def test_reports_that_fail_go_where_the_control_files_say(qmail: QmailHost) -> None:
    qmail.write("ann", ".qmail-fail", "|echo sorry; exit 100\n")
    qmail.write("ann", ".qmail-double", "./Maildir/\n")
    since = qmail.hand_in("", "ann-fail@h.ex")
    qmail.wait_for("message.done", since=since, count=2)
    (report,) = qmail.texts("ann")
    assert report.startswith("Return-Path: <#@[]>\nDelivered-To: ann-double@h.ex\n")
    assert "\nTo: <ann-double@h.ex>\n" in report
    assert "\n--- Below this line is the original bounce.\n" in report
