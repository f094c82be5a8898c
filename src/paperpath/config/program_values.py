"""The values that injecting programs need, in a file that they can read in no time.

``paperpath.toml`` has ``paperpath.programs`` beside it: lines of name, blank and value, the first of which is a stamp
of the configuration.  `paperpath init` and `paperpath serve` write it; who finds another stamp reads the TOML.  For
programs that live for milliseconds: nothing is imported that they would have to wait for.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from paperpath.config.schema import Config

DEFAULT_FILE = "/etc/paperpath/paperpath.toml"
DEFAULT_STATE = "/var/lib/paperpath"
DEFAULT_RUN = "/run/paperpath"
DEFAULT_MESSAGE_SIZE_BYTES = 50 * 1024 * 1024
DEFAULT_DELIVERY_VARIABLE = "PAPERPATH_DEFAULT_DELIVERY"
"""What `qmail-start` says in place of ``[local] default_delivery``, for as long as the service runs."""
QMAIL_SIZE_BYTES = 1 << 32
"""On a qmail host: its ``databytes`` is about SMTP only, and qmail-queue takes what fits on the disk."""

_MODE = 0o644
_UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def values_file(file: str) -> str:
    """Return where the values of the configuration ``file`` are kept."""
    return file.removesuffix(".toml") + ".programs"


def stamp_of(file: str) -> str:
    """Return what tells one state of a file from another.  Raises OSError."""
    found = os.stat(file)
    return f"{found.st_dev}.{found.st_ino}.{found.st_size}.{found.st_mtime_ns}"


def parse_values(text: str) -> dict[str, str]:
    """Return the values by name."""
    return dict(line.split(" ", 1) for line in text.split("\n") if " " in line)


def from_toml(table: "dict[str, Any]", folder: str) -> dict[str, str]:
    """Return the values of a configuration that lies in ``folder``.  Raises KeyError and ValueError."""
    aliases = table.get("local", {}).get("aliases", "")
    paths, qmail_home = table.get("paths", {}), table.get("qmail", {}).get("home", "")
    size = _bytes(table.get("receive", {}).get("message_size", DEFAULT_MESSAGE_SIZE_BYTES))
    return {
        "hostname": str(table["hostname"]).lower(),
        "run": os.path.join(folder, paths.get("run", DEFAULT_RUN)),
        "state": os.path.join(folder, paths.get("state", DEFAULT_STATE)),
        "qmail_home": qmail_home,
        "aliases": os.path.join(folder, aliases) if aliases else "",
        "message_size": str(QMAIL_SIZE_BYTES if qmail_home else size),
    }


def _bytes(size: "str | int") -> int:
    if isinstance(size, int):
        return size
    number = size.rstrip("KMGiB")
    return int(number) * _UNITS.get(size[len(number) :], 1)


def injected_size_bytes(config: "Config") -> int:
    """Return how large a message from a program of this host may be."""
    return QMAIL_SIZE_BYTES if config.qmail.home else config.receive.message_size


def write_values(config: "Config", file: str) -> None:
    """Write the values of ``config``, which was read from ``file``.  Raises OSError."""
    from paperpath.system.files import write_file_durably

    values = {
        "stamp": stamp_of(file),
        "hostname": config.hostname,
        "run": config.paths.run,
        "state": config.paths.state,
        "qmail_home": config.qmail.home,
        "aliases": config.local.aliases,
        "message_size": str(injected_size_bytes(config)),
    }
    if any("\n" in value for value in values.values()):
        return  # no line can hold it; the TOML will be read instead
    text = "".join(f"{name} {value}\n" for name, value in values.items())
    write_file_durably(values_file(file), os.fsencode(text), _MODE)
