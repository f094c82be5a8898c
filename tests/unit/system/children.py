"""Child processes that try something on themselves and tell what came of it.

What is given up is given up for good, so each trial has a process of its own.
"""

import json
import subprocess
import sys
from typing import Any

_PRELUDE = """
import errno, json, os, socket, sys
def attempt(action, *arguments, **more):
    try:
        action(*arguments, **more)
    except OSError as error:
        return errno.errorcode[error.errno]
    return "done"
def tell(**found):
    print(json.dumps(found))
"""


def run_child(code: str, *arguments: str, **more: Any) -> dict[str, Any]:
    """Run ``code`` in a fresh interpreter and return what it told."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code, *arguments], capture_output=True, check=False, timeout=50, **more
    )
    assert done.returncode == 0, done.stderr.decode()
    told: dict[str, Any] = json.loads(done.stdout)
    return told
