"""What `paperpath doctor` looks at.  Each check yields findings; none of them changes anything."""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from paperpath.cli.aliases import check_aliases
from paperpath.cli.faults import Fault, TemporaryFault
from paperpath.cli.findings import Finding, Verdict
from paperpath.cli.interpreter import ADVICE as INSTALL_ELSEWHERE
from paperpath.cli.interpreter import closed_to_others
from paperpath.cli.listeners import check_listeners
from paperpath.cli.open_logins import ADVICE, without_passwords
from paperpath.cli.show import count, size
from paperpath.process.troubles import read_troubles
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.config.layout import Folder
    from paperpath.config.schema import Config

_FREE_BAD_BYTES = 100 << 20
_FREE_NOTICE_BYTES = 1 << 30
_FREE_FILES_NOTICE = 10_000
_EARLIEST_S = 1_767_225_600
"""The first of January 2026: Paperpath is younger, so a clock that says less is not set."""
_CLOCK_SLACK_S = 60

_NO_FOLDER = "there is no such folder"
_BECOME = "run doctor as root, or as the server's user"


def all_checks(config: "Config", file: str, *, with_dns: bool) -> Iterator[Finding]:
    """Yield every finding, the causes before what follows from them."""
    yield from check_names(config)
    yield from check_program(config)
    yield from check_folders(config)
    yield from check_accounts(config)
    yield from check_aliases(config)
    yield from check_space(config.paths.state)
    yield check_clock(file, clock.now())
    troubles = read_troubles(config.paths.run)
    yield from check_processes(troubles)
    if "queue" not in troubles:
        yield check_queue(config)
    yield from check_certificates(config, clock.now())
    if closed := without_passwords(config):
        yield Finding("logins", "notice", closed, ADVICE)
    yield from check_listeners(config)
    if with_dns:
        yield check_dns(config)


def check_names(config: "Config") -> Iterator[Finding]:
    """Look at names that are allowed and still seldom meant."""
    if "." in config.hostname:
        yield Finding("hostname", "good", config.hostname)
    else:
        yield Finding(
            "hostname",
            "notice",
            f"{config.hostname} is not a full name",
            "other servers refuse mail from it: write a name with a domain",
        )
    ours = {*config.local.domains, *config.mailboxes.domains}
    for key in config.virtual:
        if key.rpartition("@")[2] in ours:
            advice = "a domain of [local] or [mailboxes] is never virtual: leave the entry out"
            yield Finding("virtual", "notice", f'"{key}" never applies', advice)


def check_program(config: "Config") -> Iterator[Finding]:
    """Look whether the users of the processes may run the program."""
    if config.privileges == "separate" and (closed := closed_to_others()):
        yield Finding("program", "bad", closed, INSTALL_ELSEWHERE)


def check_folders(config: "Config") -> Iterator[Finding]:
    """Look whether the folders are there, with the owners and modes that `init` gives them."""
    from paperpath.config.layout import layout

    separate = config.privileges == "separate" and os.geteuid() == 0
    remedy = "`paperpath init --system` makes it anew" if separate else "the service makes it when it starts"
    looked = [(folder, _folder_obstacle(folder)) for folder in layout(config, system=separate)]
    # systemd takes the folder of the sockets away with the service, and every boot does.
    gone_with_the_service = (config.paths.run, _NO_FOLDER) if separate else None
    wrong = [(folder, told) for folder, told in looked if told and (folder.path, told) != gone_with_the_service]
    if wrong and not _may_look(config.paths.state):
        found = f"{config.paths.state} belongs to another user: nothing in it can be looked at"
        yield Finding("folders", "bad", found, _BECOME)
        return
    for folder, obstacle in wrong:
        advice = remedy if "there is no" in obstacle else f"chown and chmod {folder.path} as it should be"
        yield Finding("folder", "bad", f"{folder.path}: {obstacle}", advice)
    if not wrong:
        yield Finding("folders", "good", config.paths.state)


def _may_look(state: str) -> bool:
    """Tell whether what `ls` says of the state is about the state, and not about who asks."""
    try:
        return os.geteuid() in (0, os.stat(state).st_uid)
    except OSError:
        return True


def _folder_obstacle(folder: "Folder") -> str:
    """Return what is wrong with a folder, or nothing."""
    try:
        now = os.stat(folder.path)
    except FileNotFoundError:
        return _NO_FOLDER
    except OSError as error:
        return error.strerror or "cannot be looked at"
    if not stat.S_ISDIR(now.st_mode):
        return "is not a folder"
    owner = _uid(folder.user)
    if owner is None:
        return f"should belong to {folder.user}, and there is no such user"
    if now.st_uid != owner:
        return f"belongs to user id {now.st_uid}, and should to {owner}" + (f" ({folder.user})" if folder.user else "")
    if stat.S_IMODE(now.st_mode) & ~folder.mode:
        return f"is open to others: mode {stat.S_IMODE(now.st_mode):04o}, should be {folder.mode:04o}"
    return ""


