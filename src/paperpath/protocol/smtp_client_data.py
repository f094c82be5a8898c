"""Stored content made fit for the wire: lines end in CR LF, dots are doubled (RFC 5321 4.5.2), the last line ends.

The queue keeps lines ending in LF.  A CR in stored content can only come from whoever injected it here.  It never
leaves as such, because a receiver that takes a lone CR for a line end would read ``CR . CR LF`` as the end of the mail
and the rest as commands: a run of CRs, with the LF after it where there is one, is one line end, decided before dots
are doubled.
"""

import re

_CR_RUN = re.compile(rb"\r+\n?")
_LF, _DOT = 10, 46


class DataEncoder:
    """Encodes content block by block; where the blocks are cut makes no difference to the result."""

    __slots__ = ("_after_cr", "_line_start")

    def __init__(self) -> None:
        self._line_start = True
        self._after_cr = False

    def feed(self, block: bytes) -> bytes:
        """Return the next block as it is sent."""
        if self._after_cr and block:
            block = block.lstrip(b"\r")
            if block:
                self._after_cr = False
                block = block.removeprefix(b"\n")
        if not block:
            return b""
        if b"\r" in block:
            self._after_cr = block.endswith(b"\r")
            block = _CR_RUN.sub(b"\n", block)
        if b"\n." in block:
            block = block.replace(b"\n.", b"\n..")
        if self._line_start and block[0] == _DOT:
            block = b"." + block
        self._line_start = block[-1] == _LF
        return block.replace(b"\n", b"\r\n")

    def end(self) -> bytes:
        """Return what ends the mail: the dot, and before it the line end that the last line may lack."""
        return b".\r\n" if self._line_start else b"\r\n.\r\n"


def encode_data(content: bytes) -> bytes:
    """Return whole content as it is sent, the final dot included."""
    encoder = DataEncoder()
    return encoder.feed(content) + encoder.end()
