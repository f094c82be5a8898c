"""A private Dovecot that takes mail by LMTP and hands some of it on, or that judges logins before a submission service.
The machine's own is left alone."""

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.peers import require_peer, require_root
from tests.service import PATIENCE_S, free_port

_CONF: Final = """\
base_dir = {folder}/run
protocols = lmtp
log_path = {folder}/log
ssl = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
auth_username_format = %Lu
lmtp_proxy = yes
quota_full_tempfail = yes
passdb {{
  driver = passwd-file
  args = {folder}/passdb
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
plugin {{
  quota = count:User quota
  quota_vsizes = yes
}}
mail_plugins = quota
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""

_FRONT: Final = """\
base_dir = {folder}/run
protocols = submission
log_path = {folder}/log
ssl = no
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%n
passdb {{
  driver = passwd-file
  args = {folder}/passdb
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {behind}
submission_relay_trusted = yes
service submission-login {{
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """One that runs."""

    port: int
    folder: Path

    @property
    def socket(self) -> str:
        """Where it takes mail on a Unix socket."""
        return str(self.folder / "lmtp")

    def messages(self, user: str) -> list[bytes]:
        """Return the mail of a user."""
        return [path.read_bytes() for path in sorted((self.folder / "mail" / user / "new").iterdir())]


@contextmanager
def running_dovecot(*, users: Sequence[str], full: Sequence[str] = (), hands_on: dict[str, int]) -> Iterator[Dovecot]:
    """Run one with these users; those that are ``full`` have room for one message; mail for ``hands_on`` goes to LMTP
    servers on these ports."""
    require_root()
    require_peer("/usr/lib/dovecot/lmtp")
    folder, port = Path(tempfile.mkdtemp(prefix="dc", dir="/tmp")), free_port()
    folder.chmod(0o755)
    _write(folder, port, users, full, hands_on)
    with _running(folder, folder / "lmtp"):
        yield Dovecot(port, folder)


@contextmanager
def running_front(*, passwords: Mapping[str, str], behind: int) -> Iterator[int]:
    """Run one that lets these users log in and hands what they send to a submission service, with XCLIENT; yields its
    port."""
    require_root()
    require_peer("/usr/lib/dovecot/submission")
    folder, port = Path(tempfile.mkdtemp(prefix="dc", dir="/tmp")), free_port()
    folder.chmod(0o755)
    (folder / "mail").mkdir()
    (folder / "mail").chmod(0o777)
    (folder / "conf").write_text(_FRONT.format(folder=folder, port=port, behind=behind))
    (folder / "passdb").write_text("".join(f"{user}:{{PLAIN}}{word}\n" for user, word in passwords.items()))
    with _running(folder, folder / "run" / "master.pid"):
        yield port


@contextmanager
def _running(folder: Path, ready: Path) -> Iterator[None]:
    """Run Dovecot with the ``conf`` of this folder, and take the folder away."""
    try:
        words = [str(require_peer("dovecot")), "-F", "-c", str(folder / "conf")]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as master:
            try:
                _wait_for(ready, folder, master)
                yield
            finally:
                _stop(master)
    except BaseException:
        log = folder / "log"
        print(f"Dovecot logged\n{log.read_text() if log.exists() else ''}")
        raise
    finally:
        shutil.rmtree(folder)


def _write(folder: Path, port: int, users: Sequence[str], full: Sequence[str], hands_on: dict[str, int]) -> None:
    (folder / "mail").mkdir()
    (folder / "mail").chmod(0o777)
    (folder / "conf").write_text(_CONF.format(folder=folder, port=port))
    lines = [f"{user}::mail:mail::{folder}/mail::\n" for user in users]
    lines += [f"{user}::mail:mail::{folder}/mail::userdb_quota_rule=*:messages=1\n" for user in full]
    (folder / "users").write_text("".join(lines))
    passdb = [f"{user}:::::::proxy=y host=127.0.0.1 port={to} nopassword=y\n" for user, to in hands_on.items()]
    (folder / "passdb").write_text("".join(passdb))


def _wait_for(path: Path, folder: Path, master: subprocess.Popen[bytes]) -> None:
    """Wait until Dovecot listens: it writes its process id after that."""
    ready = folder / "run" / "master.pid"
    watch = os.pidfd_open(master.pid)
    try:
        for _ in range(int(PATIENCE_S * 50)):
            if ready.exists() and path.exists():
                return
            ended, _, _ = select.select([watch], [], [], 0.02)
            assert not ended, "Dovecot ended"
    finally:
        os.close(watch)
    raise AssertionError("Dovecot did not begin")


def _stop(master: subprocess.Popen[bytes]) -> None:
    """End it; its processes end with their master."""
    master.send_signal(signal.SIGTERM)
    master.wait(PATIENCE_S)
