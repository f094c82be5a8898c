"""`paperpath ban`: an operator looks at the bans and changes them."""

import socket
from collections.abc import Callable
from itertools import islice

from paperpath.base.text import one_line
from paperpath.guard.book import Book
from paperpath.system.channel import Channel
from paperpath.system.clock import now
from paperpath.wire import guard as wire
from paperpath.wire.frame import VERSION, Hello

_FRAME_MOST_BYTES = 64 * 1024
_OPERATOR_MOST = 80


class Operators:
    """The conversations with operators: a request, an answer."""

    def __init__(
        self, book: Book, began: Callable[[wire.BanView], None], ended: Callable[[wire.BanView, str], None]
    ) -> None:
        self._book, self._began, self._ended = book, began, ended
        self._channels: set[Channel] = set()

    def connected(self, sock: socket.socket) -> None:
        """An operator came."""

        def take(request: wire.FromOperator, _descriptor: int | None) -> None:
            answer = self._answer(request)
            if answer is not None:
                channel.send(answer)

        def closed(_reason: str) -> None:
            self._channels.discard(channel)

        channel = Channel(sock, wire.FromOperator, take, closed, frame_most_bytes=_FRAME_MOST_BYTES)
        self._channels.add(channel)

    def close(self) -> None:
        """Answer nobody any more."""
        for channel in list(self._channels):
            channel.close()

    def _answer(self, request: wire.FromOperator) -> wire.FromGuardToOperator | None:
        try:
            match request:
                case Hello(version=version):
                    return (
                        None if version == VERSION else wire.BanRefused("the server runs another version: restart it")
                    )
                case wire.ListBans():
                    return self._page(request.after)
                case wire.ExplainBan():
                    return self._book.explain(request.network) or wire.NoBan(one_line(request.network))
                case wire.AddBan():
                    return self._add(request)
                case wire.RemoveBan():
                    return self._remove(request)
        except ValueError as error:
            return wire.BanRefused(one_line(str(error)))

    def _page(self, after: str) -> wire.BanPage:
        bans = list(islice((one for one in self._book.bans() if one.network > after), wire.PAGE_MOST + 1))
        return wire.BanPage(tuple(bans[: wire.PAGE_MOST]), more=len(bans) > wire.PAGE_MOST)

    def _add(self, request: wire.AddBan) -> wire.BanView:
        if request.for_s < 0:
            raise ValueError("a ban cannot end before it begins")
        who, reason = one_line(request.operator, _OPERATOR_MOST), one_line(request.reason, wire.TEXT_MOST)
        ban = self._book.ban(request.network, request.for_s, reason, who, int(now()))
        self._began(ban)
        return ban

    def _remove(self, request: wire.RemoveBan) -> wire.BanView | wire.NoBan:
        view = self._book.lift(request.network)
        if view is None:
            return wire.NoBan(one_line(request.network))
        self._ended(view, f"removed by {one_line(request.operator, _OPERATOR_MOST)}")
        return view
