"""`paperpath import qmail HOME`: what an existing host's control files say, as Paperpath's own configuration."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from paperpath.base.text import one_line
from paperpath.cli.show import say
from paperpath.config.write import quoted

if TYPE_CHECKING:
    from paperpath.config.schema import Config

Value = str | int | tuple[str, ...] | dict[str, str]

_SETTINGS = (
    ("hostname", "me"),
    ("local.domains", "locals"),
    ("local.default_domain", "envnoathost"),
    ("local.percent_hack", "percenthack"),
    ("local.default_delivery", "defaultdelivery"),
    ("virtual", "virtualdomains"),
    ("relay.open_to", "rcpthosts"),
    ("relay.domains", "rcpthosts"),
    ("routes", "smtproutes"),
    ("receive.message_size", "databytes"),
    ("receive.command_timeout", "timeoutsmtpd"),
    ("receive.greeting", "smtpgreeting"),
    ("receive.literal_domain", "localiphost"),
    ("receive.refused_senders", "badmailfrom"),
    ("queue.lifetime", "queuelifetime"),
    ("queue.local_concurrency", "concurrencylocal"),
    ("queue.remote_concurrency", "concurrencyremote"),
    ("remote.helo", "helohost"),
    ("remote.connect_timeout", "timeoutconnect"),
    ("remote.timeout", "timeoutremote"),
    ("bounce.address", "bouncefrom"),
    ("bounce.host", "bouncehost"),
    ("bounce.double_to", "doublebounceto"),
)
"""Settings in the order in which they are printed, and the control file of each."""

_PART_OF_OTHERS = {"doublebouncehost", "morercpthosts", "morercpthosts.cdb"}
_OF_PROGRAMS = {"defaultdomain", "defaulthost", "idhost", "plusdomain", "qmqpservers"}
_DEFAULT_DELIVERY = "./Mailbox"
"""What qmail-start does when it is told nothing."""


@dataclass(slots=True)
class _Import:
    """The settings on their way into a file, and what could not come along."""

    values: dict[str, Value]
    warnings: list[str] = field(default_factory=list)

    def drop(self, key: str, wrong: str) -> None:
        """Leave out a setting, or the one entry of it that the key of a problem names."""
        name, file = next(
            (name, file) for name, file in _SETTINGS if key == name or key.startswith((name + ".", name + "["))
        )
        value, rest = self.values[name], key[len(name) :]
        what = ""
        if isinstance(value, tuple) and rest.startswith("["):
            at = int(rest[1:-1])
            what = f" {value[at]!r}"
            self.values[name] = value[:at] + value[at + 1 :]
        elif isinstance(value, dict) and rest[1:] in value:
            what = f" {rest[1:]!r}"
            self.values[name] = {key: text for key, text in value.items() if key != rest[1:]}
        else:
            del self.values[name]
        self.warnings.append(f"control/{file}:{what} is left out: {wrong}")


@click.group("import")
def command() -> None:
    """Turn another mail server's configuration into one for Paperpath.

    \b
    Example:
      paperpath import qmail /var/qmail > paperpath.toml
    """


@command.command("qmail", short_help="Print what the control files of a qmail host say, as a configuration.")
@click.argument("home", type=click.Path(exists=True, file_okay=False))
def qmail(home: str) -> None:
    """Print the configuration that says what the control files of a qmail host say.

    Nothing is written.  A host that is to keep its control files names them instead: [qmail] home = "HOME".
    What has no equivalent is told on standard error, and in comments at the end.

    \b
    Example:
      paperpath import qmail /var/qmail > paperpath.toml
    """
    text, warnings = import_qmail(home)
    say(text.removesuffix("\n"))
    for warning in warnings:
        click.echo(f"paperpath: {one_line(warning)}", err=True)


def import_qmail(home: str) -> tuple[str, tuple[str, ...]]:
    """Return the file's text, and what does not come along.  Raises ConfigError."""
    from paperpath.config.control import Control
    from paperpath.config.qmail import with_control
    from paperpath.config.schema import Config, Qmail

    control = Control(home)
    config = with_control(Config(hostname="localhost", qmail=Qmail(home=home)))
    found = _Import({name: _value(config, name) for name, _ in _SETTINGS})
    _default_delivery(found, control.read_line("defaultdelivery"))
    _without_raw_bytes(found)
    _without_problems(found)
    found.warnings += _not_covered(home)
    return _text(home, found), tuple(found.warnings)


