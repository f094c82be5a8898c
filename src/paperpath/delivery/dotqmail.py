"""The language of dot-qmail files (qmail's dot-qmail(5)): content in, instructions out.  Pure.

A line is told by its first byte.  Nothing in it is an address to be parsed, a variable or a quotation: what
stands there is taken literally.
"""

from dataclasses import dataclass

from paperpath.base.outcome import Deferred, Outcome

_BLANKS = b" \t"


@dataclass(frozen=True, slots=True)
class Maildir:
    """Put the message into this Maildir; the path, which ends in ``/``, is relative to the home."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Mbox:
    """Append the message to this file."""

    path: bytes


@dataclass(frozen=True, slots=True)
class Program:
    """Feed the message to ``/bin/sh -c COMMAND``."""

    command: bytes


@dataclass(frozen=True, slots=True)
class Address:
    """Send the message on to this address."""

    address: bytes


@dataclass(frozen=True, slots=True)
class Comment:
    """Do nothing."""

    text: bytes


@dataclass(frozen=True, slots=True)
class ListSwitch:
    """``+list``: from here on only forwards are allowed."""


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A line that must not be carried out: whoever gets here waits until the owner has mended the file."""

    line: bytes
    outcome: Outcome


Instruction = Maildir | Mbox | Program | Address | Comment | ListSwitch | Forbidden


def parse(content: bytes, *, forward_only: bool = False) -> tuple[Instruction, ...]:
    """Return what the lines of ``content`` say, in order; blank lines after the first, and ``+`` lines that
    mean nothing, are left out.

    ``forward_only`` is what a file's execute bit asks for.  Every content is understood.
    """
    found: list[Instruction] = []
    for number, raw in enumerate(content.removesuffix(b"\n").split(b"\n")):
        line = raw.rstrip(_BLANKS)
        if line and line[0]:
            instruction = _read(line, forward_only=forward_only)
            if instruction is not None:
                found.append(instruction)
                forward_only = forward_only or isinstance(instruction, ListSwitch)
        elif number == 0:
            return (Forbidden(line, _BLANK),)
    return tuple(found)


_BLANK = Deferred("Uh-oh: first line of .qmail file is blank.", code="2.1")
_NO_FILE = Deferred("Uh-oh: .qmail has file delivery but has x bit set.", code="7.0")
_NO_PROGRAM = Deferred("Uh-oh: .qmail has prog delivery but has x bit set.", code="7.0")


def _read(line: bytes, *, forward_only: bool) -> Instruction | None:
    # qmail hands a line on as a C string: what stands behind a NUL is not there.
    text = line.partition(b"\0")[0]
    match line[:1]:
        case b"#":
            return Comment(text[1:])
        case b"." | b"/":
            if forward_only:
                return Forbidden(text, _NO_FILE)
            return Maildir(text) if line.endswith(b"/") else Mbox(text)
        case b"|":
            return Forbidden(text, _NO_PROGRAM) if forward_only else Program(text[1:])
        case b"+":
            return ListSwitch() if text == b"+list" else None
        case b"&":
            return Address(text[1:])
        case _:
            return Address(text)


def describe(instruction: Instruction) -> bytes:
    """Return the line that ``qmail-local -n`` prints for an instruction; nothing for one that it passes over."""
    match instruction:
        case Maildir(path=path):
            return b"maildir " + path
        case Mbox(path=path):
            return b"mbox " + path
        case Program(command=command):
            return b"program " + command
        case Address(address=address):
            return b"forward " + address
        case Comment() | ListSwitch() | Forbidden():
            return b""
