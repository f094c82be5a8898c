"""What SECURITY.md says of confinement is what the kernel says of running processes."""

import os
from pathlib import Path

import pytest

from tests.docs.pages import read, rows, section
from tests.service import ACCOUNT, Service, free_port, running_service

MODULES = {"worker of mailboxes": "local.worker_main"}
ELSEWHERE = {"worker of a system user", "nursery", "pop3", "reader"}
"""The first needs root: see tests/interop/test_separate_users.py.  The others: tests/unit/pop3/test_hostile.py."""


def confinement() -> dict[str, tuple[str, str]]:
    """Return what the page says: for each process, whether privileges are given up and calls filtered."""
    found = rows(section(read("SECURITY.md"), "## How they are confined"))
    shown = {process.strip("`"): (privileges, calls) for process, privileges, calls, _ in found}
    assert shown.keys() >= ELSEWHERE
    return {process: words for process, words in shown.items() if process not in ELSEWHERE}


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def really(service: Service) -> dict[str, tuple[str, str]]:
    """Return the same as the kernel has it, less what this test's own surroundings impose."""
    ours = status(os.getpid())
    found: dict[str, tuple[str, str]] = {}
    for pid, module in service.processes().items():
        theirs = status(pid)
        words = tuple("yes" if theirs[name] != ours[name] else "no" for name in ("NoNewPrivs", "Seccomp_filters"))
        found[module] = (words[0], words[1])
    return found


def test_table_is_true() -> None:
    if status(os.getpid())["NoNewPrivs"] != "0":
        pytest.skip("already without new privileges: nothing can be told")
    with running_service(settings={"receive": {"processes": 1}}, start=False) as service:
        listen = [("smtp", service.port), ("submission", free_port())]
        service.configure(
            {
                "listen": [{"service": name, "address": f"127.0.0.1:{port}"} for name, port in listen],
                "auth": {"backends": ["accounts", "pam"]},
                "oauth": {"introspection": "https://issuer.test/"},
            }
        )
        service.start()
        service.send("from@there.test", [ACCOUNT], "Subject: x\n\ny\n")
        service.wait_for("delivery.delivered", recipient=ACCOUNT)
        real = really(service)
        shown = confinement()
        assert {MODULES.get(process, process): words for process, words in shown.items()} == real
