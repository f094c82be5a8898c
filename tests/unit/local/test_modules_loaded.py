"""What `local`'s root half loads: the whole list of our own modules, and libraries it must not touch.

It is the one process that stays root and is asked things by others.  A module more is a decision: add it here with
the reason in the commit.
"""

import json
import subprocess
import sys

ALLOWED = {
    "paperpath",
    "paperpath.base",
    "paperpath.base.address",
    "paperpath.base.aliases",  # whether an alias exists
    "paperpath.base.cdb",  # users/cdb, the table of aliases
    "paperpath.base.calendar",
    "paperpath.base.dates",
    "paperpath.base.domains",  # routing searches with it
    "paperpath.base.dotqmail_names",  # whether an extension exists
    "paperpath.base.limits",
    "paperpath.base.text",  # errors are described with it
    "paperpath.config",
    "paperpath.config.cdb_file",  # reads both anew where they changed
    "paperpath.config.mailbox_path",
    "paperpath.config.routing",  # a type in process.settings
    "paperpath.config.users",  # whose an address is
    "paperpath.local",
    "paperpath.local.__main__",
    "paperpath.local.doorkeeper",
    "paperpath.local.lookup",
    "paperpath.local.main",
    "paperpath.local.readers",
    "paperpath.local.nurse",  # speaks to the nursery
    "paperpath.local.workers",
    "paperpath.process",
    "paperpath.process.child",
    "paperpath.process.doors",  # whom the kernel says is there
    "paperpath.process.passes",  # who may have a mailbox opened
    "paperpath.process.settings",
    "paperpath.system",
    "paperpath.system.channel",
    "paperpath.system.clock",
    "paperpath.system.confine",  # process.child, for the roles that confine themselves
    "paperpath.system.kernel",
    "paperpath.system.output",
    "paperpath.system.privileges",
    "paperpath.system.spawn",
    "paperpath.system.users",
    "paperpath.telemetry",
    "paperpath.telemetry.event",
    "paperpath.telemetry.events",
    "paperpath.telemetry.log",
    "paperpath.wire",
    "paperpath.wire.accounts",
    "paperpath.wire.frame",
    "paperpath.wire.nursery",
    "paperpath.wire.mailbox",
    "paperpath.wire.supervision",
    "paperpath.wire.tls",  # a type in process.settings
}

BANNED = {
    "_ssl",
    "apsw",
    "click",
    "cryptography",
    "dns",
    "email",
    "html",
    "http",
    "idna",
    "pickle",
    "rich",
    "smtplib",
    "sqlite3",
    "tarfile",
    "tempfile",
    "tomllib",
    "urllib",
    "xml",
    "zipfile",
}

_TELL = "import json, sys, paperpath.local.__main__; print(json.dumps(sorted(sys.modules)))"


def loaded() -> set[str]:
    done = subprocess.run([sys.executable, "-I", "-c", _TELL], capture_output=True, check=True)
    return set(json.loads(done.stdout))


def test_our_own_modules() -> None:
    assert {name for name in loaded() if name.partition(".")[0] == "paperpath"} == ALLOWED


def test_libraries() -> None:
    assert {name.partition(".")[0] for name in loaded()} & BANNED == set()
