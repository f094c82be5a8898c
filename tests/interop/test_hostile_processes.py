"""A process of each kind that has been taken over gets nothing of the others: no file, socket or key, and no program.

The walls are its user, seccomp and Landlock.  Users and seccomp are proved wherever the test runs as root; what only
Landlock forbids, where the kernel has it.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from paperpath.system import confine
from tests.interop.private_host import PrivateHost, private_host
from tests.interop.test_separate_users import SYSTEM_USER, SystemService
from tests.service import free_port

pytestmark = [pytest.mark.interop, pytest.mark.root]

HAS_LANDLOCK: Final = confine._landlock_version() in range(2, 100)
ROLES: Final = ("receive", "queue", "remote", "guard", "auth", "pop3")
STATE: Final = "/var/lib/paperpath"
RUN: Final = "/run/paperpath"
KEY: Final = "/etc/paperpath/key.pem"
FILES: Final = {
    f"{STATE}/queue",
    f"{STATE}/queue/queue.sqlite",
    f"{STATE}/spool",
    f"{STATE}/mail",
    f"{STATE}/accounts",
    f"{STATE}/accounts/accounts.sqlite",
    f"{STATE}/guard",
    f"{STATE}/guard/bans.kept",
    f"{STATE}/logins",
    f"/home/{SYSTEM_USER}",
    KEY,
    "/etc/shadow",
    "/root",
}
READS: Final = {
    "receive": {f"{STATE}/spool"},
    "queue": {f"{STATE}/queue", f"{STATE}/queue/queue.sqlite"},
    "remote": set(),
    "guard": {f"{STATE}/guard", f"{STATE}/guard/bans.kept"},
    "auth": {f"{STATE}/accounts", f"{STATE}/accounts/accounts.sqlite", f"{STATE}/logins"},
    "pop3": set(),
}
WRITES: Final = {
    "receive": {f"{STATE}/spool"},
    "queue": {f"{STATE}/queue", f"{STATE}/queue/queue.sqlite"},
    "guard": {f"{STATE}/guard", f"{STATE}/guard/bans.kept"},
    "auth": {f"{STATE}/logins"},
}
SOCKETS: Final = {
    "queue.intake",
    "queue.remote",
    "queue.control",
    "local.lookup",
    "local.workers",
    "local.mailboxes",
    "guard",
    "guard.control",
    "auth",
}
TALKS: Final = {
    "receive": {"queue.intake", "local.lookup", "guard", "auth"},
    "queue": {"local.lookup", "local.workers"},
    "remote": {"queue.remote"},
    "guard": set(),
    "auth": set(),
    "pop3": {"guard", "auth", "local.mailboxes"},
}
LANDLOCK_ONLY: Final = ("/tmp", "/var/tmp")
"""Where everybody may write, but for Landlock."""


@pytest.fixture(scope="module")
def service() -> Iterator[SystemService]:
    with private_host() as host:
        host.run("useradd", "--create-home", "--shell", "/bin/false", SYSTEM_USER)
        (host.root / "home" / SYSTEM_USER).chmod(0o700)
        service = SystemService(host)
        listen = [("smtp", service.port), ("submission", free_port()), ("pop3", free_port())]
        service.configure({"listen": [{"service": name, "address": f"127.0.0.1:{port}"} for name, port in listen]})
        key = host.root / KEY[1:]
        key.write_text("secret")
        key.chmod(0o600)
        shutil.copy(Path(__file__).with_name("hostile_process.py"), host.root / "hostile_process.py")
        try:
            service.start()
            service.run("ban", "add", "192.0.2.1")
            yield service
            service.stop()
        finally:
            service.kill()


@pytest.fixture(scope="module", params=ROLES)
def told(service: SystemService, request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Return a role, and what came of everything that it tried."""
    role = request.param
    processes = [pid for pid, module in service.processes().items() if module != role]
    wanted = {
        "read": sorted(FILES),
        "plant": sorted({path for path in FILES if "." not in path.rpartition("/")[2]} | {*LANDLOCK_ONLY, "/etc"}),
        "change": sorted(path for path in FILES if path.endswith((".sqlite", ".kept", ".pem"))),
        "sockets": sorted(f"{RUN}/{name}" for name in SOCKETS),
        "processes": processes,
    }
    host: PrivateHost = service.host
    printed = host.run(host.python, host.root / "hostile_process.py", role, json.dumps(wanted))
    return role, json.loads(printed)


def done(found: dict[str, str]) -> set[str]:
    return {what for what, came in found.items() if came == "done"}


def test_files_of_others_stay_shut(told: tuple[str, dict[str, Any]]) -> None:
    role, found = told
    assert done(found["read"]) == READS[role], found["read"]
    assert done(found["change"]) <= WRITES.get(role, set()), found["change"]
    assert done(found["plant"]) - set(LANDLOCK_ONLY) <= WRITES.get(role, set()), found["plant"]


def test_what_is_its_own_is_open(told: tuple[str, dict[str, Any]]) -> None:
    role, found = told
    assert (done(found["plant"]) | done(found["change"])) - set(LANDLOCK_ONLY) == WRITES.get(role, set())


@pytest.mark.skipif(not HAS_LANDLOCK, reason="the kernel has no Landlock, or too old a one")
def test_nothing_is_left_where_everybody_may_write(told: tuple[str, dict[str, Any]]) -> None:
    _, found = told
    assert {found["plant"][path] for path in LANDLOCK_ONLY} == {"EACCES"}


def test_sockets_of_others_hang_up(told: tuple[str, dict[str, Any]]) -> None:
    role, found = told
    assert done(found["socket"]) == {f"{RUN}/{name}" for name in TALKS[role]}, found["socket"]
    refused = {came for came in found["socket"].values() if came != "done"}
    assert refused <= {"hung up", "ECONNRESET", "EPIPE", "EACCES"}


def test_no_program_is_started(told: tuple[str, dict[str, Any]]) -> None:
    _, found = told
    assert done(found["start"]) == set(), found["start"]
    assert {found["start"][name] for name in ("fork", "exec")} == {"EPERM"}


def test_there_is_no_way_up(told: tuple[str, dict[str, Any]]) -> None:
    _, found = told
    assert done(found["rise"]) == set(), found["rise"]


def test_other_processes_are_out_of_reach(told: tuple[str, dict[str, Any]]) -> None:
    _, found = told
    assert found["reach"]
    assert done(found["reach"]) == set(), found["reach"]
