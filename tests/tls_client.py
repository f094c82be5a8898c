"""A client that speaks over a socket, in clear and then over TLS, and decides itself what goes into one piece."""

import asyncio
import socket
import ssl
from types import TracebackType
from typing import Any, Self


class TlsClient:
    """One connection.  ``async with`` it; nothing is left afterwards."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.get_running_loop()
        self._to_tls, self._from_tls = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls: ssl.SSLObject | None = None
        self._read = b""

    async def __aenter__(self) -> Self:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await self._loop.sock_connect(self._socket, ("127.0.0.1", self._port))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def close(self) -> None:
        """Go away without a word."""
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Send, over TLS where that is there."""
        if self.tls is not None:
            self.tls.write(data)
            data = self._from_tls.read()
        await self._loop.sock_sendall(self._socket, data)

    async def secure(
        self,
        context: ssl.SSLContext,
        *,
        name: str | None = None,
        before: bytes = b"",
        together: bytes = b"",
        behind: bytes = b"",
    ) -> None:
        """Shake hands.

        ``before`` goes in clear in one piece with the first message; with the last go ``together``, over TLS, and
        ``behind``, as it is.
        """
        tls = context.wrap_bio(self._to_tls, self._from_tls, server_hostname=name)
        while not _is_done(tls.do_handshake):
            await self._loop.sock_sendall(self._socket, before + self._from_tls.read())
            before = b""
            data = await self._loop.sock_recv(self._socket, 65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._to_tls.write(data)
        self.tls = tls
        if together:
            tls.write(together)
        await self._loop.sock_sendall(self._socket, self._from_tls.read())

    async def leave_within_handshake(self, context: ssl.SSLContext) -> None:
        """Begin to shake hands, and go away."""
        tls = context.wrap_bio(self._to_tls, self._from_tls)
        assert not _is_done(tls.do_handshake)
        await self._loop.sock_sendall(self._socket, self._from_tls.read())
        self._socket.close()

    async def replies(self, count: int = 1) -> list[str]:
        """Read so many replies, each as its last line; fewer where the server closed the connection."""
        found: list[str] = []
        while len(found) < count:
            line, end, rest = self._read.partition(b"\r\n")
            if end:
                self._read = rest
                found += [line.decode()] if line[3:4] == b" " else []
            elif not (data := await self.receive()):
                return found
            else:
                self._read += data
        return found

    async def receive(self) -> bytes:
        """Return what comes next; nothing at the end of the connection."""
        while self.tls is not None:
            try:
                return self.tls.read()
            except ssl.SSLWantReadError:
                data = await self._loop.sock_recv(self._socket, 65536)
                if not data:
                    return b""
                self._to_tls.write(data)
            except ssl.SSLZeroReturnError:
                return b""
        try:
            return await self._loop.sock_recv(self._socket, 65536)
        except ConnectionResetError:
            return b""


def _is_done(step: Any) -> bool:
    try:
        step()
    except ssl.SSLWantReadError:
        return False
    return True
