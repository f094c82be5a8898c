"""A real `local` and real workers: questions, starting, who may ask, draining, and a message in its Maildir."""

import os
import pwd
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.base.outcome import Delivered
from paperpath.local import main as local_main
from paperpath.wire.accounts import Account, Found, Lookup, NotFound, StartWorker, Unknown, WorkerStarted
from paperpath.wire.delivery import Forward, Report, Result, Target
from paperpath.wire.frame import VERSION, Hello
from tests.peers import require_peer, require_root
from tests.unit.delivery.test_maildir import make_home
from tests.unit.local.service import (
    Service,
    job,
    require_interpreter_for_others,
    running,
    settings,
    worker_talk,
)

ME = pwd.getpwuid(os.geteuid()).pw_name


@pytest.fixture
def mail(tmp_path: Path) -> Path:
    make_home(tmp_path / "mail/box.test/joe")
    return tmp_path / "mail"


@pytest.fixture
def service(tmp_path: Path, mail: Path) -> Iterator[Service]:
    with running(tmp_path, settings(mail, ME)) as service:
        yield service


def account(mail: Path) -> Account:
    return Account(ME, f"{mail}/box.test/joe", b"", b"")


def test_answers_who_is_there(service: Service, mail: Path) -> None:
    asker = service.connect("lookup")
    asker.send(Hello(VERSION, "receive"))
    assert asker.ask(Lookup(1, b"joe@box.test")) == Found(1, "mailboxes", account(mail))
    assert asker.ask(Lookup(2, b"jim@box.test")) == NotFound(2)
    assert asker.ask(Lookup(3, b"no-such-user-here@host.test")) == NotFound(3)


def test_delivers_through_a_worker(service: Service, mail: Path) -> None:
    queue = service.connect("workers")
    assert queue.ask(StartWorker(5, "mailboxes")) == WorkerStarted(5)
    worker = worker_talk(queue)
    assert worker.ask(job(7, account(mail))) == Report(7, (Result(0, Delivered("did 1+0+0")),))
    (made,) = (mail / "box.test/joe/Maildir/new").iterdir()
    assert made.read_bytes().endswith(b"Received: somehow\nSubject: x\n\nhello\n")
    assert made.stat().st_mode & 0o777 == 0o600


def test_worker_is_not_started_for_those_who_may_only_ask(service: Service) -> None:
    asker = service.connect("lookup")
    asker.send(StartWorker(1, "mailboxes"))
    with pytest.raises(EOFError):
        asker.receive()
    assert service.connect("lookup").ask(Lookup(2, b"jim@box.test")) == NotFound(2)


@pytest.mark.parametrize("bad", [b"\0\0\0\2\xc1\xc1", b"\xff\xff\xff\xff", b"\0\0\x20\0" + b"x" * 0x2000])
def test_bad_frame_ends_its_conversation_only(service: Service, bad: bytes) -> None:
    asker = service.connect("lookup")
    asker.sock.sendall(bad)
    with pytest.raises((EOFError, ConnectionResetError)):
        asker.receive()
    assert service.connect("lookup").ask(Lookup(2, b"jim@box.test")) == NotFound(2)


@pytest.mark.parametrize("listener", ["lookup", "workers"])
def test_stranger_is_turned_away(tmp_path: Path, mail: Path, listener: str) -> None:
    other = (os.geteuid() + 1,)
    turned_away = pytest.raises((EOFError, ConnectionResetError, BrokenPipeError))
    with running(tmp_path, settings(mail, ME, lookup_users=other, worker_users=other)) as service, turned_away:
        service.connect(listener).ask(Lookup(1, b"joe@box.test"))


def test_second_worker_of_a_name_starts_only_after_the_first_ended(service: Service, mail: Path) -> None:
    queue = service.connect("workers")
    queue.ask(StartWorker(1, "mailboxes"))
    first = worker_talk(queue)
    queue.send(StartWorker(2, "mailboxes"))
    assert isinstance(first.ask(job(1, account(mail))), Report)
    first.sock.close()
    assert queue.receive() == WorkerStarted(2)
    assert isinstance(worker_talk(queue).ask(job(2, account(mail))), Report)


