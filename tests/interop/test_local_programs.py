"""Third-party programs, unmodified, in dot-qmail files; and what a host that comes from sendmail keeps."""

import os
import signal
import smtplib
from collections.abc import Iterator
from typing import Final

import pytest

from tests.interop.system_host import DOMAIN, PROGRAMS, SystemHost, running_system_host
from tests.peers import require_peer
from tests.sink import Sink, running_sink

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.xdist_group("system-host")]

SETTINGS: Final = {"local": {"aliases": "/etc/aliases", "forward_files": "followed", "program_timeout": 3}}
PRELINE: Final = PROGRAMS / "preline"
FILTER: Final = r"""
import EXT
import SENDER
xfilter "/usr/bin/sed \"1i X-Seen: $EXT $SENDER\""
cc "./Dropped/"
EXITCODE=99
exit
"""


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def host(sink: Sink) -> Iterator[SystemHost]:
    with running_system_host({**SETTINGS, "routes": {"sink.test": sink.route}}) as host:
        yield host


class TestAliases:
    """`newaliases` makes what the service reads."""

    @pytest.fixture(autouse=True)
    def aliases(self, host: SystemHost) -> None:
        (host.folder / "etc/team").write_text("ann, bob\nfar@sink.test\n")
        (host.folder / "etc/aliases").write_text(
            f"root@{DOMAIN}: ann@{DOMAIN}\nteam@{DOMAIN}: :include:/etc/team\nowner-team@{DOMAIN}: bob@{DOMAIN}\n"
            f'robot@{DOMAIN}: "|cat > $HOME/robot.out; id -un >> $HOME/robot.out"\n'
        )
        (host.folder / "etc/team").write_text(f"ann@{DOMAIN}\nbob@{DOMAIN}\nfar@sink.test\n")
        host.host.run(PROGRAMS / "newinclude", "/etc/team")
        host.host.run(PROGRAMS / "newaliases")

    def test_root_is_an_alias(self, host: SystemHost) -> None:
        since = host.mark()
        assert host.deliver("root", "for root")["text"] == "did 0+1+0"
        host.wait_for("delivery.delivered", since=since, recipient=f"ann@{DOMAIN}")
        (text,) = [text for text in host.texts("ann") if "Subject: for root\n" in text]
        assert f"\nDelivered-To: root@{DOMAIN}\n" in text

    def test_list_with_an_owner(self, host: SystemHost, sink: Sink) -> None:
        since = host.mark()
        host.deliver("Team", "for the team")
        for recipient in (f"ann@{DOMAIN}", f"bob@{DOMAIN}", "far@sink.test"):
            host.wait_for("delivery.delivered", since=since, recipient=recipient)
        (taken,) = [one for one in sink.taken if b"for the team" in one.content]
        assert taken.sender == f"owner-team@{DOMAIN}"

    def test_program_runs_as_the_alias_user(self, host: SystemHost) -> None:
        host.deliver("robot", "for a program")
        lines = (host.home("alias") / "robot.out").read_text().splitlines()
        assert lines[0].startswith("From from@there.test ") and lines[1] == "Return-Path: <from@there.test>"
        assert lines[-2:] == ["body", "alias"]

    def test_what_is_no_alias_does_not_exist(self, host: SystemHost) -> None:
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            host.send("from@there.test", [f"nobody-at-all@{DOMAIN}"], "Subject: x\n\nx\n")
        assert "alias robot@host.test" in host.run("explain", f"robot@{DOMAIN}")


class TestForwardFile:
    """Of bob, who has no dot-qmail file."""

    def test_copy_here_and_one_elsewhere(self, host: SystemHost, sink: Sink) -> None:
        path = host.write("bob", ".forward", 'bob, far@sink.test, "|cat > seen"\n')
        since = host.mark()
        assert host.deliver("bob", "copied")["text"] == "did 1+1+1"
        host.wait_for("delivery.delivered", since=since, recipient="far@sink.test")
        assert any("Subject: copied\n" in text for text in host.texts("bob"))
        assert any(b"Subject: copied\r\n" in content for content in sink.contents)
        assert (host.home("bob") / "seen").stat().st_uid == host.host.ids("bob")[0]
        path.unlink()

    def test_one_that_anybody_may_write_waits(self, host: SystemHost) -> None:
        path = host.write("bob", ".forward", "far@sink.test\n", mode=0o666)
        line = host.deliver("bob", "not trusted")
        assert (line["event"], line["status"]) == ("delivery.deferred", "4.7.0")
        path.unlink()


