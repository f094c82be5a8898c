"""A `pop3` process that somebody has taken over gets at nothing that SECURITY.md does not grant it."""

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from paperpath.process.passes import make_pass
from paperpath.system.clock import now
from paperpath.system.confine import confine_files
from tests.docs.test_security import status
from tests.peers import require_root
from tests.unit.local.service import require_interpreter_for_others
from tests.unit.pop3.scene import (
    KEY,
    Child,
    local_settings,
    make_maildir,
    playing,
    pop3_settings,
    unix_listener,
    wait_for,
)

SCRIPT = Path(__file__).with_name("hostile.py")
BY_CONFINEMENT = (
    "read accounts", "read mail", "list mail", "write", "read another's memory", "start a program", "fork", "trace",
)  # fmt: skip
BY_PASSES = (
    "mailbox without a pass", "mailbox with another's pass", "mailbox by path", "worker at the door of mailboxes",
)  # fmt: skip
BY_USERS = ("worker", "lookup", "send mail", "end others")


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def attempts(folder: Path, only: tuple[str, ...], user: str | None = None, **local: Any) -> dict[str, str]:
    """Run `local`, and the hostile process as ``user``; return what came of its attempts."""
    mail = make_maildir(folder / "mail/box.test/joe") / "new/1.a"
    mail.write_bytes(b"x\n")
    accounts = folder / "accounts.sqlite"
    accounts.write_bytes(b"hashes")
    if user is not None:
        os.chmod(folder, 0o755)
        os.chmod(accounts, 0o644)  # so that it is not the file's mode alone that keeps it out
    with ExitStack() as stack:
        doors = {}
        for name, file in (("lookup", "lookup"), ("workers", "workers"), ("mailboxes", "mailboxes")):
            doors[name] = stack.enter_context(unix_listener(folder / f"local.{file}"))
            os.chmod(folder / f"local.{file}", 0o666)
        intake = stack.enter_context(unix_listener(folder / "queue.intake"))
        intake.close()
        local_half = Child("local", doors, local_settings(folder, **local))
        stack.callback(local_half.end)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        wanted = {
            "accounts": str(accounts),
            "mail": str(mail),
            "local": str(local_half.process.pid),
            "pass": make_pass(KEY, "sue@box.test", now=now(), nonce=bytes(16)).hex(),
            "only": ",".join(only),
        }
        settings = pop3_settings(folder, hostname=json.dumps(wanted))
        hostile = Child("pop3", {"pop3 x": tcp}, settings, script=SCRIPT, user=user)
        stack.callback(hostile.end)
        with socket.create_connection(tcp.getsockname(), 30) as told:
            found: dict[str, str] = json.loads(told.makefile().read())
        assert local_half.process.poll() is None
        assert mail.exists()
        return found


def test_confinement_and_passes(folder: Path) -> None:
    """Even where all processes run as one user."""
    if not landlock_is_there():
        pytest.skip("no Landlock here")
    found = attempts(folder, BY_CONFINEMENT + BY_PASSES)
    assert set(found) == {*BY_CONFINEMENT, *BY_PASSES} and "done" not in found.values(), found


def test_users(folder: Path) -> None:
    require_root()
    require_interpreter_for_others()
    ids = {"opener_users": (uid("games"),), "lookup_users": (uid("mail"),), "worker_users": (uid("mail"),)}
    found = attempts(folder, (), "games", **ids)
    assert set(found) == {*BY_CONFINEMENT, *BY_PASSES, *BY_USERS} and "done" not in found.values(), found


def test_a_reader_keeps_to_the_folder_of_the_mailboxes(folder: Path) -> None:
    """A mailbox that leads out of it, by a link, cannot be read, whoever may read what it leads to."""
    if not landlock_is_there():
        pytest.skip("no Landlock here")
    with playing(folder) as scene:
        outside = folder / "outside"
        outside.mkdir()
        (outside / "1.a").write_bytes(b"x\n")
        (scene.maildir() / "new").rmdir()
        (scene.maildir() / "new").symlink_to(outside)
        client = scene.client()
        assert client.ask("USER joe@box.test").startswith("+OK")
        assert client.ask("PASS secret").startswith("-ERR [SYS/TEMP]")
        wait_for(lambda: "Permission denied" in scene.log())


def test_confinement_is_what_security_says(folder: Path) -> None:
    ours = status(os.getpid())
    if ours["NoNewPrivs"] != "0":
        pytest.skip("already without new privileges: nothing can be told")
    with playing(folder) as scene:
        scene.logged_in()
        local = scene.local.process.pid
        (reader,) = Path(f"/proc/{local}/task/{local}/children").read_text().split()
        for pid in (scene.pop3.process.pid, int(reader)):
            for name in ("NoNewPrivs", "Seccomp_filters"):
                assert status(pid)[name] != ours[name]


def uid(name: str) -> int:
    import pwd

    return pwd.getpwnam(name).pw_uid


def landlock_is_there() -> bool:
    pid = os.fork()
    if not pid:
        code = 1
        try:
            code = 0 if confine_files(read=("/",), write=()) else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
