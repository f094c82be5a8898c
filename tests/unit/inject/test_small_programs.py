"""What the stories of `tests/transcripts/programs` cannot stage: accounts, connections, the clock, syslog."""

import os
import shutil
import socket
import struct
import subprocess
import syslog
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from paperpath.cli.main import main as paperpath
from paperpath.cli.programs import PROGRAMS, script
from paperpath.inject import checkpassword, maildirwatch, qbiff, qmail_getpw, splogger, tcp_env, tcpto
from paperpath.system.users import User

OWN_UID = os.getuid() or 4321


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, User]:
    """Accounts with homes of their own, in place of the system's."""
    found: dict[str, User] = {}
    for name in ("joe", "joe-b", "alias"):
        home = tmp_path / name
        home.mkdir()
        if not os.getuid():
            os.chown(home, OWN_UID, -1)
        found[name] = User(name, OWN_UID, 20, str(home))
    monkeypatch.setattr(qmail_getpw, "find_user", found.get)
    return found


@pytest.mark.parametrize(
    ("local", "user", "dash", "extension"),
    [
        ("joe", "joe", "", ""),
        ("JOE", "joe", "", ""),
        ("joe-B", "joe-b", "", ""),
        ("joe-b-c", "joe-b", "-", "c"),
        ("Joe-X-y", "joe", "-", "X-y"),
        ("joebob", "alias", "-", "joebob"),
        ("nobody-here", "alias", "-", "nobody-here"),
        ("", "alias", "-", ""),
    ],
)
def test_getpw_finds_the_longest_account(
    accounts: dict[str, User],
    capfdbinary: pytest.CaptureFixture[bytes],
    local: str,
    user: str,
    dash: str,
    extension: str,
) -> None:
    assert qmail_getpw.main(["qmail-getpw", local]) == 0
    fields = [user, str(OWN_UID), "20", accounts[user].home, dash, extension]
    assert capfdbinary.readouterr().out == "".join(f"{field}\0" for field in fields).encode()


def test_getpw_without_an_alias_user(accounts: dict[str, User]) -> None:
    del accounts["alias"]
    assert qmail_getpw.main(["qmail-getpw", "nobody"]) == 116


def test_getpw_without_a_user_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> User | None:
        raise OSError(5, "no answer", name)

    monkeypatch.setattr(qmail_getpw, "find_user", fail)
    assert qmail_getpw.main(["qmail-getpw", "joe"]) == 118


def test_getpw_with_a_home_that_cannot_be_told(accounts: dict[str, User], tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    accounts["joe"] = User("joe", OWN_UID, 20, str(loop))
    assert qmail_getpw.main(["qmail-getpw", "joe"]) == 115


def test_tcpto_tells_each_host() -> None:
    records = [b"\x0a\0\0\x01" + b"\x02\0\0\0" + (1000).to_bytes(4, "little") + bytes(4), bytes(16)]
    records.append(b"\xc0\xa8\0\xff" + b"\x0a\0\0\0" + (990).to_bytes(4, "little") + bytes(4) + b"half")
    assert tcpto.describe(b"".join(records), 1010).decode().splitlines() == [
        "10.0.0.1 timed out 10 seconds ago; # recent timeouts: 2",
        "192.168.0.255 timed out 20 seconds ago; # recent timeouts: 10",
    ]


def test_splogger_cuts_and_cleans() -> None:
    line = b"x" * 799 + b"\t\xff" + b"y" * 800
    found = list(splogger.entries(line, 1_700_000_000_000_042))
    rest = "??" + "y" * 800
    stamp = "1700000000.000042"
    assert found == [f"{stamp} {'x' * 799}", f"{stamp}+{rest[:799]}", f"{stamp}+{rest[799:]}"]
    assert list(splogger.entries(b"", 1)) == []


def test_splogger_writes_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[tuple[object, ...]] = []
    written: list[tuple[int, str]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *words: opened.append(words))
    monkeypatch.setattr(syslog, "syslog", lambda priority, text: written.append((priority, text.split(" ", 1)[1])))
    pieces = [b"status: 1\nwarn", b"ing: two\n\nalert: three\nlast", b""]
    read = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, most: read(descriptor, most) if descriptor else pieces.pop(0))
    assert splogger.main(["splogger", "qmail", "3"]) == 0
    assert opened == [("qmail", 0, syslog.LOG_DAEMON)]
    assert written == [
        (syslog.LOG_INFO, "status: 1"),
        (syslog.LOG_WARNING, "warning: two"),
        (syslog.LOG_ALERT, "alert: three"),
        (syslog.LOG_INFO, "last"),
    ]