class TestProcmail:
    """``|preline procmail``, as its own page for qmail has it."""

    @pytest.fixture(autouse=True)
    def instructions(self, host: SystemHost) -> Iterator[None]:
        procmail = require_peer("procmail")
        host.write("ann", ".qmail", f"|{PRELINE} {procmail}\n./After/\n")
        host.sh("ann", "mkdir -p After/tmp After/new After/cur")
        yield
        (host.home("ann") / ".qmail").unlink()

    def test_sorts_into_a_maildir_and_goes_on(self, host: SystemHost) -> None:
        host.write("ann", ".procmailrc", "MAILDIR=$HOME\n:0\n* ^Subject: sort me\nSorted/\n:0\n/dev/null\n", mode=0o600)
        assert host.deliver("ann", "sort me")["event"] == "delivery.delivered"
        (text,) = host.texts("ann", "Sorted/new")
        assert f"Delivered-To: ann@{DOMAIN}\n" in text and text.endswith("\nbody\n")
        assert any("Subject: sort me\n" in text for text in host.texts("ann", "After/new"))

    @pytest.mark.parametrize(
        ("code", "event"), [(99, "delivery.delivered"), (100, "delivery.failed"), (111, "delivery.deferred")]
    )
    def test_its_exit_code_decides(self, host: SystemHost, code: int, event: str) -> None:
        host.write("ann", ".procmailrc", f"EXITCODE={code}\n:0\n/dev/null\n", mode=0o600)
        assert host.deliver("ann", f"exit {code}")["event"] == event
        assert not [text for text in host.texts("ann", "After/new") if f"Subject: exit {code}\n" in text]


class TestMaildrop:
    """``|maildrop FILTER``: it takes the message as it is, and qmail's variables from the environment."""

    @pytest.fixture(autouse=True)
    def instructions(self, host: SystemHost) -> Iterator[None]:
        maildrop = require_peer("maildrop")
        host.write("ann", ".qmail-drop", f"|{maildrop} filter\n./After/\n")
        host.sh("ann", "mkdir -p After/tmp After/new After/cur Dropped/tmp Dropped/new Dropped/cur")
        yield
        (host.home("ann") / ".qmail-drop").unlink()

    def test_delivers_and_sees_the_environment(self, host: SystemHost) -> None:
        host.write("ann", "filter", FILTER, mode=0o600)
        assert host.deliver("ann-drop", "drop me")["event"] == "delivery.delivered"
        (text,) = host.texts("ann", "Dropped/new")
        assert text.startswith("X-Seen: drop from@there.test\n") and text.endswith("\nbody\n")
        assert not [text for text in host.texts("ann", "After/new") if "Subject: drop me\n" in text]

    @pytest.mark.parametrize(("code", "event"), [(77, "delivery.failed"), (75, "delivery.deferred")])
    def test_its_exit_code_decides(self, host: SystemHost, code: int, event: str) -> None:
        host.write("ann", "filter", f"EXITCODE={code}\nexit\n", mode=0o600)
        assert host.deliver("ann-drop", f"exit {code}")["event"] == event


def test_dovecots_delivery_agent(host: SystemHost) -> None:
    lda = require_peer("/usr/lib/dovecot/dovecot-lda")
    (host.folder / "etc/dovecot").mkdir(exist_ok=True)
    (host.folder / "etc/dovecot/lda.conf").write_text(
        "mail_location = maildir:~/Maildir\npostmaster_address = p@host.test\nhostname = host.test\n"
        "log_path = /dev/stderr\n"
    )
    host.write("ann", ".qmail-lda", f'|{PRELINE} -f {lda} -c /etc/dovecot/lda.conf -e -a "$RECIPIENT" -f "$SENDER"\n')
    assert host.deliver("ann-lda", "by dovecot-lda")["event"] == "delivery.delivered"
    (text,) = [text for text in host.texts("ann") if "Subject: by dovecot-lda\n" in text]
    assert text.startswith("Return-Path: <from@there.test>\n")
    host.write("ann", ".qmail-lda", f"|{lda} -c /etc/dovecot/none.conf\n")
    assert host.deliver("ann-lda", "without its configuration")["event"] == "delivery.deferred"