def test_killed_worker_is_seen_by_queue_and_started_again(service: Service, mail: Path) -> None:
    queue = service.connect("workers")
    queue.ask(StartWorker(1, "mailboxes"))
    worker = worker_talk(queue)
    worker.ask(job(1, account(mail)))
    os.kill(_worker_pid(mail), signal.SIGKILL)
    with pytest.raises((EOFError, ConnectionResetError)):
        worker.receive()
    assert queue.ask(StartWorker(2, "mailboxes")) == WorkerStarted(2)
    assert isinstance(worker_talk(queue).ask(job(2, account(mail))), Report)


def _worker_pid(mail: Path) -> int:
    """Return the process id in the name of the one message that the worker delivered."""
    (made,) = (mail / "box.test/joe/Maildir/new").iterdir()
    return int(made.name.partition("P")[2].partition("Q")[0])


def test_unknown_worker_is_temporary(service: Service) -> None:
    answer = service.connect("workers").ask(StartWorker(3, "user:no-such-user-here"))
    assert answer == Unknown(3, "no worker has this name")


def test_drain_lets_the_worker_finish(service: Service, mail: Path) -> None:
    queue = service.connect("workers")
    queue.ask(StartWorker(1, "mailboxes"))
    worker = worker_talk(queue)
    worker.send(job(1, account(mail)))
    assert isinstance(worker.receive(), Report)
    worker.sock.close()
    assert service.drain() == 0


def test_ends_with_the_supervisor(service: Service) -> None:
    service.control.sock.close()
    assert service.process.wait(30) == 0


@pytest.fixture
def system_user() -> Iterator[pwd.struct_passwd]:
    """A system account of its own, with a Maildir at home, where other users can get to."""
    require_root()
    require_interpreter_for_others()
    useradd = require_peer("useradd")
    name, folder = f"pp-test-{os.getpid()}", Path(tempfile.mkdtemp(prefix="paperpath-"))
    folder.chmod(0o755)
    home = make_home(folder / name)
    subprocess.run([useradd, "--home-dir", home, "--no-create-home", name], check=True)
    user = pwd.getpwnam(name)
    for path in (home, *home.rglob("*")):
        shutil.chown(path, user.pw_uid, user.pw_gid)
    yield user
    subprocess.run([require_peer("userdel"), "--force", name], check=True)
    shutil.rmtree(folder)


@pytest.mark.root
@pytest.mark.xdist_group("system-users")
def test_system_user_gets_mail_by_a_worker_of_its_own(
    tmp_path: Path, mail: Path, system_user: pwd.struct_passwd
) -> None:
    name, home = system_user.pw_name, Path(system_user.pw_dir)
    with running(tmp_path, settings(mail, ME, change_user=True)) as service:
        queue = service.connect("workers")
        found = queue.ask(Lookup(1, name.upper().encode() + b"@host.test"))
        assert found == Found(1, found.worker, Account(name, str(home), b"", b""))
        assert found.worker.startswith(f"user:{name}~")
        assert isinstance(queue.ask(StartWorker(2, f"user:{name}")), Unknown), "it is told nothing that we know"
        assert queue.ask(StartWorker(2, found.worker)) == WorkerStarted(2)
        worker = worker_talk(queue)
        assert worker.ask(job(1, found.account)) == Report(1, (Result(0, Delivered("did 1+0+0")),))
        (made,) = (home / "Maildir/new").iterdir()
        assert (made.stat().st_uid, made.stat().st_gid) == (system_user.pw_uid, system_user.pw_gid)
        status = Path(f"/proc/{made.name.partition('P')[2].partition('Q')[0]}/status").read_text()
        assert f"Uid:\t{system_user.pw_uid}\t{system_user.pw_uid}\t{system_user.pw_uid}" in status
        assert f"Groups:\t{system_user.pw_gid} \n" in status
        # Programs of users may need set-group-id helpers.
        assert "NoNewPrivs:\t0" in status and "Seccomp:\t0" in status
        worker.close()
        assert service.drain() == 0


