"""The control directory of a qmail host, read as qmail reads it (reference 2 and 3.4).

For the long-lived processes by way of `config.qmail`, and for the small programs, which must start in
milliseconds: nothing is imported here but what every interpreter has loaded.  A file that is there and cannot be
read is an OSError, never a default: mail that was routed by a guess cannot be taken back.
"""

from __future__ import annotations

import errno
import os

from paperpath.base.digits import leading_digits
from paperpath.base.domains import suffixes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.base.cdb import Cdb

DEFAULT_HOME = "/var/qmail"
HOME_VARIABLE = "PAPERPATH_QMAIL_HOME"

_FILE_MOST_BYTES = 64 * 1024 * 1024
_BLANKS = b" \t\n"
_DIGITS_MOST = 18
"""A number of more digits means the same as none: without end.  Python would refuse to read a long one."""

LINES: dict[str, tuple[bool, bytes | None]] = {
    "me": (False, None),
    "bouncefrom": (False, b"MAILER-DAEMON"),
    "bouncehost": (True, b"bouncehost"),
    "defaultdomain": (True, b"defaultdomain"),
    "defaulthost": (True, b"defaulthost"),
    "doublebouncehost": (True, b"doublebouncehost"),
    "doublebounceto": (False, b"postmaster"),
    "envnoathost": (True, b"envnoathost"),
    "helohost": (True, None),
    "idhost": (True, b"idhost"),
    "localiphost": (True, None),
    "plusdomain": (True, b"plusdomain"),
    "smtpgreeting": (True, None),
}
"""Files of one line: whether ``me`` stands in for a missing one, and what does where that is missing too."""

NUMBERS: dict[str, int] = {
    "concurrencylocal": 10,
    "concurrencyremote": 20,
    "databytes": 0,
    "queuelifetime": 604800,
    "timeoutconnect": 60,
    "timeoutremote": 1200,
    "timeoutsmtpd": 1200,
}
"""Files of one number, and what counts where there is none.  Times in seconds, sizes in bytes."""


def home(given: str = "") -> str:
    """Return the qmail home that counts: the environment's, else the one given, else ``/var/qmail``."""
    return os.environ.get(HOME_VARIABLE) or given or DEFAULT_HOME


