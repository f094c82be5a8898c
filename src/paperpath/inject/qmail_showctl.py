"""qmail-showctl: what the control files of a qmail host say, in words (qmail-interfaces 18)."""

import grp
import os
import pwd

from paperpath.config.control import LINES, NUMBERS, Control
from paperpath.inject.command import printable, qmail_home
from paperpath.system import injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_USERS = ("alias", "qmaild", "qmaill", "root", "qmailp", "qmailq", "qmailr", "qmails")
_GROUPS = ("nofiles", "qmail")
_TROUBLE = b"Oops! Trouble reading this file.\n"
_TO_RECIPIENTS = b"SMTP clients may send messages to recipients at "
_DERIVED = "morercpthosts.cdb"

_LINES_SAY = {
    "bouncefrom": b"Bounce user name is ",
    "bouncehost": b"Bounce host name is ",
    "defaultdomain": b"Default domain name is ",
    "defaulthost": b"Default host name is ",
    "doublebouncehost": b"2B recipient host: ",
    "doublebounceto": b"2B recipient user: ",
    "envnoathost": b"Presumed domain name is ",
    "helohost": b"SMTP client HELO host name is ",
    "idhost": b"Message-ID host name is ",
    "localiphost": b"Local IP address becomes ",
    "me": b"My name is ",
    "plusdomain": b"Plus domain name is ",
    "smtpgreeting": b"SMTP greeting: 220 ",
}
_NUMBERS_SAY = {
    "concurrencylocal": (b"Local concurrency is ", b""),
    "concurrencyremote": (b"Remote concurrency is ", b""),
    "databytes": (b"SMTP DATA limit is ", b" bytes"),
    "queuelifetime": (b"Message lifetime in the queue is ", b" seconds"),
    "timeoutconnect": (b"SMTP client connection timeout is ", b" seconds"),
    "timeoutremote": (b"SMTP client data timeout is ", b" seconds"),
    "timeoutsmtpd": (b"SMTP server data timeout is ", b" seconds"),
}
_LISTS_SAY = {
    "badmailfrom": (b"Any MAIL FROM is allowed.", b"", b" not accepted in MAIL FROM."),
    "locals": (b"Messages for me are delivered locally.", b"Messages for ", b" are delivered locally."),
    "percenthack": (b"The percent hack is not allowed.", b"The percent hack is allowed for user%host@", b"."),
    "qmqpservers": (b"No QMQP servers.", b"QMQP server: ", b"."),
    "rcpthosts": (b"SMTP clients may send messages to any recipient.", _TO_RECIPIENTS, b"."),
    "smtproutes": (b"No artificial SMTP routes.", b"SMTP route: ", b""),
    "virtualdomains": (b"No virtual domains.", b"Virtual domain: ", b""),
}
_MORE_WITH = (b"No effect.", _TO_RECIPIENTS, b".")
_MORE_WITHOUT = (
    b"No rcpthosts; morercpthosts is irrelevant.",
    b"No rcpthosts; doesn't matter that morercpthosts has ",
    b".",
)
_BY_NAME = sorted({*_LINES_SAY, *_NUMBERS_SAY, *_LISTS_SAY})
_AT = _BY_NAME.index("rcpthosts") + 1
_KNOWN = [*_BY_NAME[:_AT], "morercpthosts", _DERIVED, *_BY_NAME[_AT:]]
"""By name, except that what belongs to rcpthosts follows it."""


def main(_argv: list[str]) -> int:
    """Print it all; return 111 where the folder, or ``me``, cannot be read."""
    home = qmail_home()
    injection.write_all(1, _preamble(home))
    try:
        names = sorted(os.listdir(f"{home}/control"))
    except OSError:
        injection.write_all(1, b"Oops! Unable to chdir to control.\n")
        return 111
    try:
        Control(home).read_line("me")
    except OSError:
        injection.write_all(1, b"Oops! Trouble reading control/me.")
        return 111
    sections = [b"\n" + name.encode() + b": " + _section(home, name) for name in _KNOWN]
    unknown = [os.fsencode(name) for name in names if name not in _KNOWN]
    sections += [b"\n" + printable(name) + b": I have no idea what this file does.\n" for name in unknown]
    injection.write_all(1, b"".join(sections))
    return 0


def _preamble(home: str) -> bytes:
    users = ", ".join(_id(lambda name: pwd.getpwnam(name).pw_uid, name) for name in _USERS)
    groups = ", ".join(_id(lambda name: grp.getgrnam(name).gr_gid, name) for name in _GROUPS)
    return os.fsencode(
        f"qmail home directory: {home}.\nuser-ext delimiter: -.\npaternalism (in decimal): 2.\n"
        f"silent concurrency limit: 120.\nsubdirectory split: 23.\nuser ids: {users}.\ngroup ids: {groups}.\n"
    )


def _id(find: "Callable[[str], int]", name: str) -> str:
    try:
        return str(find(name))
    except KeyError:
        return "none"


def _section(home: str, name: str) -> bytes:
    control = Control(home)
    try:
        if name in _LINES_SAY:
            return _line(control, name)
        if name in _NUMBERS_SAY:
            return _number(control, name)
        if name == _DERIVED:
            return _derived(f"{home}/control/morercpthosts")
        if name == "morercpthosts":
            has_hosts = control.read_list("rcpthosts") is not None
            return _list(control, name, *(_MORE_WITH if has_hosts else _MORE_WITHOUT))
        return _list(control, name, *_LISTS_SAY[name])
    except OSError:
        return _TROUBLE


def _line(control: Control, name: str) -> bytes:
    found = control.read_line(name)
    if found is not None:
        return _LINES_SAY[name] + printable(found) + b".\n"
    me_counts, literal = LINES[name]
    default = control.read_line("me") if me_counts else None
    if default is None:
        default = b"undefined! Uh-oh" if name == "me" else literal or name.encode()
    return b"(Default.) " + _LINES_SAY[name] + printable(default) + b".\n"


def _number(control: Control, name: str) -> bytes:
    before, behind = _NUMBERS_SAY[name]
    found = control.read_int(name, -1)
    default = b"(Default.) " if found < 0 else b""
    return default + before + b"%d" % (NUMBERS[name] if found < 0 else found) + behind + b".\n"


def _list(control: Control, name: str, default: bytes, before: bytes, behind: bytes) -> bytes:
    found = control.read_list(name)
    if found is None:
        return b"(Default.) " + default + b"\n"
    return b"\n" + b"".join([before + printable(entry) + behind + b"\n" for entry in found])


def _derived(source: str) -> bytes:
    made, written = _changed(source + ".cdb"), _changed(source)
    if written is None:
        if made is None:
            return b"(Default.) No effect.\n"
        return b"Oops! morercpthosts.cdb exists but morercpthosts doesn't.\n"
    if made is None:
        return b"Oops! morercpthosts exists but morercpthosts.cdb doesn't.\n"
    if written > made:
        return b"Oops! morercpthosts.cdb is older than morercpthosts.\n"
    return b"Modified recently enough; hopefully up to date.\n"


def _changed(path: str) -> int | None:
    """Return when a file was changed, in seconds; None where it is not there."""
    try:
        return int(os.stat(path).st_mtime)
    except OSError:
        return None
