"""`paperpath init`: a configuration that works, its folders, its first accounts."""

import os
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from paperpath.cli.accounts import open_accounts, told
from paperpath.cli.faults import Fault
from paperpath.cli.passwords import generate
from paperpath.cli.show import note, say, strong
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.config.schema import Config

_DEFAULT_LISTEN = "smtp=127.0.0.1:2525"
_SYSTEM_LISTEN = "smtp=0.0.0.0:25"
_PUBLIC_MODE = 0o755
_CONFIG_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Plan:
    """What `init` is about to make."""

    file: str
    text: str
    accounts: tuple[str, ...]
    system: bool


@click.command("init")
@click.argument("folder", metavar="[DIR]", required=False, type=click.Path(file_okay=False))
@click.option("--hostname", metavar="NAME", help="This host's name; else what the kernel says.")
@click.option("--account", "accounts", metavar="A@D", multiple=True, help="Make this mailbox; may be repeated.")
@click.option(
    "--listen",
    "listeners",
    metavar="SERVICE=HOST:PORT",
    multiple=True,
    help=f"Listen there; may be repeated.  [default: {_DEFAULT_LISTEN}; with --system {_SYSTEM_LISTEN}]",
)
@click.option("--system", is_flag=True, help="As root: for the whole host, with system users and /etc/paperpath.")
def command(
    folder: str | None,
    hostname: str | None,
    accounts: tuple[str, ...],
    listeners: tuple[str, ...],
    system: bool,
) -> None:
    """Write DIR/paperpath.toml, make its folders, and its first accounts with new passwords.

    State goes to DIR/state, sockets to DIR/run; root is not needed.  Where submission or pop3 is asked for, passwords
    are taken in clear from clients on this host, so that it can be tried without a certificate.  With --system the
    file is /etc/paperpath/paperpath.toml, state is /var/lib/paperpath, sockets are in /run/paperpath, and the system
    users that the processes run as are made.  An existing file is never overwritten: --system
    alone then makes the users and folders that are missing.

    \b
    Examples:
      paperpath init try --hostname mx.trial.test --account you@trial.test
      paperpath init try --listen smtp=127.0.0.1:2526 --listen submission=127.0.0.1:2587
      paperpath init --system --hostname mx.example.org
    """
    if system and folder:
        raise click.UsageError("--system has folders of its own; leave DIR out")
    if not system and not folder:
        raise click.UsageError("name a folder, or --system for the whole host")
    if system and not (hostname or accounts or listeners) and _complete():
        return
    plan = _plan(folder, hostname, accounts, listeners or (_SYSTEM_LISTEN if system else _DEFAULT_LISTEN,))
    if os.path.lexists(plan.file):
        instead = "`paperpath init --system` alone makes what it lacks" if system else "choose another folder"
        raise Fault(f"{plan.file} exists already and is left as it is; remove it first, or {instead}")
    _carry_out(plan)


def _complete() -> bool:
    """Make the users and folders that an installed host lacks, as after an upgrade; tell whether it is one."""
    from paperpath.config.load import load
    from paperpath.config.program_values import DEFAULT_FILE

    if not os.path.lexists(DEFAULT_FILE):
        return False
    config = load(DEFAULT_FILE)
    _make_users()
    _make_folders(config, system=config.privileges == "separate")
    say(f"{DEFAULT_FILE} is left as it is; its users and folders are there")
    return True


def _plan(folder: str | None, hostname: str | None, accounts: tuple[str, ...], listeners: tuple[str, ...]) -> Plan:
    """Judge what was asked for before anything is made."""
    from paperpath.config.logins import LOGIN_SERVICES
    from paperpath.config.program_values import DEFAULT_FILE, DEFAULT_RUN, DEFAULT_STATE
    from paperpath.config.write import config_text

    sockets = tuple(_listener(listener) for listener in listeners)
    checked = tuple(dict.fromkeys(_account(address) for address in accounts))
    text = config_text(
        hostname=_hostname(hostname),
        privileges="caller" if folder else "separate",
        postmaster=checked[0] if checked else "",
        listeners=sockets,
        domains=tuple(dict.fromkeys(address.rpartition("@")[2] for address in checked)),
        state="state" if folder else DEFAULT_STATE,
        run="run" if folder else DEFAULT_RUN,
        logins_in_clear=bool(folder) and any(service in LOGIN_SERVICES for service, _ in sockets),
    )
    file = os.path.join(os.path.abspath(folder), "paperpath.toml") if folder else DEFAULT_FILE
    return Plan(file, text, checked, system=not folder)


