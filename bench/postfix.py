"""A private Postfix: its Debian package's defaults, in folders of its own; only ports and destinations differ.

The machine's own Postfix, if there is one, is neither used nor touched.
"""

import os
import pwd
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.dovecot import judging_logins
from bench.errors import BenchError
from bench.measure import count_files
from bench.peers import PASSWORD, Job
from bench.programs import find, free_port, require, run, wait_for_path, wait_for_port
from bench.tls import make_pair

USER: Final = "paperpath-bench"
"""System account that mail is delivered to; made for the run and removed after it."""

_DOMAIN: Final = "postfix.test"
_PACKAGE_MASTER: Final = Path("/usr/share/postfix/master.cf.dist")

# What Debian's package writes on installation, TLS aside: the load does not use it, and without a certificate
# smtpd has less to do.
_DEFAULTS: Final = """\
compatibility_level = 3.6
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no
append_dot_mydomain = no
readme_directory = no
smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
mailbox_size_limit = 0
recipient_delimiter = +
inet_protocols = all
"""

# As the package's table has it behind a #, and what it must check to be of use as submission.
_SUBMISSIONS: Final = """\
127.0.0.1:{port}      inet  n       -       y       -       -       smtpd
  -o smtpd_tls_wrappermode=yes
  -o smtpd_sasl_auth_enable=yes
  -o smtpd_client_restrictions=permit_sasl_authenticated,reject
  -o smtpd_sender_restrictions=reject_sender_login_mismatch
"""

# What the package's start script copies for the services it runs in a chroot.
_CHROOT_FILES: Final = ("localtime", "services", "resolv.conf", "hosts", "nsswitch.conf")

_QUEUES: Final = ("maildrop", "incoming", "active", "deferred")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPostfix:
    """A Postfix that accepts mail."""

    port: int
    pid: int
    queue: Path
    maildir: Path
    recipient: str = f"{USER}@{_DOMAIN}"
    users_domain: str = _DOMAIN
    tls_port: int = 0

    def delivered(self) -> int:
        """Messages in the mailbox."""
        return count_files(self.maildir / "new")

    def queued(self) -> int:
        """Messages in the queue folders."""
        return sum(len(files) for queue in _QUEUES for _, _, files in os.walk(self.queue / queue))


@dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """How to run Postfix in `folder`."""

    folder: Path
    name: str = "Postfix"

    def missing(self) -> str:
        """Say why it cannot run here."""
        if find("postfix") is None or not _PACKAGE_MASTER.exists():
            return "the postfix package is not installed"
        return "" if os.geteuid() == 0 else "it needs root to start"

    def version(self) -> str:
        """Postfix's release."""
        return run(require("postconf"), "-d", "-h", "mail_version").strip()

    @contextmanager
    def running(self, job: Job) -> Iterator[RunningPostfix]:
        """Start it with an empty queue and mailbox."""
        home = self.folder / "home"
        with _account(home):
            port, tls_port = free_port(), free_port() if job.submission else 0
            config, queue = self.folder / "etc", self.folder / "queue"
            self._write(config, queue, port, job)
            try:
                if tls_port:
                    self._add_submission(config, tls_port, job)
                run(require("postfix"), "-c", config, "start")
                wait_for_port(port, 30)
                pid = int((queue / "pid" / "master.pid").read_text())
                with self._logins(queue) if tls_port else nullcontext():
                    yield RunningPostfix(port=port, pid=pid, queue=queue, maildir=home / "Maildir", tls_port=tls_port)
            finally:
                _stop(config, queue)
                for part in (config, queue, self.folder / "data"):
                    shutil.rmtree(part)

    def _add_submission(self, config: Path, port: int, job: Job) -> None:
        pair = make_pair(config, f"mx.{_DOMAIN}", rsa=job.rsa)
        with (config / "main.cf").open("a") as file:
            file.write(f"smtpd_tls_cert_file = {pair.certificate}\nsmtpd_tls_key_file = {pair.key}\n")
            file.write("smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n")
            file.write(f"smtpd_sender_login_maps = inline:{{{{{USER}@{_DOMAIN} = {USER}@{_DOMAIN}}}}}\n")
        with (config / "master.cf").open("a") as file:
            file.write(_SUBMISSIONS.format(port=port))

    @contextmanager
    def _logins(self, queue: Path) -> Iterator[None]:
        with judging_logins(self.folder / "dovecot", queue / "private" / "auth", f"{USER}@{_DOMAIN}", PASSWORD):
            wait_for_path(queue / "private" / "auth", 30)
            yield

    def _write(self, config: Path, queue: Path, port: int, job: Job) -> None:
        data = self.folder / "data"
        for folder in (config, queue, queue / "etc", data):
            folder.mkdir()
        shutil.chown(data, "postfix")
        for name in _CHROOT_FILES:
            if (Path("/etc") / name).is_file():
                shutil.copy(Path("/etc") / name, queue / "etc" / name)
        (config / "aliases").write_text("")
        (config / "master.cf").write_text(master_cf(_PACKAGE_MASTER.read_text(), port, deliver=job.deliver))
        (config / "main.cf").write_text(main_cf(config, queue, data, job))
        run(require("postalias"), "-c", config, f"hash:{config / 'aliases'}")


def main_cf(config: Path, queue: Path, data: Path, job: Job) -> str:
    """Return the settings: the package's defaults, where things are, and what the job asks for."""
    lines = [
        f"queue_directory = {queue}",
        f"data_directory = {data}",
        f"myhostname = {_DOMAIN}",
        f"mydestination = {_DOMAIN}, localhost",
        "inet_interfaces = loopback-only",
        "home_mailbox = Maildir/",
        f"alias_maps = hash:{config / 'aliases'}",
        f"alias_database = hash:{config / 'aliases'}",
    ]
    if job.relay_port is not None:
        lines.append(f"relayhost = [127.0.0.1]:{job.relay_port}")
    if not job.deliver:
        # There is no queue manager then, and nobody to slow the clients down for.
        lines.append("in_flow_delay = 0")
    if job.recipients is not None:
        lines.append(f"smtpd_recipient_limit = {job.recipients}")
    return _DEFAULTS + "".join(f"{line}\n" for line in lines)


def master_cf(package: str, port: int, *, deliver: bool) -> str:
    """Return the package's table of services with smtpd on `port`.

    Without delivery there is no queue manager: mail stays where smtpd's side committed it.  That costs Postfix
    less than deferring or holding each message would.
    """
    text, found = re.subn(r"(?m)^smtp(\s+inet\s)", rf"127.0.0.1:{port}\1", package)
    if found != 1:
        raise BenchError(f"{_PACKAGE_MASTER}: no smtp service")
    return text if deliver else re.sub(r"(?m)^qmgr\s.*\n", "", text)


@contextmanager
def _account(home: Path) -> Iterator[None]:
    _remove_account()  # one that a killed run left behind
    run(require("useradd"), "--system", "--no-create-home", "--home-dir", home, "--shell", "/usr/sbin/nologin", USER)
    try:
        home.mkdir()
        shutil.chown(home, USER)
        yield
    finally:
        shutil.rmtree(home, ignore_errors=True)
        _remove_account()


def _remove_account() -> None:
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return
    run(require("userdel"), USER)


def _stop(config: Path, queue: Path) -> None:
    """End it; `postfix stop` waits for its processes, and complains when it never ran."""
    try:
        run(require("postfix"), "-c", config, "stop")
    except BenchError:
        if (queue / "pid" / "master.pid").exists():
            raise