@pytest.mark.root
@pytest.mark.xdist_group("system-users")
def test_system_users_instructions_are_carried_out_as_that_user(
    tmp_path: Path, mail: Path, system_user: pwd.struct_passwd
) -> None:
    name, home = system_user.pw_name, Path(system_user.pw_dir)
    lines = "|id -un > who;  ulimit -c > core; cat > message; echo heard; exit 0", "&a@else.test", "./Mailbox", ""
    (home / ".qmail-x").write_text("\n".join(lines))
    (home / ".qmail-x-owner").write_text("#")
    address = name.encode() + b"-x@host.test"
    with running(tmp_path, settings(mail, ME, change_user=True)) as service:
        queue = service.connect("workers")
        found = queue.ask(Lookup(1, address))
        assert found.account == Account(name, str(home), b"-", b"x")
        assert queue.ask(Lookup(2, name.encode() + b"-y@host.test")) == NotFound(2)
        assert queue.ask(StartWorker(3, found.worker)) == WorkerStarted(3)
        worker = worker_talk(queue)
        report = worker.ask(job(1, found.account, targets=(Target(0, address, found.account),)))
        forward = Forward(
            name.encode() + b"-x-owner@host.test",
            (b"a@else.test",),
            b"Delivered-To: " + address + b"\nReceived: somehow\n",
        )
        assert report == Report(1, (Result(0, Delivered("heard\ndid 1+1+1"), (forward,)),))
        worker.close()
        assert service.drain() == 0
    assert (home / "who").read_text() == name + "\n"
    assert (home / "core").read_text() == "0\n"
    assert (home / "message").read_bytes() == b"Received: somehow\nSubject: x\n\nhello\n"
    made = (home / "Mailbox").stat()
    assert (made.st_uid, made.st_gid, made.st_mode & 0o777) == (system_user.pw_uid, system_user.pw_gid, 0o600)


@pytest.mark.root
@pytest.mark.xdist_group("system-users")
def test_program_ends_with_its_worker(tmp_path: Path, mail: Path, system_user: pwd.struct_passwd) -> None:
    name, home = system_user.pw_name, Path(system_user.pw_dir)
    os.mkfifo(home / "pid")
    (home / "pid").chmod(0o666)
    (home / ".qmail").write_text("|echo $$ > pid; exec sleep 1000\n")
    with running(tmp_path, settings(mail, ME, change_user=True)) as service:
        queue = service.connect("workers")
        found = queue.ask(Lookup(1, name.encode() + b"@host.test"))
        queue.ask(StartWorker(2, found.worker))
        worker = worker_talk(queue)
        worker.send(job(1, found.account))
        program = os.pidfd_open(int((home / "pid").read_text()))
        worker.close()
        assert select.select([program], [], [], 30)[0]
        os.close(program)
        assert service.drain() == 0


@pytest.mark.root
def test_root_is_no_worker(tmp_path: Path, mail: Path) -> None:
    require_root()
    with running(tmp_path, settings(mail, "root", change_user=True)) as service:
        answer = service.connect("workers").ask(StartWorker(1, "mailboxes"))
    assert isinstance(answer, Unknown) and "could not be started" in answer.reason


def test_programs_find_those_of_qmail_first() -> None:
    given = settings(Path("/mail"), ME, qmail_home="/srv/qmail")
    assert local_main._environment(given) == {"PATH": "/srv/qmail/bin:/usr/local/bin:/usr/bin:/bin"}
    assert local_main._environment(settings(Path("/mail"), ME)) == {}