def _value(config: "Config", name: str) -> Value:
    value: object = config
    for part in name.split("."):
        value = getattr(value, part)
    assert isinstance(value, str | int | tuple | dict)
    return value


def _default_delivery(found: _Import, line: bytes | None) -> None:
    if line:
        found.values["local.default_delivery"] = line.decode("utf-8", "surrogateescape")
        return
    found.values["local.default_delivery"] = _DEFAULT_DELIVERY
    found.warnings.append(
        "the default delivery is an argument of qmail-start, which no control file tells: see its run script and set "
        "[local] default_delivery"
    )


def _without_raw_bytes(found: _Import) -> None:
    """TOML is UTF-8: leave out what is not."""
    for name, value in list(found.values.items()):
        entries = list(value) if isinstance(value, tuple) else []
        for at in range(len(entries) - 1, -1, -1):
            if not _is_text(entries[at]):
                found.drop(f"{name}[{at}]", "it is not UTF-8")
        if isinstance(value, dict):
            for key, text in value.items():
                if not _is_text(key + text):
                    found.drop(f"{name}.{key}", "it is not UTF-8")
        elif isinstance(value, str) and not _is_text(value):
            found.drop(name, "it is not UTF-8")


def _is_text(text: str) -> bool:
    return not any("\udc80" <= character <= "\udcff" for character in text)


def _without_problems(found: _Import) -> None:
    """Leave out what Paperpath's own file may not say: qmail takes any bytes for a domain."""
    from paperpath.config.load import parse
    from paperpath.config.problems import ConfigError

    while True:  # what is of the wrong kind is found first, and each round leaves out something
        try:
            parse(_text("", found), "/paperpath.toml")
        except ConfigError as error:
            # From the last to the first, so that places in lists stay what they are.
            for problem in reversed(error.problems):
                found.drop(problem.key, problem.wrong)
        else:
            return


def _not_covered(home: str) -> Iterator[str]:
    """Yield what lies under a qmail home and has no place in the file."""
    used = {file for _, file in _SETTINGS} | _PART_OF_OTHERS
    for name in sorted(os.listdir(os.path.join(home, "control"))):
        if name in _OF_PROGRAMS:
            yield f"control/{name}: for the injecting programs, which read it themselves under [qmail] home"
        elif name not in used:
            yield f"control/{name}: has no equivalent"
    if not os.path.exists(os.path.join(home, "control", "rcpthosts")):
        yield "control/rcpthosts is not there, so qmail relays for everybody: this configuration does not"
    if os.path.exists(os.path.join(home, "users", "cdb")):
        yield "users/cdb: counts only under [qmail] home"
    yield "who may relay is in tcpserver's rules (RELAYCLIENT): name those clients in [relay] networks"
    yield "where to listen is in run scripts: add a [[listen]] for each"


def _text(home: str, found: _Import) -> str:
    lines = [f"# What the control files under {one_line(home)} say, by `paperpath import qmail`."]
    section = ""
    for name, file in _SETTINGS:
        if name not in found.values:
            continue
        value = found.values[name]
        table, _, key = name.rpartition(".")
        if isinstance(value, dict):
            lines += ["", f"[{name}]", _origin(home, file)]
            lines += [f"{quoted(entry)} = {quoted(text)}" for entry, text in sorted(value.items())]
            section = name
            continue
        if table != section:
            lines += ["", f"[{table}]"]
            section = table
        lines += [_origin(home, file), f"{key} = {_toml(value)}"]
    if found.warnings:
        lines += ["", "# Not here:", *(f"# {one_line(warning)}" for warning in found.warnings)]
    return "\n".join(lines) + "\n"


def _origin(home: str, file: str) -> str:
    there = os.path.exists(os.path.join(home, "control", file))
    return f"# control/{file}" if there else f"# control/{file} is not there: the default"


def _toml(value: str | int | tuple[str, ...]) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(quoted, value)) + "]"
    return quoted(value) if isinstance(value, str) else str(value)