@pytest.fixture(scope="module")
def mailing_list(host: SystemHost) -> None:
    make, receive = require_peer("mlmmj-make-ml"), require_peer("mlmmj-receive")
    answers = f"printf '%s\\n' {DOMAIN} ann@{DOMAIN} en"
    host.sh("ann", f"{answers} | {make} -s /home/ann/lists -L news")
    for name, value in (
        ("listaddress", f"ann-news@{DOMAIN}"),
        ("delimiter", "-"),
        ("smtpport", str(host.port)),
    ):
        host.write("ann", f"lists/news/control/{name}", value + "\n")
    for name in (".qmail-news", ".qmail-news-default"):
        host.write("ann", name, f"|{receive} -L /home/ann/lists/news\n")


@pytest.mark.usefixtures("mailing_list")
class TestMlmmj:
    """A list by mlmmj, whose dot-qmail files are what its own page for qmail has: subscribing, posting, bouncing."""

    def test_subscribing_by_mail(self, host: SystemHost, sink: Sink) -> None:
        since = host.mark()
        host.send("new@sink.test", [f"ann-news-subscribe@{DOMAIN}"], "From: new@sink.test\nSubject: x\n\nx\n")
        host.wait_for("delivery.delivered", since=since, recipient="new@sink.test")
        (asked,) = [one for one in sink.taken if one.recipients == ("new@sink.test",)]
        (address,) = [
            line.partition(b": ")[2].decode() for line in asked.content.splitlines() if line.startswith(b"Reply-To: ")
        ]
        since = host.mark()
        host.send("new@sink.test", [address], f"From: new@sink.test\nTo: {address}\nSubject: yes\n\nyes\n")
        host.wait_for("delivery.delivered", since=since, recipient="new@sink.test")
        assert "new@sink.test\n" in (host.home("ann") / "lists/news/subscribers.d/n").read_text()

    def test_post_and_bounce(self, host: SystemHost, sink: Sink) -> None:
        subscribe = require_peer("mlmmj-sub")
        for address in ("good@sink.test", "bad@sink.test"):
            host.sh("ann", f"{subscribe} -L /home/ann/lists/news -a {address} -s")
        sink.verdict = lambda verb, address: "550 gone" if (verb, address) == ("RCPT", "bad@sink.test") else ""
        since = host.mark()
        host.deliver("ann-news", "to the list")
        host.wait_for("delivery.delivered", since=since, recipient="good@sink.test")
        bounced = f"ann-news-bounces-1-bad=sink.test@{DOMAIN}"
        assert host.wait_for("delivery.delivered", since=since, recipient=bounced)["text"] == "did 0+0+1"
        (taken,) = [one for one in sink.taken if one.recipients == ("good@sink.test",)]
        assert taken.sender == f"ann-news-bounces-1-good=sink.test@{DOMAIN}"
        # mlmmj-receive leaves the work to a process of its own; a second bounce would be counted in the same file.
        host.sh("ann", "until [ -s lists/news/bounce/bad=sink.test ]; do sleep 0.1; done")


class TestWorkers:
    """A worker that is killed or kept waiting puts its mail off, and the next one goes on."""

    def test_killed_at_work(self, host: SystemHost) -> None:
        host.write("ann", ".qmail-killer", "|[ -e killed ] || { touch killed; kill -KILL $PPID; }\n")
        since = host.mark()
        line = host.deliver("ann-killer", "kills its worker")
        assert line["event"] == "delivery.deferred" and "process ended during the delivery" in line["text"]
        assert host.events("agent.gone", since=since, jobs=1)
        ended = host.wait_for("process.ended", since=since, how="SIGKILL")
        assert ended["role"].startswith("local worker user:ann")
        host.run("queue", "retry", "--all")
        host.wait_for("delivery.delivered", since=since, recipient=f"ann-killer@{DOMAIN}")

    def test_program_that_hangs(self, host: SystemHost) -> None:
        host.write("ann", ".qmail-hangs", "|touch hung; exec sleep 600\n")
        line = host.deliver("ann-hangs", "never ends")
        assert line["event"] == "delivery.deferred" and "took too long" in line["text"]
        assert (host.home("ann") / "hung").exists()
        assert host.deliver("ann", "in the meantime")["event"] == "delivery.delivered"
        host.run("queue", "remove", line["message"])

    def test_nursery_that_is_killed_is_made_again(self, host: SystemHost) -> None:
        assert host.deliver("bob", "before")["event"] == "delivery.delivered"
        living = host.processes()
        for module in ("local.nursery", "local.worker_main"):
            for pid in [pid for pid, found in living.items() if found == module]:
                os.kill(pid, signal.SIGKILL)
        since = host.mark()
        host.wait_for("process.ended", role="local nursery", how="SIGKILL")
        host.deliver("bob", "after")
        host.run("queue", "retry", "--all")
        host.wait_for("delivery.delivered", since=since, recipient=f"bob@{DOMAIN}")
        assert list(host.processes().values()).count("local.nursery") == 1


