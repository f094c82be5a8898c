"""Bounds on what a process may use.  Its user was changed before it began (`system.spawn`)."""

import resource

FILES_MOST = 65_536
"""Open files of one process at the most: 10,000 sessions several times over."""


def limit_resources(*, files: int, core: int = 0, address_space: int | None = None) -> int:
    """Bound open files, the core dump and (where given) the address space, the last two in bytes, for good.

    Returns how many files may be open: fewer than asked for where the hard limit is lower and may not be
    raised.
    """
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    except ValueError:  # what Python makes of EPERM here
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (core, core))
    if address_space is not None:
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    return files


def raise_file_limit(files: int = FILES_MOST) -> None:
    """Let this process and those it starts open as many files as may be: ``files`` or more where we may say so."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for wanted in (max(hard, files), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):  # not ours to raise
            continue
        return
