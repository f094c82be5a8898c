"""A QMTP client that shares nothing with the server it talks to: written from the description of the protocol alone."""

import socket
from collections.abc import Sequence


def string(data: bytes) -> bytes:
    """Return a netstring."""
    return str(len(data)).encode() + b":" + data + b","


def package(message: bytes, sender: bytes, recipients: Sequence[bytes]) -> bytes:
    """Return a package; the message begins with the byte that tells its line ends."""
    return string(message) + string(sender) + string(b"".join(string(recipient) for recipient in recipients))


def answers(data: bytes) -> list[bytes]:
    """Return the answers in what a server said, which must be whole."""
    found = []
    while data:
        number, _, rest = data.partition(b":")
        count = int(number)
        assert rest[count : count + 1] == b",", data
        found.append(rest[:count])
        data = rest[count + 1 :]
    return found


class QmtpClient:
    """One connection."""

    def __init__(self, address: tuple[str, int] | str, timeout_s: float) -> None:
        if isinstance(address, str):
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(timeout_s)
            self._socket.connect(address)
        else:
            self._socket = socket.create_connection(address, timeout_s)
        self._stream = self._socket.makefile("rb")

    def __enter__(self) -> "QmtpClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._socket.sendall(data)

    def end(self) -> None:
        """Send nothing more."""
        self._socket.shutdown(socket.SHUT_WR)

    def answer(self) -> bytes:
        """Read one answer; nothing where the connection has ended instead."""
        digits = b""
        while (byte := self._stream.read(1)) != b":":
            if not byte:
                assert not digits
                return b""
            digits += byte
        found = self._stream.read(int(digits))
        assert self._stream.read(1) == b","
        return found

    def deliver(self, message: bytes, sender: bytes, recipients: Sequence[bytes]) -> list[bytes]:
        """Send a package; return its answers."""
        self.send(package(b"\n" + message, sender, recipients))
        return [self.answer() for _ in recipients]
