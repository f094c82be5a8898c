"""What systemd and its likes say to a service and hear from it: readiness (sd_notify), sockets (sd_listen_fds)."""

import os
import socket
from collections.abc import Mapping

_FIRST_DESCRIPTOR = 3


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Tell the service manager ``READY=1``, ``STOPPING=1``, ``STATUS=…``; lines may be joined by LF.

    Returns whether it was told: there may be none that listens, or none that can be reached, and neither is a
    reason not to serve.
    """
    address = environment.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.connect(address)
            channel.sendall(state.encode())
    except OSError:
        return False
    return True


def inherited_sockets(environment: Mapping[str, str] = os.environ) -> dict[str, tuple[socket.socket, ...]]:
    """Take over the sockets that the service manager opened for us, by the names it gave them.

    Sockets without names are called ``unknown``, as systemd does.  Call once: each call makes new owners of
    the same descriptors.  They are not passed on to programs that this process starts.  Raises ValueError
    where the environment contradicts itself, OSError where a descriptor is no socket.
    """
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid()) or not count:
        return {}
    if not (count.isascii() and count.isdigit() and len(count) <= 4):
        raise ValueError(f"LISTEN_FDS is not a number of sockets: {count[:40]!r}")
    names = environment.get("LISTEN_FDNAMES", ":".join(["unknown"] * int(count))).split(":")
    if len(names) != int(count) and count != "0":
        raise ValueError(f"LISTEN_FDNAMES has {len(names)} names for {count} sockets")
    found: dict[str, tuple[socket.socket, ...]] = {}
    for number, name in enumerate(names[: int(count)], _FIRST_DESCRIPTOR):
        os.set_inheritable(number, False)
        found[name] = (*found.get(name, ()), socket.socket(fileno=number))
    return found
