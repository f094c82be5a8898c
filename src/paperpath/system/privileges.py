"""Bounds on what a process may use.  Its user was changed before it began (`system.spawn`)."""

import resource

FILES_MOST = 65_536
"""Open files of one process at the most: 10,000 sessions several times over."""


def limit_resources(files: int) -> None:
    """Bound open files for good, to fewer where the hard limit is lower and may not be raised; and dump no core."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    except ValueError:  # what Python makes of EPERM here
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def raise_file_limit(files: int = FILES_MOST) -> None:
    """Let this process and those it starts open as many files as may be: ``files`` or more where we may say so."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (max(hard, files), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):  # not ours to raise
            continue
        return