def test_new_settings_count_for_users_whose_worker_lives(host: SystemHost) -> None:
    assert host.deliver("bob", "as before")["text"] == "did 1+0+0"
    host.sh("bob", "mkdir -p Other/tmp Other/new Other/cur")
    host.configure({"local": {"default_delivery": "./Other/"}})
    try:
        assert host.reload()["event"] == "service.reloaded"
        # Not the address of before: what is known of that, its worker too, is remembered for seconds.
        assert host.deliver("BOB", "elsewhere")["event"] == "delivery.delivered"
        assert any("Subject: elsewhere\n" in text for text in host.texts("bob", "Other/new"))
        # Its successor knows of neither worker; the one that was told of before lives still.
        since = host.mark()
        os.kill(host.pid_of("local"), signal.SIGKILL)
        host.wait_for("process.started", since=since, role="local")
        assert host.deliver("bOb", "still elsewhere")["event"] == "delivery.delivered"
        assert any("Subject: still elsewhere\n" in text for text in host.texts("bob", "Other/new"))
    finally:
        host.configure({"local": {"default_delivery": "./Maildir/"}})
        assert host.reload()["event"] == "service.reloaded"


class TestWithoutItsLocal:
    """A worker whose `local` was killed goes on, and whoever counted it still does: `queue`, which speaks to it."""

    @pytest.fixture(autouse=True)
    def instructions(self, host: SystemHost) -> None:
        host.sh("ann", "rm -f began go said; mkfifo began go")
        host.write("ann", ".qmail-slow", "|echo $PPID >began; cat go; echo done >>said\n")
        host.write("ann", ".qmail-next", "|echo $PPID >next\n")

    def begin(self, host: SystemHost) -> tuple[int, int]:
        """Have a program wait, and `local` killed meanwhile; return the worker's id and the mark before."""
        since = host.mark()
        host.send("from@there.test", [f"ann-slow@{DOMAIN}"], "Subject: slow\n\nx\n")
        worker = int(host.sh("ann", "cat began"))
        os.kill(host.pid_of("local"), signal.SIGKILL)
        host.wait_for("process.started", since=since, role="local")
        return worker, since

    def test_what_it_delivers_is_delivered_once_and_it_gets_the_next(self, host: SystemHost) -> None:
        worker, since = self.begin(host)
        host.sh("ann", "echo >go")
        host.wait_for("delivery.delivered", since=since, recipient=f"ann-slow@{DOMAIN}")
        assert host.deliver("ann-next", "the next")["event"] == "delivery.delivered"
        assert int((host.home("ann") / "next").read_text()) == worker
        assert (host.home("ann") / "said").read_text() == "done\n"
        assert not host.events("delivery.interrupted", since=since) and not host.events("agent.gone", since=since)

    def test_it_ends_with_the_service(self, host: SystemHost) -> None:
        """``stop`` waits until nobody is left, and this program would not end for ten minutes; its mail is kept."""
        host.configure({"local": SETTINGS["local"] | {"program_timeout": 600}, "stop": {"grace": 1}})
        assert host.reload()["event"] == "service.reloaded"
        self.begin(host)
        host.stop()
        since = host.mark()
        host.start()
        host.run("queue", "retry", "--all")
        host.sh("ann", "cat began; echo >go")
        host.wait_for("delivery.delivered", since=since, recipient=f"ann-slow@{DOMAIN}")
        assert (host.home("ann") / "said").read_text() == "done\n"