@pytest.mark.parametrize(
    ("answer", "info"),
    [
        (b"6191, 23 : USERID : UNIX : st jo\thns\r\nmore", "stjohns"),
        (b"6191,23:USERID:OTHER:a:b", "a:b"),
        (b"6195, 23 : ERROR : NO-USER\r\n", ""),
        (b"", ""),
    ],
)
def test_ident(answer: bytes, info: str) -> None:
    assert tcp_env.info(answer) == info


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs") / "bin"
    assert CliRunner().invoke(paperpath, ["programs", str(folder)]).exit_code == 0
    return folder


def test_tcp_env_tells_both_ends(programs: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted = server.accept()[0]
        with accepted:
            words = [str(programs / "tcp-env"), "-R", "env"]
            environment = {"PATH": os.environ["PATH"], "TCPREMOTEINFO": "stale"}
            done = subprocess.run(words, stdin=accepted.fileno(), env=environment, capture_output=True, text=True)
        ends = server.getsockname(), client.getsockname()
    assert done.returncode == 0, done.stderr
    found = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert found["PROTO"] == "TCP" and "TCPREMOTEINFO" not in found
    for side, (address, port) in zip(("LOCAL", "REMOTE"), ends, strict=True):
        assert (found[f"TCP{side}IP"], found[f"TCP{side}PORT"]) == (address, str(port))


def test_maildirwatch_describes() -> None:
    message = (
        b"Return-Path: <a@x.ex>\nDelivered-To: joe\x07@h.ex\nFROM: A\xff <a@x.ex>\n"
        b"Subject: one\n two\n\nbody\n" + b"z" * 200
    )
    text = "one/ two//body/"
    assert maildirwatch.describe(message).decode() == (
        "FROM <a@x.ex> TO <joe?@h.ex>\n\x1b[1mFROM: A/ <a@x.ex>\x1b[0m\n" + text + "z" * (158 - len(text)) + "\n\n"
    )
    assert maildirwatch.describe(b"\nx\n") == b"FROM ? TO <?>\n/x/\n\n"


def test_maildirwatch_shows_until_killed(programs: Path, tmp_path: Path) -> None:
    for name in ("tmp", "new", "cur"):
        (tmp_path / name).mkdir()
    (tmp_path / "new" / "a").write_text("Subject: hello\n\n")
    os.utime(tmp_path / "new" / "a", (1, 1))
    environment = {"PATH": os.environ["PATH"], "MAILDIR": str(tmp_path)}
    with subprocess.Popen([programs / "maildirwatch"], env=environment, stdout=subprocess.PIPE) as watching:
        assert watching.stdout is not None
        shown = watching.stdout.readline() + watching.stdout.readline()
        watching.kill()
    assert shown == b"\x1b[;H\x1b[;JFROM ? TO <?>\nhello//\n"


@pytest.fixture(scope="module")
def host() -> Iterator[Path]:
    """A configuration with one account, in a folder that any user may go through."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    try:
        words = ["init", str(folder / "p"), "--hostname", "mx.here.test", "--account", "joe@here.test"]
        result = CliRunner().invoke(paperpath, [*words, "--listen", "smtp=127.0.0.1:2525"])
        assert result.exit_code == 0, result.output
        config = str(folder / "p" / "paperpath.toml")
        words = ["account", "password", "joe@here.test", "--password", "right", "--config", config]
        result = CliRunner().invoke(paperpath, words)
        assert result.exit_code == 0, result.output
        if not os.getuid():
            for path in [folder / "p", *(folder / "p").rglob("*")]:
                if "mail" in path.parts:
                    os.chown(path, OWN_UID, OWN_UID)
                path.chmod(0o755)
        yield folder / "p"
    finally:
        shutil.rmtree(folder)


def login(programs: Path, host: Path, said: bytes, *program: str) -> "subprocess.CompletedProcess[bytes]":
    """Run checkpassword with ``said`` on descriptor 3."""
    (host / "login").write_bytes(said)
    environment = {"PATH": os.environ["PATH"], "PAPERPATH_CONFIG": str(host / "paperpath.toml")}
    words = ["sh", "-c", f'exec {programs}/checkpassword "$@" 3<{host}/login', "sh", *program]
    return subprocess.run(words, env=environment, capture_output=True)


def test_checkpassword_goes_to_the_account(programs: Path, host: Path) -> None:
    show = 'pwd; id -u; id -G; echo "$USER $HOME $SHELL"; cat <&3'
    done = login(programs, host, b"JOE@here.test\0right\0<1.2@h>\0", "sh", "-c", show)
    assert done.returncode == 0, done.stderr
    folder = host / "state" / "mail" / "here.test" / "joe"
    gid = OWN_UID if not os.getuid() else os.getgid()
    expected = f"{folder}\n{OWN_UID}\n{gid}\njoe@here.test {folder} /bin/sh\n"
    if os.getuid():
        assert done.stdout.decode().splitlines()[::3] == expected.splitlines()[::3]
    else:
        assert done.stdout.decode() == expected


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"joe@here.test\0wrong\0<>\0", 1),
        (b"joe@here.test\0\0<>\0", 1),
        (b"ann@here.test\0right\0<>\0", 1),
        (b"../joe@here.test\0right\0<>\0", 1),
        (b"joe@here.test\0right" + b"x" * 512 + b"\0", 1),
        (b"joe@here.test\0right", 2),
        (b"", 2),
    ],
)
def test_checkpassword_refuses(programs: Path, host: Path, said: bytes, code: int) -> None:
    done = login(programs, host, said, "sh", "-c", "echo in")
    assert (done.returncode, done.stdout) == (code, b"")


def test_checkpassword_without_its_program_or_its_accounts(programs: Path, host: Path, tmp_path: Path) -> None:
    said = b"joe@here.test\0right\0<>\0"
    assert login(programs, host, said, "no-such-program-here").returncode == 111
    assert checkpassword.main(["checkpassword"]) == 2
    words = ["sh", "-c", f"exec {programs}/checkpassword true 3<{host}/login"]
    environment = {"PATH": os.environ["PATH"], "PAPERPATH_CONFIG": str(tmp_path / "none.toml")}
    assert subprocess.run(words, env=environment, capture_output=True).returncode == 111


def test_every_program_has_its_module() -> None:
    for name, program in PROGRAMS.items():
        assert f"paperpath.inject.{program.module} import main" in script(program), name


def test_qbiff_describes() -> None:
    message = b"From: x\nSubject: hi\x07\n\n" + b"b" * 100
    lines = b"*** TO <joe> FROM <a_b@x.ex>", b"    hi///" + b"b" * 69
    assert qbiff.describe(message, b"joe", b"a\x1bb@x.ex") == b"\r\n\a" + lines[0] + b"\r\n" + lines[1] + b"\r\n"


def test_qbiff_finds_terminals() -> None:
    def record(kind: int, line: bytes, user: bytes) -> bytes:
        return struct.pack("h2xi32s4s32s256s52x", kind, 1, line, b"", user, b"")

    logins = [(7, b"pts/1", b"joe"), (7, b"pts/2", b"ann"), (8, b"pts/3", b"joe"), (7, b"../x", b"joe")]
    logins += [(7, b"/etc/x", b"joe"), (7, b"", b"joe"), (7, b"tty1", b"joe")]
    utmp = b"".join(record(*login) for login in logins)
    assert len(utmp) == 384 * len(logins)
    assert list(qbiff.terminals(utmp, b"joe")) == [b"pts/1", b"tty1"]
    assert list(qbiff.terminals(utmp[:-1], b"joe")) == [b"pts/1"]
