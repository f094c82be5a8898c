"""Where the server is: read from the little file that lies beside the configuration, written by `paperpath`.

The configuration is TOML, and reading that costs more than everything else that an injecting program does.  So
``paperpath.toml`` has ``paperpath.programs`` beside it: the few values that are needed here, under a stamp of the
configuration that they were taken from.  Where the stamp is not that of the configuration, the TOML is read after all.
"""

import os

from paperpath.config.program_values import DEFAULT_FILE, parse_values, stamp_of, values_file


class NoConfiguration(Exception):
    """The configuration cannot be read; the text says why."""


class Places:
    """What injecting programs know of the server."""

    __slots__ = ("aliases", "hostname", "qmail_home", "run", "size_most_bytes", "state")

    def __init__(self, values: dict[str, str]) -> None:
        self.hostname = values["hostname"]
        self.run, self.state = values["run"], values["state"]
        self.qmail_home = values["qmail_home"]
        self.aliases = values.get("aliases", "")
        self.size_most_bytes = int(values["message_size"])

    @property
    def socket(self) -> str:
        """Where `receive` takes messages."""
        return self.run + "/inject"

    @property
    def drop(self) -> str:
        """Where messages wait for a server that is stopped."""
        return self.state + "/drop"


def find_places() -> Places:
    """Return what the configuration in force says.  Raises NoConfiguration."""
    file = os.environ.get("PAPERPATH_CONFIG") or DEFAULT_FILE
    try:
        stamp = stamp_of(file)
        values = _read_values(values_file(file), stamp)
        return Places(values if values is not None else _read_toml(file))
    except (OSError, ValueError, KeyError) as error:
        words = error.strerror if isinstance(error, OSError) else error
        raise NoConfiguration(f"{file}: {words}") from None


def _read_values(file: str, stamp: str) -> dict[str, str] | None:
    try:
        with open(file, "rb") as stream:
            values = parse_values(os.fsdecode(stream.read()))
    except (FileNotFoundError, PermissionError):
        return None
    return values if values.get("stamp") == stamp else None


def _read_toml(file: str) -> dict[str, str]:
    """Read the configuration itself, as far as it concerns us; `paperpath check-config` is who complains about it."""
    import tomllib

    from paperpath.config.program_values import from_toml

    with open(file, "rb") as stream:
        return from_toml(tomllib.load(stream), os.path.dirname(os.path.abspath(file)))
