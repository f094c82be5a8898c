"""The import check, tried on modules that break each of its rules on purpose."""

from pathlib import Path

import pytest

from tools.check_imports import ALLOWED, EXCEPTIONS, LAYERS, PROCESSES, PURE, ROOT, check_module, check_tree


def rules(file: str, text: str) -> list[str]:
    """Return the rules that this source text breaks when it stands at paperpath/`file`."""
    return [violation.rule for violation in check_module(f"paperpath/{file}", text)]


def test_every_folder_has_its_row_and_no_other() -> None:
    folders = {path.parent.name for path in (ROOT / "src/paperpath").glob("*/__init__.py")}
    assert set(ALLOWED) == folders | {"__init__", "__main__"}
    assert folders == LAYERS | PROCESSES | {"process", "delivery"}


def test_the_table_has_no_circle() -> None:
    def below(folder: str) -> set[str]:
        return {folder}.union(*(below(other) for other in ALLOWED[folder]))

    for folder, allowed in ALLOWED.items():
        assert all(folder not in below(other) for other in allowed), folder


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (
            "base/address.py",
            "import re, struct, enum, typing, hashlib, base64, dataclasses, collections, msgspec",
        ),
        ("base/address.py", "from paperpath.base.text import quote"),
        ("base/address.py", "from paperpath import __version__"),
        ("base/dates.py", "import datetime\nx = datetime.datetime.fromtimestamp(0, datetime.UTC)"),
        ("message/trace.py", "from paperpath.base import address"),
        ("protocol/smtp.py", "import paperpath.base.reply, paperpath.message.header"),
        ("system/files.py", "import os, subprocess, fcntl\nos.rename('a', 'b')\nopen('c', 'w')"),
        ("config/load.py", "from pathlib import Path\nPath('a').open('rb').read()\nopen('a').read()"),
        ("queue/main.py", "import queue, time, os\nfrom paperpath.store import contract\nos.read(0, 1)"),
        ("queue/main.py", "name = 'a'.replace('a', 'b')\nqueue.open('water')\nqueue.open(name)"),
        ("cli/serve.py", "def serve():\n    from paperpath.supervise.main import main\n    main()"),
        ("cli/serve.py", "def serve():\n    from paperpath.supervise import main\n    main.main()"),
        ("__main__.py", "from paperpath.cli.main import main"),
        ("__init__.py", "__version__ = '1'"),
    ],
)
def test_what_is_allowed_is_not_reported(file: str, text: str) -> None:
    assert rules(file, text) == []


@pytest.mark.parametrize(
    ("file", "text", "rule"),
    [
        # upwards, in every spelling
        ("base/a.py", "import paperpath.message.header", "base may not import paperpath.message"),
        ("base/a.py", "from paperpath.message import header", "base may not import paperpath.message"),
        ("base/a.py", "from paperpath import message", "base may not import paperpath.message"),
        ("base/a.py", "from ..message import header", "base may not import paperpath.message"),
        ("base/__init__.py", "from .. import message", "base may not import paperpath.message"),
        ("base/a.py", "def f():\n    import paperpath.message", "base may not import paperpath.message"),
        (
            "system/a.py",
            "import importlib\nimportlib.import_module('paperpath.store')",
            "system may not import",
        ),
        ("wire/a.py", "from paperpath.protocol import smtp", "wire may not import paperpath.protocol"),
        (
            "telemetry/a.py",
            "from paperpath.config import schema",
            "telemetry may not import paperpath.config",
        ),
        ("store/a.py", "from paperpath.queue import main", "store may not import paperpath.queue"),
        ("__init__.py", "from paperpath.base import text", "__init__ may not import paperpath.base"),
        # across
        ("receive/a.py", "from paperpath.queue import plan", "receive may not import paperpath.queue"),
        ("cli/a.py", "from paperpath.inject import sendmail", "cli may not import paperpath.inject"),
        (
            "cli/a.py",
            "def f():\n    import paperpath.supervise.plan",
            "cli may not import paperpath.supervise",
        ),
        ("cli/a.py", "from paperpath.supervise import main", "only inside a function"),
        # impure
        ("base/a.py", "import time", "base is pure and may not import time"),
        ("message/a.py", "from os import path", "message is pure and may not import os"),
        ("protocol/a.py", "import asyncio.events", "protocol is pure and may not import asyncio"),
        ("wire/a.py", "import socket as s", "wire is pure and may not import socket"),
        ("base/a.py", "import datetime as d\nd.datetime.now()", "may not use datetime.datetime.now"),
        ("base/a.py", "from datetime import datetime\ndatetime.now()", "may not use datetime.datetime.now"),
        ("base/a.py", "print('x')", "may not use print"),
        ("base/a.py", "open('x')", "may not use open"),
        # around paperpath.system
        ("store/a.py", "import subprocess", "only system imports subprocess"),
        ("local/a.py", "from fcntl import flock", "only system imports fcntl"),
        ("store/a.py", "import os\nos.rename('a', 'b')", "only system uses os.rename"),
        ("store/a.py", "import os as o\no.replace('a', 'b')", "only system uses os.replace"),
        ("store/a.py", "from os import link", "only system uses os.link"),
        ("store/a.py", "import os\nsync = os.fsync", "only system uses os.fsync"),
        ("store/a.py", "import os\nos.open('a', 0)", "only system uses os.open"),
        ("local/a.py", "import os\nos.execve('a', [], {})", "only system uses os.execve"),
        ("local/a.py", "import os\nos.setuid(1)", "only system uses os.setuid"),
        ("local/a.py", "import asyncio\nasyncio.create_subprocess_exec('a')", "create_subprocess_exec"),
        ("store/a.py", "open('a', 'wb')", "only system opens for writing"),
        ("store/a.py", "open('a', mode='r+')", "only system opens for writing"),
        ("store/a.py", "open('a', mode)", "only system opens for writing"),
        ("store/a.py", "path.open('xb')", "only system opens for writing"),
        ("store/a.py", "path.write_bytes(b'')", "only system writes files"),
        # nowhere at all
        ("receive/a.py", "import pickle", "nobody imports pickle"),
        ("system/a.py", "from email.message import Message", "nobody imports email"),
        # outside the table
        ("helpers/a.py", "", "paperpath/helpers has no place in the table"),
        ("helpers.py", "", "paperpath/helpers has no place in the table"),
    ],
)
def test_a_broken_rule_is_reported(file: str, text: str, rule: str) -> None:
    found = rules(file, text)
    assert len(found) == 1, found
    assert rule in found[0]


def test_each_finding_says_where_and_what_to_do(tmp_path: Path) -> None:
    folder = tmp_path / "paperpath" / "queue"
    folder.mkdir(parents=True)
    (folder / "main.py").write_text("import os\n\nimport pickle\n\nos.rename('a', 'b')\n")
    assert [str(violation) for violation in check_tree(tmp_path)] == [
        "paperpath/queue/main.py:3: nobody imports pickle: it runs what it reads; frames and stored values are msgspec",
        "paperpath/queue/main.py:5: only system uses os.rename: use the durable file functions of paperpath.system",
    ]


def test_exceptions_name_a_folder_and_give_a_reason() -> None:
    for (folder, module), reason in EXCEPTIONS.items():
        assert folder in ALLOWED and folder not in PURE
        assert module.split(".")[1] in ALLOWED
        assert reason
