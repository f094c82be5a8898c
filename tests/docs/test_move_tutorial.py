"""Moving a qmail host is carried out, as root of a host made up for it."""

import re
import subprocess
import time
from collections.abc import Iterator
from typing import Final

import pytest

from tests.docs.pages import blocks, read
from tests.docs.test_tutorial import Step, pattern
from tests.interop.private_host import PATIENCE_S, PrivateHost, private_host
from tests.service import free_port

pytestmark = [pytest.mark.interop, pytest.mark.root, pytest.mark.xdist_group("system-host")]

PAGE: Final = "docs/tutorial/move-a-qmail-host.md"
SERVE: Final = "paperpath serve"
END: Final = "pkill"
PREPARE: Final = """
set -e
useradd --uid 1001 --user-group --create-home ann
useradd --uid 1002 --user-group --create-home joe
useradd --uid 1003 --user-group --create-home bob
mkdir -p /var/qmail/alias /var/qmail/bin /var/qmail/control /var/qmail/users
useradd --system --home-dir /var/qmail/alias alias
chown alias /var/qmail/alias
for user in ann joe bob; do
    su $user -s /bin/sh -c 'umask 077; cd; for part in tmp new cur; do mkdir -p Maildir/$part; done'
done
cd /var/qmail/control
echo mx.h.ex >me
echo h.ex >locals
echo lists.ex:joe-lists >virtualdomains
printf 'h.ex\\nlists.ex\\n' >rcpthosts
cd ../users
printf '=boss:ann:1001:1001:/home/ann:::\\n+sales-:ann:1001:1001:/home/ann:-:sales-:\\n.\\n' >assign
echo ./Maildir/ >/home/ann/.qmail
echo ./Maildir/ >/home/ann/.qmail-sales-default
printf '&ann@h.ex\\n&bob@h.ex\\n' >/home/joe/.qmail-lists-news
"""
"""The host as qmail left it, but for users/cdb, which qmail-newu makes."""


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as host:
        host.run("sh", "-c", PREPARE)
        host.run(host.installed, "programs", "/var/tmp/newu")
        host.run("/var/tmp/newu/qmail-newu")
        yield host


def steps(text: str) -> Iterator[Step]:
    for block in blocks(text, "console"):
        for piece in re.split(r"^# ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = piece.partition("\n")
            yield Step(command, shown)


class Terminal:
    """Root's, in there; the server runs in another."""

    def __init__(self, host: PrivateHost) -> None:
        self.host, self.port = host, free_port()
        self.server: subprocess.Popen[bytes] | None = None
        self.log = host.root / "log"

    def run(self, step: Step) -> None:
        """Carry out a step; one that looks at what comes by itself is repeated until it is there."""
        if step.command.startswith(SERVE):
            with self.log.open("wb") as log:
                words = self._real(step.command).split()[1:]
                self.server = subprocess.Popen(
                    [*self.host.program, *words], stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
                )
        if step.command.startswith(END):
            assert self.server is not None
            self.server.terminate()  # by its id: others may run here
            assert self.server.wait(PATIENCE_S) == 0
            return
        wanted, end = pattern(step.shown), time.monotonic() + PATIENCE_S
        while not wanted.fullmatch(output := self._output(step.command)):
            assert time.monotonic() < end and self._may_change(step.command), f"# {step.command}\n{output}"
            time.sleep(0.05)

    def _may_change(self, command: str) -> bool:
        return command.startswith((SERVE, "grep"))

    def _output(self, command: str) -> str:
        if command.startswith(SERVE):
            return self._shown(self.log.read_text())
        path = f"PATH={self.host.installed.parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(
            [*self.host.within, "env", path, "NO_COLOR=1", "bash", "-c", self._real(command)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
        return self._shown(done.stdout)

    def _real(self, text: str) -> str:
        return text.replace("2525", str(self.port))

    def _shown(self, text: str) -> str:
        return text.replace(str(self.port), "2525")


def test_tutorial(host: PrivateHost) -> None:
    terminal = Terminal(host)
    found = list(steps(read(PAGE)))
    assert len(found) > 15 and found[-1].command.startswith(END)
    try:
        for step in found:
            terminal.run(step)
    finally:
        if terminal.server is not None and terminal.server.poll() is None:
            terminal.server.terminate()
            terminal.server.wait(PATIENCE_S)
