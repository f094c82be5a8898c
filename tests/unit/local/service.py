"""A real `local` with its workers, and conversations with both, for tests: plain blocking sockets."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paperpath.process.settings import Instructions, LocalSettings
from paperpath.wire.accounts import Account, FromLocal
from paperpath.wire.delivery import FromAgent, Job, Target
from paperpath.wire.frame import encode
from paperpath.wire.supervision import Configure, Drain, FromChild, Listener, Ready


def require_interpreter_for_others() -> None:
    """Skip the test where other users cannot run this interpreter, which may lie in root's home."""
    command = [sys.executable, "-I", "-c", "import paperpath"]
    try:
        subprocess.run(command, user="nobody", check=True, capture_output=True, cwd="/")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("other users may not run this interpreter")


class Talk:
    """One end of a conversation in frames."""

    def __init__(self, sock: socket.socket, types: Any) -> None:
        self.sock = sock
        self._decode = msgspec.msgpack.Decoder(types).decode
        self._data = b""
        self.descriptors: list[int] = []
        self.workers: list[Talk] = []

    def close(self) -> None:
        for talk in self.workers:
            talk.close()
        self.sock.close()

    def send(self, frame: msgspec.Struct, descriptor: int | None = None) -> None:
        socket.send_fds(self.sock, [encode(frame)], [] if descriptor is None else [descriptor])

    def receive(self) -> Any:
        """Return the next frame; EOFError at the end."""
        while len(self._data) < 4 or len(self._data) < 4 + int.from_bytes(self._data[:4], "big"):
            data, descriptors, _, _ = socket.recv_fds(self.sock, 65536, 4)
            self.descriptors += descriptors
            if not data:
                raise EOFError
            self._data += data
        end = 4 + int.from_bytes(self._data[:4], "big")
        body, self._data = self._data[4:end], self._data[end:]
        return self._decode(body)

    def ask(self, frame: msgspec.Struct) -> Any:
        self.send(frame)
        return self.receive()


@dataclass
class Service:
    """A running `local` root half."""

    folder: Path
    process: "subprocess.Popen[bytes]"
    control: Talk
    talks: list[Talk] = field(default_factory=list)

    def connect(self, name: str) -> Talk:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(30)
        sock.connect(str(self.folder / name))
        self.talks.append(Talk(sock, FromLocal))
        return self.talks[-1]

    def drain(self) -> int:
        self.control.send(Drain(5.0))
        return self.process.wait(30)


@contextmanager
def running(folder: Path, settings: LocalSettings) -> Iterator[Service]:
    """Start `local` as the supervisor does, with its listeners in ``folder``; end it in any case."""
    ours, theirs = socket.socketpair()
    ours.settimeout(30)
    number = theirs.fileno()
    command = [sys.executable, "-I", "-m", "paperpath.local", str(number)]
    process = subprocess.Popen(command, pass_fds=[number], start_new_session=True)
    theirs.close()
    control = Talk(ours, FromChild)
    try:
        for name in ("lookup", "workers"):
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(folder / name))
                os.chmod(folder / name, 0o666)
                listener.listen()
                control.send(Listener(name), listener.fileno())
        control.send(Configure(msgspec.msgpack.encode(settings)))
        assert control.receive() == Ready()
        yield (service := Service(folder, process, control))
        for talk in service.talks:
            talk.close()
    finally:
        ours.close()
        process.kill()
        process.wait()


def settings(mail: Path, user: str, **changes: Any) -> LocalSettings:
    """Settings with one mailbox domain, ``box.test``."""
    values: dict[str, Any] = {
        "hostname": "mx.box.test",
        "run": "/nowhere",
        "log_as_json": False,
        "change_user": False,
        "mail": str(mail),
        "mail_user": user,
        "mailbox_domains": frozenset({b"box.test"}),
        "instructions": Instructions(default_delivery="./Maildir/", program_timeout_s=60),
        "lookup_users": (),
        "worker_users": (),
    }
    return LocalSettings(**(values | changes))


def worker_talk(talk: Talk) -> Talk:
    """Return the conversation with the worker whose descriptor came with the last frame."""
    sock = socket.socket(fileno=talk.descriptors.pop())
    sock.settimeout(30)
    talk.workers.append(Talk(sock, FromAgent))
    return talk.workers[-1]


def job(number: int, account: Account, content: bytes = b"Subject: x\n\nhello\n", **changes: Any) -> Job:
    """A job with one target."""
    values: dict[str, Any] = {
        "job": number,
        "message": number,
        "sender": b"from@else.test",
        "targets": (Target(0, b"joe@box.test", account),),
        "trace": b"Received: somehow\n",
        "content": content,
        "size": len(content),
        "destination": "",
        "route": "",
    }
    return Job(**(values | changes))
