"""The sockets of our own processes that one of them serves, each for some users only.

Their file mode lets anybody connect: who is at the other end is asked of the kernel, at every connection.
"""

import socket
from collections.abc import Callable, Collection, Mapping

from paperpath.process.child import Listeners
from paperpath.system.channel import peer_uid, serve_channels
from paperpath.system.users import own_uid

OnConnected = Callable[[socket.socket], None]


class Doors:
    """Those that are open."""

    def __init__(self) -> None:
        self._open: list[tuple[socket.socket, Callable[[], None]]] = []

    def serve(self, listeners: Listeners, doors: Mapping[str, tuple[Collection[int], OnConnected]]) -> None:
        """Close what is open, and let in at each listener the users of its name; where none are named, our own.

        Raises ValueError where a listener has a name that is not in ``doors``; then nothing has changed.
        """
        unknown = {name for name, _ in listeners} - doors.keys()
        if unknown:
            raise ValueError(f"a listener that is not known here: {', '.join(sorted(unknown))}")
        self.close()
        for name, sock in listeners:
            users, connected = doors[name]
            allowed = frozenset(users) or frozenset({own_uid()})
            self._open.append((sock, serve_channels(sock, _for(allowed, connected))))

    def close(self) -> None:
        """Let nobody in any more."""
        for sock, stop in self._open:
            stop()
            sock.close()
        self._open = []


def _for(users: frozenset[int], connected: OnConnected) -> OnConnected:
    def check(sock: socket.socket) -> None:
        if peer_uid(sock) in users:
            connected(sock)
        else:
            sock.close()

    return check
