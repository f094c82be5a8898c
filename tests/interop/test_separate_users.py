"""The service as `paperpath init --system` installs it: every process under its own user, as SECURITY.md says."""

import json
import os
import signal
import smtplib
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from paperpath.config.identities import ALL_USERS
from tests.certificates import Authority
from tests.interop.private_host import PrivateHost, private_host
from tests.service import ACCOUNT, HOSTNAME, PATIENCE_S, Service, free_port
from tests.sink import Sink, running_sink

pytestmark = [pytest.mark.interop, pytest.mark.root]

SYSTEM_USER: Final = "paperpia"
SYSTEM_ADDRESS: Final = f"{SYSTEM_USER}@host.test"
FAR: Final = "far@sink.test"
EVERYBODY: Final = (ACCOUNT, SYSTEM_ADDRESS, FAR)
UNIT: Final = Path(__file__).parents[2] / "packaging" / "systemd" / "paperpath.service"
ROOTS: Final = {"supervise", "local", "local.nursery"}
WORKER: Final = "local.worker_main"
PASSWORD: Final = "correct horse"
LARGE_BYTES: Final = 400_000
"""More than travels in one frame: it is spooled."""

FOLDERS: Final = {
    "var/lib/paperpath": ("root", 0o755),
    "var/lib/paperpath/queue": ("paperpath-queue", 0o700),
    "var/lib/paperpath/spool": ("paperpath-receive", 0o700),
    "var/lib/paperpath/drop": ("paperpath-receive", 0o3733),
    "var/lib/paperpath/mail": ("paperpath-mail", 0o750),
    "var/lib/paperpath/accounts": ("root", 0o750),
    "var/lib/paperpath/guard": ("paperpath-guard", 0o700),
    "var/lib/paperpath/logins": ("paperpath-auth", 0o700),
    "run/paperpath": ("root", 0o755),
    "etc/paperpath": ("root", 0o755),
}


class SystemService(Service):
    """The service of a whole host."""

    def __init__(self, host: PrivateHost) -> None:
        self.host, self.program = host, host.program
        super().__init__(host.root, [ACCOUNT], {"receive": {"processes": 2}, "local": {"domains": ["host.test"]}})
        self.login_port = free_port()
        listen = [("smtp", self.port), ("submission", self.login_port)]
        self.configure(
            {
                "listen": [{"service": name, "address": f"127.0.0.1:{port}"} for name, port in listen],
                "auth": {"plain_in_clear": "loopback"},
            }
        )

    def init(self, accounts: Sequence[str]) -> None:
        """Install it, and make the accounts as an administrator would."""
        self.config = Path("/etc/paperpath/paperpath.toml")
        self.run("init", "--system", *self.init_options(), config=False)
        self.configure({"mailboxes": {"domains": ["here.test"]}})
        for account in accounts:
            self.run("account", "add", account, "--password", PASSWORD)

    def config_file(self) -> Path:
        """Return where the host's /etc is seen from outside."""
        return self.folder / "etc/paperpath/paperpath.toml"

    def maildir(self, address: str) -> Path:
        """Return the Maildir of an account or of a user of the host."""
        local, _, domain = address.rpartition("@")
        if domain == "host.test":
            return self.folder / "home" / local / "Maildir"
        return self.folder / "var/lib/paperpath/mail" / domain / local / "Maildir"

    def deliver(self, subject: str, recipients: Sequence[str] = EVERYBODY, body: str = "x\n") -> None:
        """Send a message, and wait until all have it; a process that is just being started again puts it off."""
        since, end = self.mark(), time.monotonic() + PATIENCE_S
        while not self._sent(recipients, f"Subject: {subject}\n\n{body}"):
            assert time.monotonic() < end, self.tail()
            time.sleep(0.05)
        for recipient in recipients:
            self.wait_for("delivery.delivered", since=since, recipient=recipient)

    def _sent(self, recipients: Sequence[str], message: str) -> bool:
        try:
            self.send("from@there.test", recipients, message)
        except (smtplib.SMTPException, ConnectionError) as error:
            print(error)
            return False
        return True


