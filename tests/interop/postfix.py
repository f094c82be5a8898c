"""A private Postfix, in a folder and on a port of its own.  The machine's Postfix is neither used nor touched."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.peers import require_peer, require_root
from tests.service import PATIENCE_S, free_port

DOMAIN: Final = "postfix.test"

_MASTER: Final = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

_MAIN: Final = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/maillog
maillog_file_prefixes = {folder}
myhostname = mx.postfix.test
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
smtp_dns_support_level = disabled
smtpd_tls_security_level = none
smtp_tls_security_level = none
virtual_alias_domains = postfix.test
virtual_alias_maps = inline:{{ {aliases} }}
transport_maps = inline:{{ {transports} }}
"""


@dataclass(frozen=True, slots=True)
class Postfix:
    """A Postfix that runs."""

    port: int
    folder: Path

    @property
    def route(self) -> str:
        """The next hop to it, for ``[routes]``."""
        return f"smtp://127.0.0.1:{self.port}"

    def log(self) -> str:
        """Return what it logged so far."""
        file = self.folder / "maillog"
        return file.read_text() if file.exists() else ""


@contextmanager
def running_postfix(*, aliases: dict[str, str], relays: Mapping[str, int | str], more: str = "") -> Iterator[Postfix]:
    """Run one that forwards ``aliases`` of its domain and relays domains to ports of the loopback, or as a
    transport says.

    ``more`` stands at the end of its main.cf, where it wins.
    """
    require_root()
    program = require_peer("postfix")
    folder, port = Path(tempfile.mkdtemp(prefix="pf", dir="/tmp")), free_port()
    try:
        _write(folder, port, aliases, relays, more)
        _run(program, folder, "start")
        yield Postfix(port, folder)
    except BaseException:
        print(f"Postfix logged\n{Postfix(port, folder).log()}")
        raise
    finally:
        _stop(folder)
        shutil.rmtree(folder)


def _write(folder: Path, port: int, aliases: dict[str, str], relays: Mapping[str, int | str], more: str) -> None:
    folder.chmod(0o755)
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    alias_map = ", ".join(f"{{ {name} = {target} }}" for name, target in aliases.items())
    transport_map = ", ".join(f"{{ {domain} = {_transport(to)} }}" for domain, to in relays.items())
    main = _MAIN.format(folder=folder, aliases=alias_map, transports=transport_map)
    (folder / "etc" / "main.cf").write_text(main + more)
    (folder / "etc" / "master.cf").write_text(_MASTER.format(port=port))


def _transport(to: int | str) -> str:
    return to if isinstance(to, str) else f"smtp:[127.0.0.1]:{to}"


def _run(program: Path, folder: Path, verb: str) -> None:
    words = [str(program), "-c", str(folder / "etc"), verb]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE_S)
    log = folder / "maillog"
    assert done.returncode == 0, f"{done.stderr}\n{log.read_text() if log.exists() else ''}"


def _stop(folder: Path) -> None:
    """End its master, and with that everything: each of its processes watches a pipe that the master holds."""
    try:
        master = int((folder / "queue" / "pid" / "master.pid").read_text())
    except OSError:
        return
    watch = os.pidfd_open(master)
    try:
        signal.pidfd_send_signal(watch, signal.SIGTERM)
        ready, _, _ = select.select([watch], [], [], PATIENCE_S)
        assert ready, "Postfix did not end"
    finally:
        os.close(watch)
