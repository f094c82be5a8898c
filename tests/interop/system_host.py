"""A private host with users and the service as `paperpath init --system` installs it; a test brings dot-qmail files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.interop.private_host import PrivateHost, private_host
from tests.service import Service

DOMAIN: Final = "host.test"
USERS: Final = ("ann", "bob", "alias")
PROGRAMS: Final = Path("/var/qmail/bin")
"""Where the programs under qmail's names are in there."""


class SystemHost(Service):
    """The service of a whole host, whose users have Maildirs."""

    def __init__(self, host: PrivateHost) -> None:
        self.host, self.program = host, host.program
        super().__init__(host.root, (), {"receive": {"processes": 1}, "local": {"domains": [DOMAIN]}})

    def init(self, accounts: Sequence[str]) -> None:
        """Install it, and the programs beside."""
        assert not accounts
        self.config = Path("/etc/paperpath/paperpath.toml")
        self.run("init", "--system", *self.init_options(), config=False)
        self.host.run("mkdir", "-p", PROGRAMS)
        self.host.run(self.host.installed, "programs", PROGRAMS)

    def config_file(self) -> Path:
        """Return where the host's /etc is seen from outside."""
        return self.folder / "etc/paperpath/paperpath.toml"

    def home(self, user: str) -> Path:
        """Return a user's home as it is seen from outside."""
        return self.folder / "home" / user

    def maildir(self, address: str) -> Path:
        """Return the Maildir of a user of the host."""
        return self.home(address.partition("@")[0]) / "Maildir"

    def sh(self, user: str, script: str, expect: int = 0) -> str:
        """Run a shell script as a user, in its home; return what it printed."""
        environment = f"export HOME=/home/{user} USER={user} LOGNAME={user}; umask 022; cd; "
        return self.host.run("sh", "-c", environment + script, user=user, expect=expect)

    def write(self, user: str, name: str, text: str, mode: int = 0o644) -> Path:
        """Make a file of a user's, with the folders above it."""
        path = self.home(user) / name
        self.sh(user, f"mkdir -p $(dirname {name}) && touch {name} && chmod {mode:o} {name}")
        path.write_text(text)
        return path

    def texts(self, user: str, folder: str = "Maildir/new") -> list[str]:
        """Return the messages in a folder of a user's, oldest first."""
        files = sorted((self.home(user) / folder).iterdir(), key=lambda path: path.stat().st_mtime_ns)
        return [file.read_text() for file in files]

    def deliver(self, recipient: str, subject: str, event: str = "delivery.delivered") -> Any:
        """Send a message, and return the line that tells what became of it."""
        since = self.mark()
        address = f"{recipient}@{DOMAIN}"
        self.send("from@there.test", [address], f"From: from@there.test\nTo: {address}\nSubject: {subject}\n\nbody\n")
        return self.wait_until(
            lambda: next(
                (
                    line
                    for line in self.log[since:]
                    if line["event"].startswith("delivery.") and line.get("recipient") == address
                ),
                None,
            ),
            event,
        )


@contextmanager
def running_system_host(settings: Mapping[str, Any]) -> Iterator[SystemHost]:
    """Run one; afterwards nothing of it is left, and its log told of no defect."""
    with private_host() as host:
        for user in USERS:
            host.run("useradd", "--create-home", "--shell", "/bin/sh", user)
            host.run("sh", "-c", f"umask 077; cd /home/{user}; mkdir -p Maildir/tmp Maildir/new Maildir/cur", user=user)
        service = SystemHost(host)
        try:
            service.configure(settings)
            service.start()
            yield service
            service.stop()
            service.check_log()
        except BaseException:
            print(f"the log ends with\n{service.tail()}")
            raise
        finally:
            service.kill()
