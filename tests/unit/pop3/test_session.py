"""Sessions of the real `pop3` with the real `local` and its readers, over sockets."""

import os
import re
import shutil
import signal
import socket
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.process.passes import make_pass
from paperpath.system.clock import now
from tests.unit.pop3.scene import KEY, Scene, playing, wait_for


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="pp", dir="/tmp"))
    try:
        with playing(folder) as scene:
            yield scene
    finally:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _empty(scene: Scene) -> None:
    for path in [*scene.maildir().rglob("*"), *scene.maildir("sue").rglob("*")]:
        if path.is_file() or path.is_symlink() or path.is_fifo():
            path.unlink()


def test_a_mailbox_from_login_to_quit(scene: Scene) -> None:
    scene.deliver("1600000001.a.host", b"Subject: one\n\nfirst\n.dot\n")
    scene.deliver("1600000002.b.host", b"Subject: two\n\nsecond")
    scene.deliver("1600000000.c.host:2,S", b"Subject: old\n\nzeroth\n", cur=True)
    client = scene.logged_in()
    assert client.ask("STAT") == "+OK 3 66"
    assert client.ask_lines("UIDL") == ["1 1600000000.c.host", "2 1600000001.a.host", "3 1600000002.b.host"]
    assert client.ask_lines("RETR 2") == ["Subject: one", "", "first", "..dot"]
    assert client.ask_lines("TOP 3 0") == ["Subject: two", ""]
    assert client.ask("DELE 2") == "+OK Marked"
    assert client.ask("QUIT") == "+OK Bye"
    assert client.line() == ""
    assert sorted(os.listdir(scene.maildir() / "cur")) == ["1600000000.c.host:2,S", "1600000002.b.host:2,"]
    assert os.listdir(scene.maildir() / "new") == []


def test_pipelining_and_a_half_closed_connection(scene: Scene) -> None:
    scene.deliver("1.a", b"x\n")
    client = scene.client()
    client.send("CAPA\r\nUSER joe@box.test\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nSTAT\r\n")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.line() == "+OK Capabilities follow"
    assert "PIPELINING" in client.lines()
    said = list(iter(client.line, ""))
    assert said == [
        "+OK Now the password", "+OK 1 message (2 octets)", "+OK 1 2", "+OK 2 octets", "x", ".", "+OK Marked",
        "+OK 0 0",
    ]  # fmt: skip
    assert os.listdir(scene.maildir() / "new") == ["1.a"], "it did not say QUIT"


def test_breaking_off_changes_nothing(scene: Scene) -> None:
    scene.deliver("1.a", b"x\n")
    client = scene.logged_in()
    assert client.ask("DELE 1") == "+OK Marked"
    since = len(scene.log())
    client.close()
    wait_for(lambda: "mailbox.closed" in scene.log()[since:])
    assert os.listdir(scene.maildir() / "new") == ["1.a"]
    assert "result=closed" in scene.log()[since:] and "removed=0" in scene.log()[since:]


def test_a_message_that_vanished(scene: Scene) -> None:
    path = scene.deliver("1.a", b"x\n")
    scene.deliver("2.b", b"y\n")
    client = scene.logged_in()
    assert client.ask_lines("LIST") == ["1 2", "2 2"]
    path.unlink()
    assert client.ask("RETR 1") == "-ERR The message is gone"
    assert client.ask("TOP 1 1") == "-ERR The message is gone"
    assert client.ask_lines("RETR 2") == ["y"]
    assert client.ask("DELE 1") == "+OK Marked"
    assert client.ask("QUIT") == "+OK Bye"


def test_another_reader_gives_messages_other_names(scene: Scene) -> None:
    one, two = scene.deliver("1.a", b"x\n"), scene.deliver("2.b:2,", b"y\n", cur=True)
    client = scene.logged_in()
    one.rename(scene.maildir() / "cur/1.a:2,RS")
    two.rename(scene.maildir() / "cur/2.b:2,F")
    assert client.ask_lines("RETR 1") == ["x"]
    assert client.ask("DELE 2") == "+OK Marked"
    assert client.ask("QUIT") == "+OK Bye"
    assert os.listdir(scene.maildir() / "cur") == ["1.a:2,RS"]


def test_two_sessions_remove_the_same(scene: Scene) -> None:
    for number in range(1, 601):
        scene.deliver(f"{number}.m", b"x\n")
    one, two = scene.logged_in(), scene.logged_in()
    for client in (one, two):
        client.send("".join(f"DELE {number}\r\n" for number in range(1, 601)))
        assert {client.line() for _ in range(600)} == {"+OK Marked"}
    one.send("QUIT\r\n")
    two.send("QUIT\r\n")
    assert one.line() == two.line() == "+OK Bye"
    assert os.listdir(scene.maildir() / "new") == os.listdir(scene.maildir() / "cur") == []


