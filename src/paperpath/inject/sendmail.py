"""sendmail: the interface that programs everywhere send mail by (qmail-interfaces 17.1).

Exit codes are sendmail's own (sysexits.h), because that is what callers of a program of this name expect.
"""

import os

from paperpath.inject import qmail_inject
from paperpath.inject.command import fatal, usage
from paperpath.inject.queueing import TOO_LARGE, limit_bytes
from paperpath.system import injection

EX_OK, EX_USAGE, EX_DATAERR, EX_TEMPFAIL = 0, 64, 65, 75
_CODES = {qmail_inject.EXIT_DONE: EX_OK, qmail_inject.EXIT_PERMANENT: EX_DATAERR}

_USAGE = "sendmail [ -t ] [ -fsender ] [ -Fname ] [ -bp ] [ -bs ] [ arg ... ]"
_FLAGS = b"vimxq"
"""Options that change nothing: input always ends where it ends, the queue runs by itself."""
_TAKE_VALUES = b"BeopfFbNRV"
_REPORTS = frozenset({b"SUCCESS", b"FAILURE", b"DELAY"})
_ENVELOPE_ID_MOST = 100
_SWALLOW = b"EJq"
"""Options whose value, if any, is the rest of their word."""
_NAMES = (b"QMAILNAME", b"MAILNAME", b"NAME", b"QMAILHOST", b"MAILHOST")
_SMTP_ENVIRONMENT = {
    b"RELAYCLIENT": b"",
    b"DATABYTES": b"0",
    b"PROTO": b"TCP",
    b"TCPLOCALIP": b"127.0.0.1",
    b"TCPLOCALHOST": b"localhost",
    b"TCPREMOTEIP": b"127.0.0.1",
    b"TCPREMOTEHOST": b"localhost",
    b"TCPREMOTEINFO": b"sendmail-bs",
}


class Usage(Exception):
    """The command line is not one of sendmail's."""


class Options:
    """What the command line says."""

    __slots__ = ("arguments", "by_header", "mail", "mode", "name", "only_queue_run", "rcpt", "sender")

    def __init__(self) -> None:
        self.arguments: list[bytes] = []
        self.by_header = self.only_queue_run = False
        self.mode = b"m"
        self.name: bytes | None = None
        self.sender: bytes | None = None
        self.mail: list[bytes] = []
        """What is asked for beside the delivery (RFC 3461), as parameters of MAIL."""
        self.rcpt = b""
        """The same as a parameter of RCPT, for all recipients."""

    @property
    def asked(self) -> bytes:
        """Return both as `queueing.submit` takes them."""
        return b" ".join(self.mail) + b"\0" + self.rcpt if self.mail or self.rcpt else b""


def main(argv: list[str]) -> int:
    """Be sendmail, mailq or newaliases, by the name that we were called by."""
    called = os.path.basename(argv[0])
    folder = os.path.dirname(os.path.abspath(argv[0]))
    try:
        options = read_options([os.fsencode(word) for word in argv[1:]])
        mode = {"mailq": b"p", "newaliases": b"i"}.get(called, options.mode)
        if mode == b"m":
            return EX_OK if options.only_queue_run else _send(options)
        _become_another(mode, folder)
    except Usage:
        usage(_USAGE)
        return EX_USAGE
    except OSError as error:
        return fatal("sendmail", f"{error.filename or 'message'}: {error.strerror}", EX_TEMPFAIL)
    return EX_USAGE


def read_options(words: list[bytes]) -> Options:
    """Read the command line.  Raises Usage."""
    options, at = Options(), 0
    while at < len(words) and words[at][:1] == b"-" and words[at] != b"-":
        word, at = words[at], at + 1
        if word[:2] == b"--":
            break
        position = 1
        while position < len(word):
            letter, rest = word[position : position + 1], word[position + 1 :]
            position += 1
            if letter in _TAKE_VALUES:
                if not rest:
                    if at >= len(words):
                        raise Usage
                    rest, at = words[at], at + 1
                _take(options, letter, rest)
                break
            if letter == b"t":
                options.by_header = True
            elif letter not in _FLAGS and letter not in _SWALLOW:
                raise Usage
            options.only_queue_run |= letter == b"q"
            if letter in _SWALLOW:
                break
    options.arguments = words[at:]
    # A queue run with recipients, or from the header, is a message after all.
    options.only_queue_run &= not options.arguments and not options.by_header
    return options


def _take(options: Options, letter: bytes, value: bytes) -> None:
    if letter == b"f":
        options.sender = value
    elif letter == b"F":
        options.name = value
    elif letter == b"b":
        options.mode = value[:1]
        if options.mode not in b"mpsi":
            raise Usage
    elif letter in b"NRV":
        _ask(options, letter, value)


def _ask(options: Options, letter: bytes, value: bytes) -> None:
    """RFC 3461: which reports are wanted, what they return, and what the message is called in them.  Raises Usage."""
    words = value.upper().split(b",")
    if letter == b"N" and (words == [b"NEVER"] or (_REPORTS.issuperset(words) and len(set(words)) == len(words))):
        options.rcpt = b"NOTIFY=" + b",".join(words)
    elif letter == b"R" and value.upper() in (b"FULL", b"HDRS"):
        options.mail.append(b"RET=" + value.upper())
    elif letter == b"V" and _is_envelope_id(value):
        options.mail.append(b"ENVID=" + value)
    else:
        raise Usage


def _is_envelope_id(value: bytes) -> bool:
    from paperpath.base.xtext import is_xtext

    return 0 < len(value) <= _ENVELOPE_ID_MOST and is_xtext(value)


def _send(options: Options) -> int:
    if options.name is not None:
        os.environb[b"MAILNAME"] = options.name
    words = [b"-H" if options.by_header else b"-a"]
    if options.sender is not None:
        _follow_sender(options.sender)
        words += [b"-f", options.sender]
    message = injection.read_to_end(0, limit_bytes())
    if message is None:
        return fatal("sendmail", TOO_LARGE, EX_DATAERR)
    code = qmail_inject.inject([*words, b"--", *options.arguments], _with_plain_line_ends(message), options.asked)
    return _CODES.get(code, EX_TEMPFAIL)


def _follow_sender(sender: bytes) -> None:
    """Let the From field follow the sender, as netqmail does; a name that was given goes with the rest."""
    for name in _NAMES:
        os.environb.pop(name, None)
    user, at, host = sender.rpartition(b"@")
    os.environb[b"QMAILUSER"] = user if at else sender
    if at:
        os.environb[b"QMAILHOST"] = host


def _with_plain_line_ends(message: bytes) -> bytes:
    """Return the message with LF for CR LF, where its first line ends so: some programs write it as for SMTP."""
    first = message.find(b"\n")
    return message.replace(b"\r\n", b"\n") if first > 0 and message[first - 1] == ord("\r") else message


def _become_another(mode: bytes, folder: str) -> None:
    """Go on as the program that does it, from the folder that we were installed in.  Raises OSError."""
    program = {b"p": "qmail-qread", b"s": "qmail-smtpd", b"i": "newaliases"}[mode]
    environment = dict(os.environb)
    if mode == b"s" and b"PROTO" not in environment:
        environment |= _SMTP_ENVIRONMENT
    injection.become(f"{folder}/{program}", [program], environment)
