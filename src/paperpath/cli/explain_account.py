"""What `paperpath explain` tells of an address that belongs to a system account: whose it is, and what is done."""

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from paperpath.base.address import split
from paperpath.base.text import show

if TYPE_CHECKING:
    from paperpath.config.schema import Config
    from paperpath.config.users import Assignment
    from paperpath.delivery.dotqmail import Instruction
    from paperpath.system.users import User

FindUser = Callable[[str], "User | None"]
Told = tuple[tuple[str, ...], bool | None]
"""Lines, and whether the recipient exists; None where that cannot be told now."""


def tell_account(config: "Config", address: bytes, find_user: FindUser) -> Told:
    """Return what becomes of mail for ``address``, which is local by routing."""
    from paperpath.cli.explain_alias import tell_alias
    from paperpath.config.users import ALIAS_USER

    local = split(address)[0]
    if not local:
        return ("empty local part: the mail is thrown away",), True
    lines: list[str] = []
    try:
        found = _owner(config, local, find_user, lines)
    except (OSError, ValueError) as error:
        return (*lines, f"mail waits: {getattr(error, 'strerror', None) or error}"), None
    if found is None:
        return (*lines, "no such account: refused at RCPT"), False
    lines.append(
        f'{found.user}: system account, user id {found.uid}, home {found.home}, dash "{show(found.dash)}", '
        f'extension "{show(found.extension)}"'
    )
    if found.user == ALIAS_USER and config.local.aliases and not _has_file(found):
        told = tell_alias(config, found.extension + b"@" + split(address)[1])
        return (*lines, *_missing(found, None), *told[0]), told[1]
    delivery, exists = _delivery(config, found)
    return (*lines, *delivery), exists


def _owner(config: "Config", local: bytes, find_user: FindUser, lines: list[str]) -> "Assignment | None":
    """Look in the order of `config.users`, noting in ``lines`` what did not fit."""
    from paperpath.config.users import ALIAS_USER, Assignments, getpw

    if config.qmail.home:
        assigned = Assignments(config.qmail.home).find(local)
        if assigned is not None:
            lines.append("users/cdb assigns it")
            return assigned
        lines.append("users/cdb assigns it to nobody")
    lines += _tried(local, find_user)
    found = getpw(local, find_user)
    if found is None and (config.qmail.home or config.local.aliases):
        raise ValueError(f"there is no user {ALIAS_USER}")
    if found is not None and found.user == ALIAS_USER:
        lines.append("belongs to no account: the alias user's")
    return found


def _tried(local: bytes, find_user: FindUser) -> Iterator[str]:
    """Yield why each account before the right one is not it (reference 4.5)."""
    from paperpath.config.users import eligible, splits

    for name, _, _ in splits(local):
        if eligible(name, find_user) is not None:
            return
        user = find_user(name.decode()) if name.isascii() else None
        yield f"{show(name)}: {_obstacle(user)}"


def _obstacle(user: "User | None") -> str:
    if user is None:
        return "no system account"
    if user.uid == 0:
        return "root gets no mail"
    try:
        own = os.stat(user.home).st_uid == user.uid
    except OSError as error:
        return f"home {user.home}: {error.strerror}"
    return "cannot get mail by this name" if own else f"does not own its home {user.home}"


def _delivery(config: "Config", found: "Assignment") -> Told:
    from paperpath.delivery.checks import check_home
    from paperpath.delivery.choice import choose
    from paperpath.delivery.dotqmail import parse
    from paperpath.delivery.errand import Refused

    try:
        check_home(found.home)
        chosen = choose(found.home, found.dash, found.extension)
    except Refused as refused:
        return (f"mail waits: {refused.outcome.text}",), None
    except OSError as error:
        return (f"mail waits: home {found.home}: {error.strerror}",), None
    default = config.local.default_delivery.encode()
    otherwise = f"{_forward_note(config, found.home)}[local] default_delivery"
    missing = tuple(_missing(found, chosen.name if chosen else None))
    if chosen is None and found.dash:
        return (*missing, "no file for this extension: refused at RCPT"), False
    if chosen is None:
        return (*missing, f"no file: {otherwise}", *_instructions(parse(default), found.home)), True
    if not chosen.content:
        lines = _instructions(parse(default), found.home)
        return (*missing, f"{show(chosen.name)}: followed; empty: {otherwise}", *lines), True
    lines = _instructions(parse(chosen.content, forward_only=chosen.forward_only), found.home)
    return (*missing, f"{show(chosen.name)}: followed{_default_part(found, chosen.name)}", *lines), True


def _forward_note(config: "Config", home: str) -> str:
    """Return what is followed before the default delivery."""
    path = os.path.join(home, ".forward")
    if config.local.forward_files == "ignored" or not os.path.isfile(path):
        return ""
    return f"{path} is followed, and where it names the account itself, or nobody: "


def _has_file(found: "Assignment") -> bool:
    """Tell whether a dot-qmail file comes before the aliases; one that cannot be looked at is told of elsewhere."""
    from paperpath.delivery.choice import choose
    from paperpath.delivery.errand import Refused

    try:
        return choose(found.home, found.dash, found.extension) is not None
    except Refused:
        return True


def _missing(found: "Assignment", chosen: bytes | None) -> Iterator[str]:
    from paperpath.base.dotqmail_names import candidates

    for name in candidates(found.dash, found.extension):
        if name == chosen:
            return
        yield f"{show(name)}: not there"


def _default_part(found: "Assignment", name: bytes) -> str:
    from paperpath.base.dotqmail_names import default_part

    part = default_part(found.dash, found.extension, name)
    return "" if part is None else f', default stands for "{show(part)}"'


def _instructions(instructions: "tuple[Instruction, ...]", home: str) -> Iterator[str]:
    """Yield what each line would do."""
    from paperpath.delivery.dotqmail import Comment, Forbidden, ListSwitch, Maildir, describe

    acting = [one for one in instructions if not isinstance(one, Comment | ListSwitch)]
    if not acting:
        yield "  nothing but comments: the mail is thrown away"
    for one in acting:
        if isinstance(one, Forbidden):
            yield f"  mail waits: {one.outcome.text}"
            return
        line = f"  {show(describe(one))}"
        if isinstance(one, Maildir) and not os.path.isdir(os.path.join(os.fsencode(home), one.path)):
            line += ", which is not there: mail waits until it is"
        yield line
