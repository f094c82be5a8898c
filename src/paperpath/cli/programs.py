"""`paperpath programs`: qmail's programs under their own names, in a folder that can stand in for /var/qmail/bin."""

import importlib.util
import os
import sys
from typing import NamedTuple

import click

from paperpath.cli.faults import Fault
from paperpath.cli.show import count, say

_FOLDER_MODE = 0o755
_PROGRAM_MODE = 0o755
_SHEBANG_MOST_BYTES = 127
"""What every Linux takes as the path of an interpreter (execve(2))."""


class Program(NamedTuple):
    """One program: the module whose ``main`` it is, and what it says when it breaks."""

    module: str
    code_if_broken: int = 111
    needs_libraries: bool = False
    """Whether it loads more than Python itself brings; the others start in half the time."""


PROGRAMS = {
    "sendmail": Program("sendmail", 75),
    "mailq": Program("sendmail", 75),
    "qmail-queue": Program("qmail_queue", 81),
    "qmail-inject": Program("qmail_inject"),
    "qmail-popup": Program("qmail_popup", 1),
    "qmail-pop3d": Program("qmail_pop3d", 0),
    "qmail-smtpd": Program("qmail_smtpd", 1),
    "qmail-qmtpd": Program("qmail_qmtpd"),
    "qmail-qmqpd": Program("qmail_qmqpd"),
    "qmail-qmqpc": Program("qmail_qmqpc", 81),
    "qmail-remote": Program("qmail_remote", needs_libraries=True),
    "qmail-rspawn": Program("qmail_rspawn"),
    "qmail-lspawn": Program("qmail_lspawn"),
    "qmail-clean": Program("qmail_clean"),
    "qmail-send": Program("qmail_start", needs_libraries=True),
    "qmail-start": Program("qmail_start", needs_libraries=True),
    "forward": Program("forward"),
    "predate": Program("predate"),
    "datemail": Program("datemail"),
    "mailsubj": Program("mailsubj"),
    "qmail-local": Program("qmail_local", needs_libraries=True),
    "qmail-qread": Program("qmail_qread", needs_libraries=True),
    "qmail-qstat": Program("qmail_qstat", needs_libraries=True),
    "qmail-newu": Program("qmail_newu"),
    "qmail-pw2u": Program("qmail_pw2u"),
    "qmail-getpw": Program("qmail_getpw"),
    "qmail-newmrh": Program("qmail_newmrh"),
    "qmail-tcpok": Program("qmail_tcpok"),
    "qmail-tcpto": Program("qmail_tcpto"),
    "bouncesaying": Program("bouncesaying"),
    "condredirect": Program("condredirect"),
    "except": Program("qmail_except"),
    "preline": Program("preline"),
    "maildirmake": Program("maildirmake"),
    "maildir2mbox": Program("maildir2mbox"),
    "maildirwatch": Program("maildirwatch"),
    "qreceipt": Program("qreceipt"),
    "qmail-showctl": Program("qmail_showctl"),
    "qsmhook": Program("qsmhook"),
    "elq": Program("elq"),
    "pinq": Program("elq"),
    "qail": Program("elq"),
    "splogger": Program("splogger"),
    "tcprules": Program("tcprules"),
    "tcprulescheck": Program("tcprulescheck"),
    "rblsmtpd": Program("rblsmtpd", needs_libraries=True),
    "setlock": Program("setlock"),
    "maildirserial": Program("maildirserial"),
    "maildirsmtp": Program("maildirsmtp"),
    "maildirqmtp": Program("maildirsmtp"),
    "serialsmtp": Program("serialsmtp"),
    "serialqmtp": Program("serialqmtp"),
    "tcp-env": Program("tcp_env"),
    "fastforward": Program("fastforward"),
    "setforward": Program("setforward"),
    "printforward": Program("printforward"),
    "newaliases": Program("newaliases"),
    "newinclude": Program("newinclude"),
    "setmaillist": Program("setmaillist"),
    "printmaillist": Program("printmaillist"),
    "qbiff": Program("qbiff"),
    "dot-forward": Program("dot_forward"),
    "checkpassword": Program("checkpassword", needs_libraries=True),
}
"""Name to program; modules of `paperpath.inject`."""

_SCRIPT = """\
#!{interpreter} {options}
import sys
sys.path.insert(0, {source!r})
from paperpath.inject.run import run
from paperpath.inject.{module} import main
run(main, {code})
"""


@click.command("programs")
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False))
def command(folder: str) -> None:
    """Install qmail's programs into DIR, which can stand in for /var/qmail/bin.

    They are small scripts that run this Python and this Paperpath; existing programs of these names are replaced.
    They find the server by PAPERPATH_CONFIG, else /etc/paperpath/paperpath.toml.

    \b
    Examples:
      paperpath programs /usr/lib/paperpath/bin
      PAPERPATH_CONFIG=try/paperpath.toml try/bin/sendmail you@trial.test < message
    """
    from paperpath.system.files import make_folders_durably, write_file_durably

    make_folders_durably(folder, _FOLDER_MODE)
    for name, program in PROGRAMS.items():
        write_file_durably(os.path.join(folder, name), script(program).encode(), _PROGRAM_MODE)
    say(f"installed {count(len(PROGRAMS), 'program')} in {folder}")


def script(program: Program) -> str:
    """Return the text of a program.  Raises Fault where this Python cannot be named in it."""
    # What needs no libraries needs no virtual environment either, and starts faster without.
    interpreter = sys.executable if program.needs_libraries else os.path.realpath(sys.executable)
    if len(os.fsencode(interpreter)) > _SHEBANG_MOST_BYTES or any(letter.isspace() for letter in interpreter):
        raise Fault(f"{interpreter} cannot stand in the first line of a script; install Python under a shorter path")
    return _SCRIPT.format(
        interpreter=interpreter,
        options="-I" if program.needs_libraries else "-IS",
        source=_source(),
        module=program.module,
        code=program.code_if_broken,
    )


def _source() -> str:
    """Return the folder that the package lies in."""
    found = importlib.util.find_spec("paperpath")
    assert found is not None and found.origin is not None
    return os.path.dirname(os.path.dirname(os.path.abspath(found.origin)))