class Control:
    """The files under one home's ``control``.  Every question reads its file afresh; all raise OSError."""

    __slots__ = ("_folder",)

    def __init__(self, home: str) -> None:
        self._folder = home + "/control/"

    def read_line(self, name: str) -> bytes | None:
        """Return the first line without the blanks at its end; nothing for an empty file, None for a missing one."""
        data = self._read(name)
        return None if data is None else data.partition(b"\n")[0].rstrip(_BLANKS)

    def read_int(self, name: str, default: int) -> int:
        """Return the number that the first line begins with, or ``default`` where it begins with none."""
        digits = leading_digits(self.read_line(name) or b"")
        return int(digits.lstrip(b"0")[:_DIGITS_MOST] or b"0") if digits else default

    def read_list(self, name: str) -> list[bytes] | None:
        """Return the lines that are neither blank nor comments; None for a missing file."""
        data = self._read(name)
        return None if data is None else _entries(data)

    def read_map(self, name: str) -> dict[bytes, bytes] | None:
        """Return the entries ``key:value`` with keys in lower case, the last of a key; None for a missing file."""
        entries = self.read_list(name)
        if entries is None:
            return None
        return {key.lower(): value for key, colon, value in (entry.partition(b":") for entry in entries) if colon}

    def line(self, name: str) -> bytes | None:
        """Return one of ``LINES``; None where qmail would refuse to run, or do without (``localiphost``)."""
        me_counts, literal = LINES[name]
        found = self.read_line(name)
        if found is None and me_counts:
            found = self.read_line("me")
        return literal if found is None else found

    def completion(self, me: bytes) -> tuple[bytes, bytes, bytes]:
        """Return what completes addresses: the default host, the default domain, and what ``+`` stands for.

        Each is ``me`` where no file says it.
        """
        host, domain, plus = (self.read_line(name) for name in ("defaulthost", "defaultdomain", "plusdomain"))
        return me if host is None else host, me if domain is None else domain, me if plus is None else plus

    def number(self, name: str) -> int:
        """Return one of ``NUMBERS``."""
        found = self.read_int(name, NUMBERS[name])
        return max(1, found) if name == "timeoutsmtpd" else found

    def locals(self) -> frozenset[bytes] | None:
        """Return the domains delivered here, in lower case; None where qmail-send would refuse to run."""
        found = self.read_list("locals")
        if found is None:
            me = self.read_line("me")
            found = None if me is None else [me]
        return None if found is None else _folded(found)

    def percenthack(self) -> frozenset[bytes]:
        """Return the domains in which ``a%b`` means ``a@b``, in lower case."""
        return _folded(self.read_list("percenthack"))

    def virtualdomains(self) -> dict[bytes, bytes]:
        """Return addresses, domains, ``.suffixes`` and the empty key, each with its account or nothing."""
        return self.read_map("virtualdomains") or {}

    def smtproutes(self) -> dict[bytes, bytes]:
        """Return domains, ``.suffixes`` and the empty key, each with ``relay``, ``relay:port`` or nothing."""
        return self.read_map("smtproutes") or {}

    def badmailfrom(self) -> frozenset[bytes]:
        """Return the refused senders: addresses and ``@host``, in lower case."""
        return _folded(self.read_list("badmailfrom"))

    def rcpthosts(self) -> RcptHosts:
        """Return whom mail is taken for.  Raises ValueError where ``morercpthosts.cdb`` is none."""
        hosts = self.read_list("rcpthosts")
        if hosts is None:
            return RcptHosts(None, None)
        from paperpath.base.cdb import Cdb  # no program that injects mail comes here, and each would wait for it

        more = self._read("morercpthosts.cdb")
        return RcptHosts(_folded(hosts), None if more is None else Cdb(more))

    def _read(self, name: str) -> bytes | None:
        try:
            with open(self._folder + name, "rb") as file:
                data = file.read(_FILE_MOST_BYTES + 1)
        except FileNotFoundError:
            return None
        if len(data) > _FILE_MOST_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), self._folder + name)
        return data


class RcptHosts:
    """The domains that a stranger's mail is taken for: ``rcpthosts`` and ``morercpthosts.cdb``."""

    __slots__ = ("hosts", "more")

    def __init__(self, hosts: frozenset[bytes] | None, more: Cdb | None) -> None:
        self.hosts, self.more = hosts, more

    def accept(self, address: bytes) -> bool:
        """Tell whether mail for this address (unquoted) is taken; without a ``rcpthosts`` file all is."""
        _, at, domain = address.rpartition(b"@")
        if self.hosts is None or not at:
            return True
        keys = tuple(suffixes(domain.lower()))
        if any(key in self.hosts for key in keys):
            return True
        return self.more is not None and any(self.more.find(key) is not None for key in keys)


def is_bad_sender(sender: bytes, refused: frozenset[bytes]) -> bool:
    """Tell whether a list of senders (``badmailfrom``) names this one: its address, or ``@`` and its domain."""
    folded = sender.lower()
    _, at, domain = folded.rpartition(b"@")
    return folded in refused or (bool(at) and at + domain in refused)


def _folded(entries: list[bytes] | None) -> frozenset[bytes]:
    return frozenset(entry.lower() for entry in entries or ())


def _entries(data: bytes) -> list[bytes]:
    found: list[bytes] = []
    for line in data.split(b"\n"):
        entry = line.rstrip(_BLANKS)
        if entry[:1] not in {b"", b"#", b"\0"}:
            found += entry.split(b"\0")  # qmail keeps a list as strings that end in NUL
    return found
