"""A real `pop3` and a real `local` with its readers, and a stand-in for `auth` that knows two accounts."""

import os
import pwd
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from paperpath.process.passes import PASS_KEY_BYTES, PASS_NONCE_BYTES, make_pass
from paperpath.process.settings import Instructions, LocalSettings, Pop3Settings
from paperpath.system.clock import now
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.logins import Challenge, FromLoginClient, LoggedIn, Login, LoginRefused, Respond
from paperpath.wire.supervision import Configure, Drain, FromChild, Listener, Ready

ME = pwd.getpwuid(os.geteuid()).pw_name
KEY = bytes(range(PASS_KEY_BYTES))
PATIENCE_S = 30
PASSWORDS = {b"joe@box.test": b"secret", b"sue@box.test": b"hidden"}
_decode_login = msgspec.msgpack.Decoder(FromLoginClient).decode


class Auth:
    """Judges logins over `wire.logins`, as `auth` does: PLAIN, APOP that it takes from anybody who is known, and
    ASK, a mechanism that asks for the name and has last words."""

    def __init__(self, path: Path) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen()
        self.seen: list[Login] = []
        self._talks: list[socket.socket] = []
        self.passes: dict[str, bytes] = {}
        """What is given out in place of a good pass."""
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self._talks.append(sock)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def hang_up(self) -> None:
        """End all conversations."""
        for sock in self._talks:
            sock.shutdown(socket.SHUT_RDWR)

    def _talk(self, sock: socket.socket) -> None:
        frames = FrameBuffer()
        asked: dict[int, bytes] = {}
        with sock:
            while data := sock.recv(65536):
                for body in frames.feed(data):
                    frame = _decode_login(body)
                    if isinstance(frame, Login):
                        self.seen.append(frame)
                    if isinstance(frame, Login | Respond):
                        sock.sendall(encode(self._answer(frame, asked)))

    def _answer(self, frame: Login | Respond, asked: dict[int, bytes]) -> msgspec.Struct:
        if isinstance(frame, Respond):
            return self._known(frame.ticket, frame.response, b"last words")
        if frame.mechanism.startswith("ASK"):
            return Challenge(frame.ticket, b"who?")
        words = (frame.initial or b"").split(b"\0")
        if frame.mechanism == "APOP":
            return self._known(frame.ticket, words[1], b"")
        if words[1] == b"later":
            return LoginRefused(frame.ticket, "the database is away", temporary=True)
        if PASSWORDS.get(words[1]) != words[2]:
            return LoginRefused(frame.ticket, "wrong password", temporary=False)
        return self._known(frame.ticket, words[1], b"")

    def _known(self, ticket: int, name: bytes, last: bytes) -> msgspec.Struct:
        account = name.decode()
        good = make_pass(KEY, account, now=now(), nonce=bytes(PASS_NONCE_BYTES))
        return LoggedIn(ticket, account, (), last, self.passes.get(account, good))


