"""Fail when a file of the repository contains text that must not be there.

Three kinds: the host name of a package registry (which registry an installation asks is its owner's choice,
and a name written down here would override it), an absolute path of somebody's own machine, and a note of
work left undone (finish it, or open an issue).

Looks at every file git knows, and at new ones that git does not ignore, so that it speaks before the commit.
The patterns are put together from pieces, because this file is looked at as well.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


def _hosts(*names: str) -> bytes:
    """Build a pattern for host names written with a comma for each dot."""
    return rb"|".join(re.escape(name.replace(",", ".")).encode() for name in names)


# (what it is, what to do, pattern)
RULES: Final[tuple[tuple[str, str, re.Pattern[bytes]], ...]] = (
    (
        "host name of a package registry",
        "leave the choice of registry to the machine's own configuration",
        re.compile(
            rb"(?i)(?<![\w-])(?:"
            + _hosts(
                "pypi,org", "pypi,python,org", "pythonhosted,org", "anaconda,org",
                "deb,debian,org", "security,debian,org", "ftp,debian,org", "snapshot,debian,org",
                "archive,ubuntu,com", "security,ubuntu,com", "ports,ubuntu,com",
                "registry,npmjs,org", "npmjs,com", "registry,yarnpkg,com", "unpkg,com", "cdn,jsdelivr,net",
                "crates,io", "proxy,golang,org", "rubygems,org", "repo1,maven,org",
                "docker,io", "ghcr,io", "quay,io", "gcr,io", "mcr,microsoft,com",
            )
            + rb")(?![\w-])"
        ),
    ),
    (
        "absolute path of one machine",
        "write it relative to the repository, or as an example such as /srv/mail",
        re.compile(rb"(?<![\w.)}>*-])/(?:work|root)/"),
    ),
    (
        "note of work left undone",
        "finish it, or open an issue",
        re.compile(rb"\b(?:TO" rb"DO|FIX" rb"ME|X" rb"XX)\b"),
    ),
)  # fmt: skip


def findings(name: str, content: bytes) -> Iterator[str]:
    """Yield one line for each place in `content` that breaks a rule."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        for what, remedy, pattern in RULES:
            if match := pattern.search(line):
                text = match[0].decode("ascii", "replace")
                yield f"{name}:{number}: {what} ({text}): {remedy}"


def repository_files(root: Path) -> list[str]:
    """Return the names of the files in the working tree that git tracks, or would on `git add`."""
    # safe.directory: in CI the checkout often belongs to another user, and listing it is harmless.
    listing = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", *listing], cwd=root, check=True, capture_output=True
    ).stdout
    return sorted(name for name in listed.decode(errors="surrogateescape").split("\0") if name)


def main() -> int:
    """Check the whole repository; the exit code is 1 when something was found."""
    found = 0
    for name in repository_files(ROOT):
        path = ROOT / name
        # A link is checked where it points; a deleted file has nothing left to say.
        if path.is_symlink() or not path.is_file():
            continue
        for line in findings(name, path.read_bytes()):
            print(line)
            found += 1
    if found:
        print(f"{found} found", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