def test_what_is_delivered_meanwhile_is_for_the_next_session(scene: Scene) -> None:
    scene.deliver("1.a", b"x\n")
    client = scene.logged_in()
    scene.deliver("2.b", b"y\n")
    assert client.ask("STAT") == "+OK 1 2"
    assert client.ask("RETR 2") == "-ERR There is no such message"
    assert client.ask("QUIT") == "+OK Bye"
    assert os.listdir(scene.maildir() / "new") == ["2.b"]
    assert scene.logged_in().ask("STAT") == "+OK 2 4"


def test_what_is_no_message(scene: Scene) -> None:
    """Links, pipes and hidden files are not shown, and are not opened where they take a message's place."""
    path = scene.deliver("1.a", b"x\n")
    os.mkfifo(scene.maildir() / "new/2.fifo")
    (scene.maildir() / "new/3.link").symlink_to("/etc/passwd")
    scene.deliver(".hidden", b"x\n")
    client = scene.logged_in()
    assert client.ask_lines("LIST") == ["1 2"]
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert client.ask("RETR 1").startswith("-ERR [SYS/TEMP]")
    path.unlink()
    os.mkfifo(path)
    assert client.ask("RETR 1").startswith("-ERR [SYS/TEMP]")
    wait_for(lambda: "mailbox.trouble" in scene.log())


def test_a_message_that_cannot_be_removed(scene: Scene) -> None:
    path = scene.deliver("1.a", b"x\n")
    scene.deliver("2.b", b"x\n")
    client = scene.logged_in()
    assert client.ask("DELE 1") == client.ask("DELE 2") == "+OK Marked"
    path.unlink()
    path.mkdir()
    assert client.ask("QUIT") == "-ERR [SYS/TEMP] 1 of the deleted messages could not be removed"
    assert client.line() == ""
    assert os.listdir(scene.maildir() / "new") == ["1.a"]
    path.rmdir()


def test_no_maildir(scene: Scene) -> None:
    away = scene.home("joe") / "away"
    scene.maildir().rename(away)
    try:
        client = scene.client()
        assert client.ask("USER joe@box.test").startswith("+OK")
        assert client.ask("PASS secret").startswith("-ERR [SYS/TEMP]")
        wait_for(lambda: "No such file" in scene.log())
    finally:
        away.rename(scene.maildir())
    assert client.ask("USER joe@box.test").startswith("+OK")
    assert client.ask("PASS secret") == "+OK 0 messages (0 octets)"


def test_wrong_passwords(scene: Scene) -> None:
    client = scene.client()
    for _ in range(3):
        assert client.ask("USER joe@box.test").startswith("+OK")
        assert client.ask("PASS wrong") == "-ERR [AUTH] The login failed"
    assert client.line() == ""
    wait_for(lambda: "failed logins" in scene.log())


def test_auth_cannot_tell(scene: Scene) -> None:
    client = scene.client()
    for _ in range(4):
        assert client.ask("USER later").startswith("+OK")
        assert client.ask("PASS x").startswith("-ERR [SYS/TEMP]")


@pytest.mark.parametrize("wrong", ["none", "another's", "changed"])
def test_a_pass_that_is_not_good_opens_nothing(scene: Scene, wrong: str) -> None:
    another = make_pass(KEY, "sue@box.test", now=now(), nonce=bytes(16))
    given = {
        "none": b"",
        "another's": another,
        "changed": make_pass(bytes(32), "joe@box.test", now=now(), nonce=bytes(16)),
    }
    scene.auth.passes["joe@box.test"] = given[wrong]
    try:
        client = scene.client()
        assert client.ask("USER joe@box.test").startswith("+OK")
        assert client.ask("PASS secret").startswith("-ERR [SYS/TEMP]")
    finally:
        scene.auth.passes.clear()
    wait_for(lambda: "the pass is not good" in scene.log())


def test_apop(scene: Scene) -> None:
    scene.deliver("1.a", b"x\n", "sue")
    client = scene.client()
    timestamp = client.greeting.split(" ")[-1]
    assert re.fullmatch(r"<[0-9]+\.[0-9]+\.[0-9a-f]{16}@mx\.box\.test>", timestamp)
    assert scene.client().greeting != client.greeting
    assert client.ask("APOP sue@box.test c4c9334bac560ecc979e58001b3e22fb") == "+OK 1 message (2 octets)"
    assert scene.auth.seen[-1].initial == timestamp.encode() + b"\0sue@box.test\0c4c9334bac560ecc979e58001b3e22fb"