class Child:
    """A process of ours, started and told its settings as the supervisor does."""

    def __init__(
        self,
        role: str,
        listeners: dict[str, socket.socket],
        settings: msgspec.Struct,
        log: Any = None,
        *,
        script: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.control, theirs = socket.socketpair()
        self.control.settimeout(PATIENCE_S)
        number = theirs.fileno()
        what = ["-m", f"paperpath.{role}"] if script is None else [str(script)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", *what, str(number)],
            pass_fds=[number],
            start_new_session=True,
            stderr=log,
            cwd="/",
            user=user,
            extra_groups=None if user is None else [],
        )
        theirs.close()
        self.listeners = listeners
        self.configure(settings)

    def configure(self, settings: msgspec.Struct) -> None:
        for name, sock in self.listeners.items():
            socket.send_fds(self.control, [encode(Listener(name))], [sock.fileno()])
        self.control.sendall(encode(Configure(msgspec.msgpack.encode(settings))))
        frames = FrameBuffer()
        (body,) = frames.feed(self.control.recv(65536))
        answer = msgspec.msgpack.decode(body, type=FromChild)
        assert answer == Ready(), answer

    def drain(self, grace_s: float = 5.0) -> None:
        self.control.sendall(encode(Drain(grace_s)))

    def end(self) -> None:
        self.control.close()
        self.process.kill()
        self.process.wait()


@dataclass
class Scene:
    """All of it."""

    folder: Path
    auth: Auth
    local: Child
    pop3: Child
    port: int
    log_file: Path
    tls_port: int = 0
    """Of pop3s, where there is TLS."""
    open: list["Client"] = field(default_factory=list)

    def home(self, name: str) -> Path:
        return self.folder / "mail/box.test" / name

    def maildir(self, name: str = "joe") -> Path:
        return self.home(name) / "Maildir"

    def deliver(self, name: str, content: bytes, where: str = "joe", cur: bool = False) -> Path:
        path = self.maildir(where) / ("cur" if cur else "new") / name
        path.write_bytes(content)
        return path

    def client(self, before: str = "") -> "Client":
        self.open.append(Client(self.port, before=before))
        return self.open[-1]

    def tls_client(self, context: ssl.SSLContext, before: str = "") -> "Client":
        self.open.append(Client(self.tls_port, context, before))
        return self.open[-1]

    def logged_in(self, name: str = "joe") -> "Client":
        client = self.client()
        assert client.ask(f"USER {name}@box.test").startswith("+OK")
        reply = client.ask("PASS " + PASSWORDS[f"{name}@box.test".encode()].decode())
        assert reply.startswith("+OK"), reply
        return client

    def log(self) -> str:
        return self.log_file.read_text()


class Client:
    """A client that sends what it is told."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, before: str = "") -> None:
        """``before``: sent first, in clear."""
        self.sock = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self.sock.sendall(before.encode())
        if context is not None:
            self.sock = context.wrap_socket(self.sock, server_hostname="mx.box.test")
        self.file = self.sock.makefile("rb")
        self.greeting = self.line()

    def shake_hands(self, context: ssl.SSLContext) -> None:
        """Go over to TLS: what was read of it so far is nothing."""
        self.file.close()
        self.sock = context.wrap_socket(self.sock, server_hostname="mx.box.test")
        self.file = self.sock.makefile("rb")

    def line(self) -> str:
        """Return the next line; empty at the end of the connection."""
        return self.file.readline().decode().removesuffix("\r\n")

    def lines(self) -> list[str]:
        """Return the lines up to the dot."""
        return list(iter(self.line, "."))

    def send(self, text: str) -> None:
        self.sock.sendall(text.encode())

    def ask(self, command: str) -> str:
        self.send(command + "\r\n")
        return self.line()

    def ask_lines(self, command: str) -> list[str]:
        reply = self.ask(command)
        assert reply.startswith("+OK"), reply
        return self.lines()

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def wait_for(look: Callable[[], bool]) -> None:
    """Wait until ``look`` returns True: for another process to have done something."""
    end = time.monotonic() + PATIENCE_S
    while not look():
        assert time.monotonic() < end
        os.sched_yield()


def make_maildir(home: Path) -> Path:
    for name in ("tmp", "new", "cur"):
        (home / "Maildir" / name).mkdir(parents=True)
    return home / "Maildir"


def local_settings(folder: Path, **changes: Any) -> LocalSettings:
    values: dict[str, Any] = {
        "hostname": "mx.box.test",
        "run": str(folder),
        "log_as_json": False,
        "change_user": False,
        "mail": str(folder / "mail"),
        "mail_user": ME,
        "mailbox_domains": frozenset({b"box.test"}),
        "instructions": Instructions(default_delivery="./Maildir/", program_timeout_s=60),
        "lookup_users": (),
        "worker_users": (),
        "pass_key": KEY,
    }
    return LocalSettings(**(values | changes))


def pop3_settings(folder: Path, **changes: Any) -> Pop3Settings:
    values: dict[str, Any] = {
        "hostname": "mx.box.test",
        "run": str(folder),
        "log_as_json": False,
        "mechanisms": ("PLAIN", "APOP", "ASK"),
        "plain_in_clear": "loopback",
        "sessions_most": 100,
        "sessions_per_address": 50,
        "timeout_s": 600,
    }
    return Pop3Settings(**(values | changes))


def unix_listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


@contextmanager
def playing(folder: Path, *, local: dict[str, Any] | None = None, **changes: Any) -> Iterator[Scene]:
    """Run everything in ``folder``, which needs a short path; end it in any case."""
    for name in ("joe", "sue"):
        make_maildir(folder / "mail/box.test" / name)
    log_file = folder / "log"
    with ExitStack() as stack:
        log = stack.enter_context(log_file.open("wb"))
        auth = Auth(folder / "auth")
        stack.callback(auth.listener.close)
        doors = {"mailboxes": stack.enter_context(unix_listener(folder / "local.mailboxes"))}
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        child = Child("local", doors, local_settings(folder, **(local or {})), log)
        stack.callback(child.end)
        listeners = {"pop3 127.0.0.1:0": tcp}
        if changes.get("tls") is not None:
            listeners["pop3s 127.0.0.1:0"] = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pop3 = Child("pop3", listeners, pop3_settings(folder, **changes), log)
        stack.callback(pop3.end)
        ports = [sock.getsockname()[1] for sock in listeners.values()]
        scene = Scene(folder, auth, child, pop3, ports[0], log_file, ports[-1])
        try:
            yield scene
        finally:
            for client in scene.open:
                client.close()
        assert "process.broken" not in scene.log(), scene.log()