@dataclass(frozen=True, slots=True)
class Rights:
    """What the kernel says of a process."""

    uids: frozenset[int]
    """Real, effective, saved, and for files."""
    gids: frozenset[int]
    groups: frozenset[int]
    capable: bool
    """It has some capability, or could get one back."""
    no_new_privileges: bool
    filtered: bool

    @classmethod
    def of(cls, pid: int) -> "Rights":
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        values = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
        uids, gids, groups = (frozenset(map(int, values[name])) for name in ("Uid", "Gid", "Groups"))
        capable = any(int(values[name][0], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
        return cls(uids, gids, groups, capable, values["NoNewPrivs"] == ["1"], values["Seccomp"] == ["2"])


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        yield sink


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as host:
        host.run("useradd", "--create-home", "--shell", "/bin/false", SYSTEM_USER)
        (host.root / "home" / SYSTEM_USER).chmod(0o700)
        host.run(
            "sh",
            "-c",
            f"umask 077; cd /home/{SYSTEM_USER}; mkdir -p Maildir/tmp Maildir/new Maildir/cur",
            user=SYSTEM_USER,
        )
        yield host


@pytest.fixture(scope="module")
def service(host: PrivateHost, sink: Sink) -> Iterator[SystemService]:
    service = SystemService(host)
    try:
        service.configure({"routes": {"sink.test": sink.route}})
        service.start()
        yield service
        service.stop()
        service.check_log()
    except BaseException:
        print(f"the log ends with\n{service.tail()}")
        raise
    finally:
        service.kill()


def expected(host: PrivateHost, user: str, *, confined: bool) -> Rights:
    uid, gid = host.ids(user)
    return Rights(frozenset({uid}), frozenset({gid}), frozenset({gid}), False, confined, confined)


def test_every_process_has_its_own_user_and_no_way_back(service: SystemService) -> None:
    service.deliver("who are you")
    real = [(module, Rights.of(pid)) for pid, module in service.processes().items()]
    roots = [(module, rights) for module, rights in real if module in ROOTS]
    others = [(module, rights) for module, rights in real if module not in ROOTS]
    assert sorted(module for module, _ in roots) == sorted(ROOTS)
    assert all(rights.uids == rights.gids == {0} for _, rights in roots)
    mine = [
        (module, expected(service.host, f"paperpath-{module}", confined=True))
        for module in ("auth", "guard", "queue", "receive", "receive", "remote")
    ]
    mine.append((WORKER, expected(service.host, "paperpath-mail", confined=True)))
    # A user's programs may gain what that user's programs may, so this worker is bound by nothing but its user.
    mine.append((WORKER, expected(service.host, SYSTEM_USER, confined=False)))
    assert sorted(others, key=repr) == sorted(mine, key=repr)
    assert len({host_id for user in ALL_USERS for host_id in service.host.ids(user)[:1]} | {0}) == len(ALL_USERS) + 1


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_have_their_owners(service: SystemService, folder: str) -> None:
    user, mode = FOLDERS[folder]
    found = (service.host.root / folder).stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (service.host.ids(user)[0], mode)


def test_accounts_are_for_root_and_those_who_judge_logins(service: SystemService) -> None:
    auth = service.host.ids("paperpath-auth")[1]
    folder = service.host.root / "var/lib/paperpath/accounts"
    assert folder.stat().st_gid == auth
    for file in folder.iterdir():
        found = file.stat()
        assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (0, auth, 0o640), file


def test_an_account_logs_in_and_its_application_passwords_are_noted(service: SystemService) -> None:
    password = service.run("account", "app-password", "add", ACCOUNT, "phone").split()[2]
    for secret in (PASSWORD, password):
        with smtplib.SMTP("127.0.0.1", service.login_port, timeout=PATIENCE_S) as client:
            client.login(ACCOUNT, secret)
    uses = service.host.root / "var/lib/paperpath/logins/uses.sqlite"
    end = time.monotonic() + PATIENCE_S
    while not uses.exists():  # it is written now and then
        assert time.monotonic() < end
        time.sleep(0.1)
    (shown,) = json.loads(service.run("account", "app-password", "list", ACCOUNT, "--json"))
    assert (shown["label"], shown["service"], shown["peer"]) == ("phone", "submission", "127.0.0.1")


READS: Final = """
import os, sys
for folder in sys.argv[1:]:
    try:
        os.listdir(folder)
        print("reads", folder)
    except PermissionError:
        pass
"""


@pytest.mark.parametrize(
    ("user", "own"),
    [
        ("paperpath-receive", {"/var/lib/paperpath/spool", "/var/lib/paperpath/drop"}),
        ("paperpath-remote", set()),
        ("paperpath-auth", {"/var/lib/paperpath/accounts", "/var/lib/paperpath/logins"}),
        ("paperpath-tokens", set()),
        ("paperpath-pop3", set()),
        ("paperpath-queue", {"/var/lib/paperpath/queue"}),
        ("paperpath-guard", {"/var/lib/paperpath/guard"}),
        ("paperpath-mail", {"/var/lib/paperpath/mail"}),
        (SYSTEM_USER, {f"/home/{SYSTEM_USER}"}),
        ("nobody", set()),
    ],
)
def test_users_read_their_own_only(service: SystemService, user: str, own: set[str]) -> None:
    state = [f"/var/lib/paperpath/{name}" for name in ("queue", "spool", "drop", "mail", "accounts", "guard", "logins")]
    printed = service.host.run(service.host.python, "-Ic", READS, *state, f"/home/{SYSTEM_USER}", user=user)
    assert set(printed.split()) - {"reads"} == own


def test_delivered_files_belong_to_the_recipient(service: SystemService) -> None:
    service.deliver("whose is it")
    for address, user in ((ACCOUNT, "paperpath-mail"), (SYSTEM_ADDRESS, SYSTEM_USER)):
        (path,) = [path for path in service.messages(address) if b"Subject: whose is it\n" in path.read_bytes()]
        found = path.stat()
        assert (found.st_uid, found.st_gid) == service.host.ids(user)
        assert stat.S_IMODE(found.st_mode) == 0o600


def test_large_messages_reach_everybody(service: SystemService, sink: Sink) -> None:
    service.deliver("large", body=("x" * 77 + "\n") * (LARGE_BYTES // 78))
    for address in (ACCOUNT, SYSTEM_ADDRESS):
        assert len(service.message(address, "Subject: large\n")) > LARGE_BYTES - 78
    assert any(len(content) > LARGE_BYTES - 78 for content in sink.contents)
    assert not list((service.host.root / "var/lib/paperpath/spool").iterdir())


def test_programs_of_a_user_have_that_users_rights(service: SystemService) -> None:
    home = service.host.root / "home" / SYSTEM_USER
    service.host.run(
        "sh", "-c", f"echo '|cat /proc/self/status >rights' >/home/{SYSTEM_USER}/.qmail-rights", user=SYSTEM_USER
    )
    service.deliver("rights", [f"{SYSTEM_USER}-rights@host.test"])
    uid, gid = service.host.ids(SYSTEM_USER)
    written = (home / "rights").read_text()
    assert f"Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n" in written
    assert f"Gid:\t{gid}\t{gid}\t{gid}\t{gid}\n" in written
    assert f"Groups:\t{gid} \n" in written


def test_what_is_killed_comes_back_and_delivers(service: SystemService) -> None:
    service.deliver("before any kill")
    for victim in ("receive", "guard", "remote", WORKER, "local", "queue"):
        since = service.mark()
        killed = [pid for pid, module in service.processes().items() if module == victim]
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        service.wait_for("process.ended", since=since, count=len(killed))
        if victim != WORKER:
            service.wait_for("process.started", since=since, count=len(killed))
        service.deliver(f"after {victim}")


def test_reload_takes_effect_in_every_process(service: SystemService, sink: Sink) -> None:
    service.configure({"routes": {"other.test": sink.route}, "receive": {"processes": 3}})
    assert service.reload()["event"] == "service.reloaded"
    assert list(service.processes().values()).count("receive") == 3
    service.deliver("another way", ["far@other.test"])
    service.configure({"receive": {"processes": 2}})
    assert service.reload()["event"] == "service.reloaded"


def test_root_operates_the_queue_and_others_do_not(service: SystemService) -> None:
    service.configure({"routes": {"closed.test": "smtp://127.0.0.1:1"}})
    assert service.reload()["event"] == "service.reloaded"
    since = service.mark()
    service.send("from@there.test", ["far@closed.test"], "Subject: waits\n\nx\n")
    message = service.wait_for("delivery.deferred", since=since, recipient="far@closed.test")["message"]
    assert message in service.run("queue", "list")
    assert "far@closed.test" in service.run("queue", "why", message)
    refused = service.host.run(service.host.installed, "queue", "list", user=SYSTEM_USER, expect=111)
    assert message not in refused
    service.run("queue", "remove", message)
    assert service.queue_empty()


def test_a_key_that_only_root_may_read_is_used_by_a_process_that_may_not(service: SystemService) -> None:
    authority = Authority()
    folder = service.host.root / "etc/paperpath/tls"
    folder.mkdir(mode=0o700)
    authority.issue(HOSTNAME).write(folder, "mx")
    service.configure({"tls": {"certificate": "tls/mx.pem", "key": "tls/mx.key"}})
    assert service.reload()["event"] == "service.reloaded"
    script = "import sys; open(sys.argv[1])"
    refused = service.host.run(
        sys.executable, "-c", script, "/etc/paperpath/tls/mx.key", user="paperpath-receive", expect=1
    )
    assert "PermissionError" in refused
    for _ in range(2):
        with service.client() as client:
            client._host = HOSTNAME  # type: ignore[attr-defined]
            client.starttls(context=authority.client_context())
            client.sendmail("from@there.test", [ACCOUNT], "Subject: over TLS\n\n")
        # Started again after a crash it has the key too, and is confined by then.
        pid = service.pid_of("receive-1")
        since = service.mark()
        os.kill(pid, signal.SIGKILL)
        service.wait_for("process.started", since=since, role="receive-1")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("explain", ACCOUNT), 0, "you may not look for /var/lib/paperpath/mail/"),
        (("account", "list"), 100, "accounts.sqlite: you may not; become root or the server's user"),
        (("doctor", "--no-dns"), 100, "run doctor as root"),
    ],
)
def test_who_may_not_look_is_told_so(service: SystemService, words: tuple[str, ...], code: int, told: str) -> None:
    assert told in service.host.run(service.host.installed, *words, user=SYSTEM_USER, expect=code)


def test_it_runs_with_what_the_systemd_unit_leaves_of_root(service: SystemService) -> None:
    (line,) = [line for line in UNIT.read_text().splitlines() if line.startswith("CapabilityBoundingSet=")]
    kept = ",".join("+" + name.removeprefix("CAP_").lower() for name in line.partition("=")[2].split())
    service.stop()
    host = service.host
    host.run("rm", "-r", "/run/paperpath")  # as systemd does
    assert "ok    folders: /var/lib/paperpath\n" in host.run(host.installed, "doctor", "--no-dns", expect=111)
    less = ("setpriv", "--no-new-privs", f"--bounding-set=-all,{kept}", "--inh-caps=-all", "--")
    service.program = (*host.within, *less, host.installed)
    try:
        service.start()
        service.deliver("with less")
        assert all(Rights.of(pid).no_new_privileges for pid in service.processes())
        os.kill(service.pid_of("remote"), signal.SIGKILL)
        service.deliver("with less, again")
        service.stop()
    finally:
        service.program = host.program
    service.start()
