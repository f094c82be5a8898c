"""Content decoders of the SMTP server: DATA (RFC 5321 4.5.2) and BDAT (RFC 3030) octets to lines that end in LF.

Guarantee: end of data is CR LF . CR LF and nothing else; a CR without LF or an LF without CR anywhere makes the whole
content refused.  What is decoded and what is refused does not depend on where the input was cut.

Strategy: whole chunks through C, never a loop over lines.  What could still become part of a longer sequence (the
beginning of CR LF . CR LF at the end of a chunk) is held back, at most four bytes, and put before the next chunk; so
no sequence is ever seen in halves.  After a refusal decoding goes on, because a bare line end found later must give
the same verdict as one found in the same chunk; the caller throws the parts away.
"""

from typing import Final

from paperpath.protocol.smtp_events import Refusal
from paperpath.protocol.smtp_refusals import BARE_LINE_END, TOO_BIG

_END: Final = b"\r\n.\r\n"


class _Decoder:
    """What both ways have in common: line ends, size, verdict."""

    __slots__ = ("_held", "_size_most", "refusal", "size")

    def __init__(self, size_most: int, held: bytes) -> None:
        self._size_most = size_most
        self._held = held
        self.size = 0
        """Bytes decoded so far."""
        self.refusal: Refusal | None = None
        """Why this content cannot be taken; once set it stays set, but a bare line end replaces mere size."""

    def _decode(self, octets: bytes) -> bytes:
        """Make CR LF into LF and judge line ends.  The octets neither begin nor end inside a CR LF."""
        lines = octets.splitlines()  # at CR LF, CR and LF; half the time of replace() and three counts
        if octets[-1:] in b"\r\n":  # the last line is ended (or there is none): an empty one follows
            lines.append(b"")
        text = b"\n".join(lines)
        if len(octets) - len(text) != len(lines) - 1:
            self.refusal = BARE_LINE_END  # a line end that did not shrink was not CR LF
        return text

    def _count(self, octets: int) -> None:
        self.size += octets
        if self.size > self._size_most and self.refusal is None:
            self.refusal = TOO_BIG


class DataDecoder(_Decoder):
    """Content after DATA: dot-stuffed lines up to the line that is a single dot."""

    __slots__ = ("_begun",)

    def __init__(self, size_most: int) -> None:
        # The reply 354 stands at the beginning of a line: as if a CR LF had come, whose LF is then taken off again.
        super().__init__(size_most, b"\r\n")
        self._begun = False

    def feed(self, octets: bytes) -> tuple[bytes, int]:
        """Return decoded content, and how many of the octets belong to it: -1 for all of them, and more to come."""
        held = len(self._held)
        octets = self._held + octets
        dot = octets.find(b"\r\n.")
        end = dot if dot < 0 or octets.startswith(_END, dot) else octets.find(_END, dot)
        if end < 0:
            cut = len(octets) - _unfinished(octets)
            self._held = octets[cut:]
            body = octets[:cut]
        else:
            body = octets[: end + 2]
        if dot != end:
            body = body.replace(b"\r\n.", b"\r\n")
        text = self._decode(body)
        if text and not self._begun:
            self._begun = True
            text = text[1:]
        self._count(len(text))
        return text, -1 if end < 0 else end + len(_END) - held


def _unfinished(octets: bytes) -> int:
    """Return how many of the last octets could be the beginning of the end."""
    for length in (4, 3, 2, 1):
        if octets.endswith(_END[:length]):
            return length
    return 0


class ChunkDecoder(_Decoder):
    """Content in chunks: exactly counted octets, which must be lines too, since BINARYMIME is not offered."""

    __slots__ = ()

    def __init__(self, size_most: int) -> None:
        super().__init__(size_most, b"")

    def feed(self, octets: bytes) -> bytes:
        """Return decoded content.  A CR at the end is held back: its LF may be the first octet of the next chunk."""
        octets = self._held + octets
        cut = len(octets) - octets.endswith(b"\r")
        self._held = octets[cut:]
        text = self._decode(octets[:cut])
        self._count(len(text))
        return text

    def finish(self) -> None:
        """Judge what was held back after the last chunk.  A missing last line end is not added."""
        if self._held:
            self.refusal = BARE_LINE_END
