"""A process of the service that has been taken over, played: it confines itself as the real one does, then tries all.

Run as root by tests/interop/test_hostile_processes.py: `hostile_process.py ROLE WANTED`, where WANTED is JSON with
files and folders, sockets, and ids of processes.  It starts itself again as the role's own user with the role's own
settings, by the same function that the real process begins with, and prints as JSON what was refused, each with the
kernel's word, and what was ``done``.
"""

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from paperpath.process import settings as kinds
from paperpath.process.child import Listeners, run_role
from paperpath.wire.frame import VERSION, Hello, encode
from paperpath.wire.supervision import Configure

SETTINGS = {
    "receive": kinds.ReceiveSettings,
    "queue": kinds.QueueSettings,
    "remote": kinds.RemoteSettings,
    "guard": kinds.GuardSettings,
    "auth": kinds.AuthSettings,
    "pop3": kinds.Pop3Settings,
}
_LISTENING_S = 1.0
"""Who is not wanted at a socket is hung up on at once."""

_libc = ctypes.CDLL(None, use_errno=True)
_PTRACE_ATTACH = 16
_CLONE_NEWUSER = 0x10000000


def attempt(action: Callable[..., object], *arguments: object) -> str:
    try:
        action(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    return "done"


def call(name: str, *arguments: object) -> None:
    ctypes.set_errno(0)
    if getattr(_libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


def read(path: str) -> None:
    if os.path.isdir(path):
        os.listdir(path)
    else:
        os.close(os.open(path, os.O_RDONLY))


def plant(path: str) -> None:
    folder = path if os.path.isdir(path) else os.path.dirname(path)
    os.close(os.open(os.path.join(folder, f"planted-{os.getpid()}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def change(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def talk(path: str) -> str:
    """Connect, and see whether one is hung up on."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_LISTENING_S)
        try:
            sock.connect(path)
            sock.sendall(encode(Hello(VERSION, "receive")))
            return "hung up" if not sock.recv(1) else "done"
        except TimeoutError:
            return "done"
        except OSError as error:
            return errno.errorcode.get(error.errno or 0, "OSError")


def starting() -> dict[str, str]:
    def fork() -> None:
        if not os.fork():
            os._exit(0)

    return {
        "fork": attempt(fork),
        "exec": attempt(os.execv, "/nonexistent/program", ["it"]),  # not even that much is said
        "posix_spawn": attempt(os.posix_spawn, "/bin/true", ["true"], {}),
        "subprocess": attempt(subprocess.run, ["/bin/true"]),
        "system": attempt(lambda: os.system("true") and (_ for _ in ()).throw(PermissionError(errno.EPERM, "system"))),
    }


def rising() -> dict[str, str]:
    return {
        "setuid": attempt(os.setuid, 0),
        "setgid": attempt(os.setgid, 0),
        "setgroups": attempt(os.setgroups, [0]),
        "chroot": attempt(os.chroot, "/tmp"),
        "mount": attempt(call, "mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "unshare": attempt(call, "unshare", _CLONE_NEWUSER),
        "chown": attempt(os.chown, "/etc/passwd", os.getuid(), -1),
    }


def reaching(pids: list[int]) -> dict[str, str]:
    found = {}
    for pid in pids:
        found[f"signal {pid}"] = attempt(os.kill, pid, 0)
        found[f"stop {pid}"] = attempt(os.kill, pid, signal.SIGCONT)
        found[f"trace {pid}"] = attempt(call, "ptrace", _PTRACE_ATTACH, pid, None, None)
        found[f"memory {pid}"] = attempt(lambda pid=pid: os.close(os.open(f"/proc/{pid}/mem", os.O_RDWR)))
        found[f"descriptors {pid}"] = attempt(os.listdir, f"/proc/{pid}/fd")
        found[f"environment {pid}"] = attempt(lambda pid=pid: os.close(os.open(f"/proc/{pid}/environ", os.O_RDONLY)))
    return found


def trials(wanted: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {
        "read": {path: attempt(read, path) for path in wanted["read"]},
        "plant": {path: attempt(plant, path) for path in wanted["plant"]},
        "change": {path: attempt(change, path) for path in wanted["change"]},
        "socket": {path: talk(path) for path in wanted["sockets"]},
        "start": starting(),
        "rise": rising(),
        "reach": reaching(wanted["processes"]),
    }


class Hostile:
    """In the place of the role: with its settings and confinement, and nothing of its manners."""

    def __init__(self, _log: object) -> None:
        pass

    async def configure(self, _settings: kinds.Common, _listeners: Listeners) -> None:
        """What a thread can do is tried in one: a filter that binds only the first would be worth little."""
        told: list[dict[str, dict[str, str]]] = []
        thread = threading.Thread(target=lambda: told.append(trials(json.loads(sys.argv[3]))))
        thread.start()
        thread.join()
        os.write(2, json.dumps(told[0]).encode() + b"\n")

    async def drain(self, _grace_s: float) -> None:
        pass


def play(role: str, wanted: str) -> None:
    """As root: start the hostile process as the supervisor would start the honest one, and print what it told."""
    from paperpath.config.load import load
    from paperpath.supervise.plan import make_plan
    from paperpath.system.users import find_user

    part = next(part for part in make_plan(load("/etc/paperpath/paperpath.toml"), 2).parts if part.role == role)
    user = find_user(part.user or "")
    assert user is not None
    ours, theirs = socket.socketpair()
    child = subprocess.Popen(
        [sys.executable, "-I", __file__, str(theirs.fileno()), role, wanted],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[theirs.fileno()],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
        user=user.uid,
        group=user.gid,
        extra_groups=[user.gid],
        start_new_session=True,
    )
    theirs.close()
    with contextlib.closing(ours):
        ours.sendall(encode(Configure(part.settings)))
        assert child.stderr is not None
        sys.stdout.write(child.stderr.readline().decode())
    child.wait(30)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        play(sys.argv[1], sys.argv[2])
    else:
        run_role(sys.argv[2], SETTINGS[sys.argv[2]], Hostile)  # type: ignore[arg-type]
