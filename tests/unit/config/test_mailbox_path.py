"""The grammar that makes an address safe as a path."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperpath.config.mailbox_path import account_name, mailbox_folder

ROOT = "/state/mail"


@pytest.mark.parametrize(
    ("address", "folder"),
    [
        (b"you@example.net", "/state/mail/example.net/you"),
        (b"You+Tag@Example.NET", "/state/mail/example.net/you+tag"),
        (b"_a.b-c=d@x", "/state/mail/x/_a.b-c=d"),
        (b"a" * 64 + b"@x.test", "/state/mail/x.test/" + "a" * 64),
    ],
)
def test_accounts(address: bytes, folder: str) -> None:
    assert mailbox_folder(ROOT, address) == folder


@pytest.mark.parametrize(
    "address",
    [
        b"", b"@", b"you", b"you@", b"@x.test", b".a@x.test", b"-a@x.test", b"+a@x.test", b"..@x.test", b"a/b@x.test",
        b"a\0@x.test", b"a b@x.test", b"a\n@x.test", b"a@x.test\n", b"a@b@x.test", "ä@x.test".encode(), b"\xff@x.test",
        b"a" * 65 + b"@x.test", b"a@.removed", b"a@.new", b"a@..", b"a@x..test", b"a@x/y", b"a@-x.test", b"a@x.test.",
        b"a@" + b"x." * 127 + b"xx", b'"a"@x.test', b"a@[127.0.0.1]",
    ],
)  # fmt: skip
def test_what_cannot_be_an_account(address: bytes) -> None:
    assert mailbox_folder(ROOT, address) is None


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_address_leads_out_of_the_mail_folder(local: bytes, domain: bytes) -> None:
    folder = mailbox_folder(ROOT, local + b"@" + domain)
    if folder is not None:
        assert os.path.normpath(folder) == folder
        assert os.path.dirname(os.path.dirname(folder)) == ROOT
        assert account_name((os.path.basename(folder) + "@" + os.path.basename(os.path.dirname(folder))).encode())


def test_the_module_is_light_enough_for_the_half_that_is_root() -> None:
    code = (
        "import sys, os, re; before = set(sys.modules); import paperpath.config.mailbox_path;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["paperpath", "paperpath.config", "paperpath.config.mailbox_path"]
