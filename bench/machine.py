"""What was measured on: without it a number means nothing."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

import apsw

from bench.peers import Server

GIB = 1024**3

BUSY_LOAD = 0.5
"""Above this, half a processor's worth, the machine had something else to do."""


def describe(servers: Sequence[Server], volumes: Mapping[str, str]) -> dict[str, str]:
    """Return the machine, the volumes (by server) and the versions, in the order to show them."""
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / GIB:.1f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "load before the run": load_words(os.getloadavg()[0]),
        **{f"file system of {name}": kind for name, kind in volumes.items()},
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": metadata.version("uvloop"),
        "SQLite": apsw.sqlite_lib_version(),
        **{server.name: server.version() for server in servers if not server.missing()},
    }


def load_words(load: float) -> str:
    """Say how busy the machine was over the last minute, and whether the numbers can be trusted."""
    return f"{load:.2f}" + ("" if load <= BUSY_LOAD else " (busy: the numbers are distorted)")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "Model", "cpu model"}:
            return value.strip()
    return platform.machine()