def _uid(user: str) -> int | None:
    from paperpath.system.users import find_user

    if not user:
        return os.geteuid()
    found = find_user(user)
    return None if found is None else found.uid


def check_accounts(config: "Config") -> Iterator[Finding]:
    """Look whether every account has its mailbox."""
    from paperpath.cli.accounts import open_accounts, told

    try:
        with told():
            accounts = open_accounts(config).all()
    except Fault as fault:
        yield Finding("accounts", "bad", str(fault), _BECOME)
        return
    for account in accounts:
        if not os.path.isdir(os.path.join(account.folder, "Maildir")):
            found = f"{account.address} has no {account.folder}/Maildir"
            yield Finding("account", "bad", found, "remove the account and add it again")
    yield Finding("accounts", "good", count(len(accounts), "account"))


def check_space(state: str) -> Iterator[Finding]:
    """Look whether there is room for mail."""
    try:
        free, files = shutil.disk_usage(state).free, os.statvfs(state)
    except OSError as error:
        yield Finding("disk", "bad", f"{state}: {error.strerror}", "see that [paths] state is right")
        return
    advice = "make room: without it new mail is put off"
    found = f"{size(free)} free at {state}"
    verdict: Verdict = "bad" if free < _FREE_BAD_BYTES else "notice" if free < _FREE_NOTICE_BYTES else "good"
    yield Finding("disk", verdict, found, "" if verdict == "good" else advice)
    # Some file systems make inodes as they need them, and say that they have none.
    if files.f_files and files.f_favail < _FREE_FILES_NOTICE:
        yield Finding("disk", "notice", f"only {files.f_favail:,} more files fit at {state}", advice)


def check_clock(file: str, now: float) -> Finding:
    """Look whether the clock can be right: the retry schedule and every Date depend on it."""
    advice = "set the clock, and let a time service keep it (systemd-timesyncd, chrony)"
    if now < _EARLIEST_S:
        return Finding("clock", "bad", "stands before 2026", advice)
    if os.stat(file).st_mtime > now + _CLOCK_SLACK_S:
        return Finding("clock", "notice", f"stands before the last change of {file}", advice)
    return Finding("clock", "good", "plausible")


def check_processes(troubles: Mapping[str, str]) -> Iterator[Finding]:
    """Say which processes of a service that runs do not; asking them would mean to wait for them."""
    for name, how in troubles.items():
        yield Finding(
            f"process {name}", "down", f"keeps ending: {how}", "the log tells more; it is tried again and again"
        )


def check_queue(config: "Config") -> Finding:
    """Look whether the queue answers."""
    from paperpath.cli.control import ask
    from paperpath.config.places import queue_control
    from paperpath.wire.control import Numbers, Statistics

    try:
        numbers = ask(queue_control(config), Statistics())
    except TemporaryFault as fault:
        found, _, advice = str(fault).partition("; ")
        return Finding("queue", "down", found, advice)
    except Fault as fault:
        return Finding("queue", "bad", str(fault), _BECOME)
    if not isinstance(numbers, Numbers):
        return Finding("queue", "bad", "answers something else", "restart the server: it may run another version")
    return Finding("queue", "good", f"{count(numbers.messages, 'message')}, {count(numbers.recipients, 'recipient')}")


def check_certificates(config: "Config", now: float) -> Iterator[Finding]:
    """Look whether clients can use the certificates, and for how long."""
    from paperpath.cli.certificates import day, look

    advice = "`paperpath tls` tells more; what is put in place is noticed without a restart"
    for one in look(config, now):
        for trouble in one.troubles:
            unsure = trouble.kind == "unreadable" and os.geteuid() != 0
            verdict: Verdict = "bad" if trouble.bad and not unsure else "notice"
            yield Finding("certificate", verdict, f"{one.certificate}: {trouble.text}", _BECOME if unsure else advice)
        if not one.troubles:
            yield Finding("certificate", "good", f"{one.certificate}: until {day(one.ends)}")


def check_dns(config: "Config") -> Finding:
    """Look whether the name server answers, without which no mail leaves but by [routes]."""
    from paperpath.cli.exchangers import name_server_trouble

    trouble = name_server_trouble(config.hostname, config.remote.resolver)
    if trouble:
        return Finding(
            "dns", "notice", trouble, "mail for other hosts waits: see /etc/resolv.conf or [remote] resolver"
        )
    return Finding("dns", "good", "the name server answers")