def test_a_mechanism_with_challenges_and_last_words(scene: Scene) -> None:
    client = scene.client()
    assert client.ask("AUTH ASK") == "+ " + b64encode(b"who?").decode()
    assert client.ask(b64encode(b"joe@box.test").decode()) == "+ " + b64encode(b"last words").decode()
    assert client.ask("") == "+OK 0 messages (0 octets)"
    seen = scene.auth.seen[-1]
    assert (seen.mechanism, seen.initial, seen.service, seen.peer, seen.secure) == (
        "ASK",
        None,
        "pop3",
        "127.0.0.1",
        True,
    )


def test_a_login_that_is_cancelled(scene: Scene) -> None:
    client = scene.client()
    assert client.ask("AUTH ASK").startswith("+ ")
    assert client.ask("*") == "-ERR Cancelled"
    assert client.ask("AUTH PLAIN " + b64encode(b"\0joe@box.test\0secret").decode()).startswith("+OK")


def test_unique_ids(scene: Scene) -> None:
    """A name that is no unique id (RFC 1939 7) is replaced by one that stays the same."""
    long, odd = "2." + "x" * 100, "3.ü b"
    for name in ("1.short,S=2:2,S", long, odd):
        scene.deliver(name, b"x\n", cur=True)
    first = scene.logged_in().ask_lines("UIDL")
    assert first[0] == "1 1.short,S=2" and first[1].startswith("2 ") and len(set(first)) == 3
    assert all(len(line) <= 72 and line.isascii() for line in first)
    assert scene.logged_in().ask_lines("UIDL") == first


def test_a_large_message_is_never_in_memory(scene: Scene) -> None:
    """Fifty megabytes to a client that reads late: both processes stay small."""
    line = b"." + b"x" * 62 + b"\n"
    scene.deliver("1.a", line * (50 * 1024 * 1024 // len(line)))
    client = scene.logged_in()
    pid = scene.pop3.process.pid
    before = memory_kib(pid)
    assert client.ask("RETR 1") == f"+OK {50 * 1024 * 1024} octets"
    wait_for(lambda: is_blocked(pid))
    count = 0
    while (sent := client.file.readline()) != b".\r\n":
        assert sent == b"." + line[:-1] + b"\r\n"
        count += 1
    assert count == 50 * 1024 * 1024 // len(line)
    assert memory_kib(pid) - before < 8 * 1024
    assert client.ask("NOOP") == "+OK Still here"


def test_a_large_mailbox_in_little_memory(scene: Scene) -> None:
    """30,000 messages: some bytes each in the reader, and nothing in `pop3` but a page."""
    first = scene.deliver("1.a,S=2", b"x\n", "sue")
    for number in range(2, 30_001):
        os.link(first, first.with_name(f"{number}.M1P2Q3.a-host-with-a-name.test,S=2"))
    scene.logged_in("joe").ask("QUIT")
    (reader,) = children(scene.local.process.pid)
    before = memory_kib(reader), memory_kib(scene.pop3.process.pid)
    client = scene.logged_in("sue")
    assert client.ask("STAT") == "+OK 30000 60000"
    assert len(client.ask_lines("UIDL")) == 30_000
    assert client.ask("LIST 30000") == "+OK 30000 2"
    assert memory_kib(reader) - before[0] < 24 * 1024
    assert memory_kib(scene.pop3.process.pid) - before[1] < 4 * 1024


def test_a_reader_that_dies_ends_its_sessions(scene: Scene) -> None:
    scene.deliver("1.a", b"x\n")
    client = scene.logged_in()
    assert client.ask("DELE 1") == "+OK Marked"
    (reader,) = children(scene.local.process.pid)
    os.kill(reader, signal.SIGKILL)
    wait_for(lambda: "mailbox reader mailboxes" in scene.log())
    assert client.ask("RETR 1") == "-ERR The message is deleted"
    assert client.ask("LIST 1") == "-ERR The message is deleted"
    assert client.ask("QUIT").startswith("-ERR [SYS/TEMP]")
    assert client.line() == ""
    assert os.listdir(scene.maildir() / "new") == ["1.a"]
    assert scene.logged_in().ask("STAT") == "+OK 1 2", "another is started"


def test_garbage_ends_the_session(scene: Scene) -> None:
    client = scene.client()
    client.send("GET / HTTP/1.1\r\n" * 25)
    assert list(iter(client.line, ""))[-1] == "-ERR Too many faulty commands"


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def memory_kib(pid: int) -> int:
    """Return the most that a process ever had in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def is_blocked(pid: int) -> bool:
    """Tell whether a process sleeps: it has sent what the socket holds."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
