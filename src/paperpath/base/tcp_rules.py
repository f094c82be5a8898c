"""Access rules by address and name, as tcpserver has them (qmail-interfaces 19.3): source, table and order.

A table is a cdb whose keys are the addresses as they are written; data are ``D NUL`` for a refusal, and
``+NAME=value NUL`` for each variable.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from paperpath.base.cdb import Cdb

_BLANKS = b" \t\n"
_HIGHEST = 255
_REFUSED, _SET = b"D", b"+"


class BadRule(ValueError):
    """A line is no rule; the argument is the line."""


def records(source: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield key and data of each rule.  Lines without a colon are nothing.  Raises BadRule."""
    for written in source.split(b"\n"):
        line = written.rstrip(_BLANKS)
        address, colon, verdict = line.partition(b":")
        if not colon or line.startswith(b"#"):
            continue
        data = _data(verdict, line)
        for key in _keys(address, line):
            yield key, data


def _data(verdict: bytes, line: bytes) -> bytes:
    if verdict.startswith(b"deny"):
        data, rest = _REFUSED + b"\0", verdict[4:]
    elif verdict.startswith(b"allow"):
        data, rest = b"", verdict[5:]
    else:
        raise BadRule(line)
    while rest:
        name, equals, behind = rest[1:].partition(b"=")
        value, end, rest_behind = behind[1:].partition(behind[:1] or b"\0")
        if not rest.startswith(b",") or not equals or not behind or not end:
            raise BadRule(line)
        data += _SET + name + equals + value + b"\0"
        rest = rest_behind
    return data


def _keys(address: bytes, line: bytes) -> Iterator[bytes]:
    """Yield the addresses that a rule is about: a range of numbers is several."""
    before, dash, behind = address.partition(b"-")
    if not dash or b"=" in address or b"@" in address:
        yield address
        return
    prefix, dot, lowest = before.rpartition(b".")
    highest, more, suffix = behind.partition(b".")
    if (lowest + highest).translate(None, b"0123456789"):
        raise BadRule(line)
    for number in range(int(lowest[:9] or b"0"), min(int(highest[:9] or b"0"), _HIGHEST) + 1):
        yield prefix + dot + b"%d" % number + more + suffix


def candidates(address: bytes, name: bytes | None, info: bytes | None) -> Iterator[bytes]:
    """Yield the keys that decide about a connection, the first that is there wins.

    ``name`` is what the address is called, ``info`` what its host says of the user there.
    """
    if info is not None:
        yield info + b"@" + address
        if name is not None:
            yield info + b"@=" + name
    yield address
    if name is not None:
        yield b"=" + name
    for end in range(len(address), 0, -1):
        if address[end - 1 : end] == b".":
            yield address[:end]
    if name is not None:
        for at in range(len(name)):
            if name[at : at + 1] == b".":
                yield b"=" + name[at:]
        yield b"="
    yield b""


class Verdict:
    """What a table says about one connection."""

    __slots__ = ("is_refused", "rule", "variables")

    def __init__(self, rule: bytes | None, data: bytes) -> None:
        self.rule = rule
        """The key that decided; None: no rule, and so nothing changes."""
        self.variables: list[bytes] = []
        """``NAME=value``, in order."""
        self.is_refused = False
        for record in data.split(b"\0")[:-1]:
            if record[:1] == _REFUSED:
                self.is_refused = True
                break
            if record[:1] == _SET:
                self.variables.append(record[1:])


def judge(table: Cdb, address: bytes, name: bytes | None, info: bytes | None) -> Verdict:
    """Return what a table says about a connection.  Raises ValueError where it is none."""
    for key in candidates(address, name, info):
        data = table.find(key)
        if data is not None:
            return Verdict(key, data)
    return Verdict(None, b"")
