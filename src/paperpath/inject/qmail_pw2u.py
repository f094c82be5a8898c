"""qmail-pw2u: makes users/assign from the lines of a passwd file (qmail-interfaces 4.4)."""

import os

from paperpath.base.digits import leading_digits
from paperpath.config.users import ALIAS_USER
from paperpath.inject.command import PERMANENT, TEMPORARY, Usage, fatal, options, qmail_home
from paperpath.system import injection

_BLANKS = b" \t\n"
_ALIAS = os.fsencode(ALIAS_USER)
_INPUT_MOST_BYTES = 1 << 30


class Fatal(Exception):
    """It cannot be done; the text says why."""


class Options:
    """What the command line says."""

    __slots__ = ("brk", "dash", "homes", "takes_upper")

    def __init__(self) -> None:
        self.brk, self.dash = b"-", b"-:"
        self.homes = b"o"
        self.takes_upper = False


class Users:
    """The files of a qmail home's ``users`` that say which accounts get mail, and by which names.  Raises OSError."""

    __slots__ = ("_folder", "append", "exclude", "include", "names", "subusers")

    def __init__(self, folder: str) -> None:
        self._folder = folder
        include, exclude, names = (self._entries(name) for name in ("include", "exclude", "mailnames"))
        self.include = None if include is None else {entry.lower() for entry in include}
        self.exclude = {entry.lower() for entry in exclude or ()}
        pairs = (entry.partition(b":") for entry in names or ())
        self.names = {user.lower(): values for user, colon, values in pairs if colon}
        self.subusers = self._read("subusers") or b""
        self.append = self._read("append") or b""

    def _read(self, name: str) -> bytes | None:
        try:
            with open(f"{self._folder}/{name}", "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _entries(self, name: str) -> list[bytes] | None:
        data = self._read(name)
        if data is None:
            return None
        lines = [line.rstrip(_BLANKS) for line in data.split(b"\n")]
        return [line for line in lines if line and not line.startswith(b"#")]


def main(argv: list[str]) -> int:
    """Print assignments for the accounts on standard input; nothing where it fails."""
    try:
        chosen = read_options([os.fsencode(word) for word in argv[1:]])
    except Usage:
        return PERMANENT
    home = qmail_home()
    try:
        os.chdir(home)
        users = Users("users")
    except OSError:
        return fatal("qmail-pw2u", "unable to read controls", TEMPORARY)
    try:
        accounts = injection.read_to_end(0, _INPUT_MOST_BYTES)
    except OSError:
        accounts = None
    if accounts is None:
        return fatal("qmail-pw2u", "unable to read input", TEMPORARY)
    try:
        injection.write_all(1, assignments(accounts, users, chosen))
    except Fatal as error:
        return fatal("qmail-pw2u", str(error), TEMPORARY)
    return 0


def read_options(words: list[bytes]) -> Options:
    """Read the command line.  Raises Usage."""
    chosen = Options()
    for letter, value in options(words, b"/ohHuUC", b"c"):
        if letter == b"/":
            chosen.dash = b"-/:"
        elif letter in b"ohH":
            chosen.homes = letter
        elif letter in b"uU":
            chosen.takes_upper = letter == b"u"
        else:
            chosen.brk = value[:1]
    return chosen


def assignments(accounts: bytes, users: Users, chosen: Options) -> bytes:
    """Return the assign file for these lines of passwd(5).  Raises Fatal."""
    lines: list[bytes] = []
    middles: dict[bytes, bytes] = {}
    for line in accounts.split(b"\n"):
        found = _account(line, users, chosen)
        if found is None:
            continue
        name, middle = found
        middles[name.lower()] = middle
        if name == _ALIAS:
            lines.append(b"+" + middle + chosen.dash + b":")
        for mail_name in users.names.get(name.lower(), name).split(b":"):
            if mail_name:
                lines += _pair(mail_name, middle, b"::", chosen.dash + b":", chosen)
    if _ALIAS not in middles:
        raise Fatal(f"unable to find {ALIAS_USER} user")
    for line in users.subusers.split(b"\n"):
        lines += _subuser(line, middles, chosen)
    return b"".join([line + b"\n" for line in lines]) + users.append + b".\n"


def _account(line: bytes, users: Users, chosen: Options) -> tuple[bytes, bytes] | None:
    """Return the name of an account that gets mail, and the fields that begin its assignments."""
    fields = line.split(b":")
    if b"\0" in line or len(fields) < 7:
        return None
    name, _, uid, gid, _, home = fields[:6]
    number = _leading_number(uid)
    if not number or (not chosen.takes_upper and name != name.lower()):
        return None
    if (users.include is not None and name.lower() not in users.include) or name.lower() in users.exclude:
        return None
    if chosen.homes != b"H" and not _owns(home, number, must_exist=chosen.homes == b"h"):
        return None
    return name, b":%b:%b:%b:%b:" % (name, uid, gid, home)


def _leading_number(text: bytes) -> int:
    digits = leading_digits(text)
    return int(digits) if 0 < len(digits) <= 10 else 0


def _owns(home: bytes, uid: int, *, must_exist: bool) -> bool:
    try:
        return os.stat(home).st_uid == uid
    except OSError as error:
        if must_exist or not isinstance(error, FileNotFoundError):
            raise Fatal(f"unable to stat {os.fsdecode(home)}") from None
        return False


def _pair(name: bytes, middle: bytes, exact: bytes, prefix: bytes, chosen: Options) -> list[bytes]:
    """Return the line for a name itself, and the one for its extensions where there are any."""
    lines = [b"=" + name + middle + exact]
    return [*lines, b"+" + name + chosen.brk + middle + prefix] if chosen.brk else lines


def _subuser(line: bytes, middles: dict[bytes, bytes], chosen: Options) -> list[bytes]:
    fields = line.split(b":")
    if len(fields) < 3:
        return []
    name, user, extension = fields[:3]
    middle = middles.get(user.lower())
    if middle is None:
        raise Fatal(f"unable to find {os.fsdecode(user)} user for subuser")
    if len(fields) < 4:
        return []
    return _pair(name, middle, chosen.dash + extension + b":", chosen.dash + extension + b"-:", chosen)
