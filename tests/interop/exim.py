"""A private Exim, in a folder and on a port of its own, that sends all it takes to one address of another server.

Debian's Exim reads its configuration from /etc alone if it is to run as anything but its caller, and cannot be
installed beside Postfix.  So it is unpacked somewhere, and sees an /etc that is made for it, in a mount namespace of
its own.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.peers import require_peer, require_root
from tests.service import PATIENCE_S, free_port

_UID: Final = 64_125
_CONF: Final = """\
exim_path = {program}
spool_directory = {folder}/spool
log_file_path = {folder}/log/%s
primary_hostname = mx.exim.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
acl_smtp_rcpt = accept
acl_smtp_data = accept
tls_advertise_hosts =
never_users =
keep_environment =
prdr_enable = false
smtp_accept_max = 50
smtp_accept_queue_per_connection = 0

begin acl

begin routers
hand_on:
  driver = redirect
  domains = exim.test
  data = {to}
send:
  driver = manualroute
  transport = smtp
  route_list = * 127.0.0.1
  self = send

begin transports
smtp:
  driver = smtp
  port = {to_port}

begin retry
* * F,1h,1m
"""


@dataclass(frozen=True, slots=True)
class Exim:
    """One that runs."""

    port: int
    folder: Path

    @property
    def route(self) -> str:
        """The next hop to it, for ``[routes]``."""
        return f"smtp://127.0.0.1:{self.port}"

    def log(self) -> str:
        """Return what it logged so far."""
        file = self.folder / "log" / "main"
        return file.read_text() if file.exists() else ""


@contextmanager
def running_exim(*, to: str, to_port: int) -> Iterator[Exim]:
    """Run one that passes mail for ``exim.test`` on as mail for ``to``, and all mail to a port of the loopback."""
    require_root()
    program, unshare = require_peer("exim4"), require_peer("unshare")
    folder, port = Path(tempfile.mkdtemp(prefix="ex", dir="/tmp")), free_port()
    folder.chmod(0o755)
    try:
        _write(folder, _CONF.format(folder=folder, port=port, program=program, to=to, to_port=to_port))
        script = f"mount --bind {folder}/etc /etc && exec {program} -bdf -q1h"
        with subprocess.Popen(
            [unshare, "-m", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as daemon:
            try:
                _wait_for(port, daemon)
                yield Exim(port, folder)
            finally:
                daemon.terminate()
                daemon.wait(PATIENCE_S)
    except BaseException:
        print(f"Exim logged\n{Exim(port, folder).log()}")
        raise
    finally:
        shutil.rmtree(folder)


def _write(folder: Path, configuration: str) -> None:
    etc = folder / "etc"
    (etc / "exim4").mkdir(parents=True)
    (etc / "exim4" / "exim4.conf").write_text(configuration)
    for name in ("nsswitch.conf", "hosts", "resolv.conf", "services", "protocols", "ld.so.cache", "localtime"):
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", etc / name)
    for name, line in (
        ("passwd", f"Debian-exim:x:{_UID}:{_UID}::/nonexistent:/bin/false"),
        ("group", f"Debian-exim:x:{_UID}:"),
    ):
        (etc / name).write_text(Path(f"/etc/{name}").read_text() + line + "\n")
    for name in ("spool", "log"):
        (folder / name).mkdir()
        os.chown(folder / name, _UID, _UID)


def _wait_for(port: int, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until it greets: a connection made before it listens is refused, so this asks again."""
    for _ in range(int(PATIENCE_S * 50)):
        assert daemon.poll() is None, "Exim ended"
        try:
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as probe:
                assert probe.recv(3) == b"220"
                return
        except ConnectionRefusedError:
            try:
                daemon.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
    raise AssertionError("Exim did not begin")