def _hostname(given: str | None) -> str:
    from paperpath.config.names import domain_name

    try:
        return domain_name(given or os.uname().nodename)
    except ValueError as error:
        raise click.UsageError(f"--hostname: {error}") from None


def _account(address: str) -> str:
    from paperpath.config.mailbox_path import account_name

    name = account_name(address.encode("utf-8", "surrogateescape"))
    if name is None:
        raise click.UsageError(f"--account: {address!r} cannot be an account; write something like you@example.net")
    return "@".join(name)


def _listener(text: str) -> tuple[str, str]:
    from paperpath.config.endpoints import parse_listen
    from paperpath.config.fields import fields_of
    from paperpath.config.schema import Listen
    from paperpath.wire.tls import TLS_FROM_THE_START

    service, separator, address = text.partition("=")
    services = fields_of(Listen)[0].choices
    if not separator or service not in services:
        raise click.UsageError(f"--listen: {text!r} is not SERVICE=HOST:PORT with one of {', '.join(services)}")
    if service in TLS_FROM_THE_START:
        raise click.UsageError(
            f"--listen: {service} needs a certificate: write it into the file, with certificate and key in [tls]"
        )
    try:
        return service, str(parse_listen(address))
    except ValueError as error:
        raise click.UsageError(f"--listen: {error}") from None


def _carry_out(plan: Plan) -> None:
    """Make users, folders, file and accounts, in this order."""
    from paperpath.config.load import parse
    from paperpath.config.program_values import write_values
    from paperpath.system.files import make_folders_durably, write_file_durably

    config = parse(plan.text, plan.file)
    if plan.system:
        _make_users()
    make_folders_durably(os.path.dirname(plan.file), _PUBLIC_MODE)
    _make_folders(config, system=plan.system)
    write_file_durably(plan.file, plan.text.encode(), _CONFIG_MODE)
    write_values(config, plan.file)
    say(f"wrote {plan.file}")
    accounts = open_accounts(config)
    for address in plan.accounts:
        secret = generate()
        with told():
            accounts.add(address, secret, int(clock.now()))
        say(f"made {address}, password {secret}   (shown only now)")
    _say_what_next(plan, config)


def _make_users() -> None:
    from paperpath.config.identities import ALL_USERS
    from paperpath.system.user_creation import UsersError, ensure_user

    if os.geteuid() != 0:
        raise Fault("--system makes system users and folders, which only root can; without root: `paperpath init DIR`")
    try:
        made = [name for name in ALL_USERS if ensure_user(name)]
    except UsersError as error:
        raise Fault(str(error)) from None
    if made:
        say(f"made system users {', '.join(made)}")


def _make_folders(config: "Config", *, system: bool) -> None:
    import grp
    import pwd

    from paperpath.config.layout import layout
    from paperpath.system.files import make_folders_durably
    from paperpath.system.folders import give

    for folder in layout(config, system=system):
        make_folders_durably(folder.path, folder.mode)
        if folder.user:
            give(folder.path, pwd.getpwnam(folder.user).pw_uid, grp.getgrnam(folder.group).gr_gid, folder.mode)


def _say_what_next(plan: Plan, config: "Config") -> None:
    from paperpath.cli import interpreter
    from paperpath.cli.open_logins import ADVICE, without_passwords

    if plan.system and (closed := interpreter.closed_to_others()):
        note(f"{closed}; {interpreter.ADVICE}")
    if closed := without_passwords(config):
        note(f"{closed}; {ADVICE}")
    near = os.path.relpath(plan.file)
    option = "" if plan.system else f" --config {shlex.quote(plan.file if near.startswith('..') else near)}"
    say()
    say(strong("Next:"))
    say(f"  paperpath serve{option}")
    if not plan.accounts:
        say(f"  add a domain to [mailboxes] in the file, then paperpath account add{option} YOU@DOMAIN")
    elif any(one.service == "smtp" for one in config.listen):
        say(f"  paperpath send{option} --to {plan.accounts[0]}      (in another terminal)")
