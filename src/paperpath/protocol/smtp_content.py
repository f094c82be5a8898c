"""The middle of the SMTP server machine: what is content, after DATA (RFC 5321 4.1.1.4) and BDAT (RFC 3030).

Guarantee: no octet of content is ever read as a command.  End of data is CR LF . CR LF only, a chunk is exactly its
octets, and where it is not certain what is content the session ends.

`smtp_server` adds what commands mean.
"""

from typing import Final

from paperpath.base.reply import Reply
from paperpath.protocol.smtp_commands import parse_bdat
from paperpath.protocol.smtp_config import ServerConfig
from paperpath.protocol.smtp_conversation import Conversation
from paperpath.protocol.smtp_data import ChunkDecoder, DataDecoder
from paperpath.protocol.smtp_events import ContentEnd, ContentPart, ContentStart, Refusal
from paperpath.protocol.smtp_refusals import BDAT_SYNTAX, DATA_SYNTAX, R250_CHUNK, R421_OUT_OF_STEP
from paperpath.protocol.smtp_states import State

# Members as plain names: the machine compares them several times a command.
_IDLE: Final = State.IDLE
_CHUNKS: Final = State.CHUNKS
_DATA: Final = State.DATA
_CHUNK: Final = State.CHUNK

_CONTENT_START: Final = ContentStart()


class ContentFraming(Conversation):
    """Where content begins and ends."""

    __slots__ = ("_chunk_left", "_chunk_refusal", "_chunks", "_data", "_is_last_chunk", "_owed", "state")

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self.state = _IDLE
        self._data: DataDecoder | None = None
        self._chunks: ChunkDecoder | None = None
        self._chunk_left = 0
        self._is_last_chunk = False
        self._chunk_refusal: Refusal | Reply | None = None
        self._owed = 0  # replies to the content: in LMTP as many as it has recipients; 0: it is in no transaction

    # DATA.

    def _start_data(self, argument: bytes) -> None:
        if argument:
            self._refuse(DATA_SYNTAX)
            self._close_if_pipelined()
        else:
            self._ask_for_content()

    def _ask_for_content(self) -> None:
        self._owed = len(self.recipients) if self.config.lmtp else 1
        self._ask(_CONTENT_START)

    def _content_answered(self, question: ContentStart, reply: Reply) -> None:
        if self.state is _CHUNK:
            if reply.is_positive:
                self._chunks = ChunkDecoder(self.config.message_size_bytes)
            else:
                self._drop_transaction()
                self._chunk_refusal = reply
            return
        self._output.append(reply.encode())
        if reply.is_positive:
            self._data = DataDecoder(self.config.message_size_bytes)
            self.state = _DATA
        else:
            self._close_if_pipelined()

    def _take_data(self) -> bool:
        """Decode what there is of the content; returns whether that brought anything on: always."""
        decoder = self._data
        assert decoder is not None
        part, end = decoder.feed(self._buffer[self._at :])
        self._consume(len(self._buffer) if end < 0 else self._at + end)
        self._pass_on(part, decoder.refusal)
        if end >= 0:
            self._data = None
            self._end_content(decoder.size, decoder.refusal)
        return True

    def _pass_on(self, part: bytes, refusal: Refusal | None) -> None:
        if refusal is not None:
            self._drop_transaction()
        elif part:
            self._events.append(ContentPart(part))

    def _end_content(self, size: int, refusal: Refusal | None) -> None:
        self.state = _IDLE
        if refusal is None:
            self._ask(ContentEnd(size))
        else:
            self._drop_transaction()
            self._refuse(refusal)
            self._output.append(refusal.reply.encode() * (self._owed - 1))

    def _end_answered(self, question: ContentEnd, reply: Reply) -> None:
        self._output.append(reply.encode() * self._owed)
        self._clear_transaction()
        if reply.is_positive:
            self._faults = self._pointless = 0

    # BDAT.

    def _first_chunk(self, argument: bytes) -> None:
        if self._start_chunk(argument, None):
            self._ask_for_content()

    def _next_chunk(self, argument: bytes) -> None:
        self._start_chunk(argument, self._chunk_refusal)

    def _start_chunk(self, argument: bytes, refusal: Refusal | Reply | None) -> bool:
        """Begin to take, or with a refusal to swallow, the octets that follow; returns whether they can be told."""
        parsed = parse_bdat(argument)
        if isinstance(parsed, Refusal):
            self._refuse(BDAT_SYNTAX)
            self._hang_up(R421_OUT_OF_STEP, "chunk of unknown size")
            return False
        self._chunk_left, self._is_last_chunk = parsed
        self._chunk_refusal = refusal
        self.state = _CHUNK
        return True

    def _take_chunk(self) -> bool:
        """Decode or swallow what there is of the chunk; returns whether that brought anything on."""
        if self._chunk_left and not self._buffer:
            return False
        end = min(self._at + self._chunk_left, len(self._buffer))
        octets = self._buffer[self._at : end]
        self._consume(end)
        self._chunk_left -= len(octets)
        if (decoder := self._chunks) is not None:
            self._pass_on(decoder.feed(octets), decoder.refusal)
        if not self._chunk_left:
            self._end_chunk()
        return True

    def _end_chunk(self) -> None:
        """RFC 3030 2: a reply to each chunk; one that is refused ends the transaction, and so refuses all others.

        In LMTP a refusal is told at the last chunk, once for each recipient: told earlier, it would leave a client that
        sends on without waiting with fewer replies than it counts (RFC 2033 4.3).
        """
        decoder, refusal = self._chunks, self._chunk_refusal
        if self._is_last_chunk and decoder is not None:
            decoder.finish()
        elif not self._is_last_chunk and (
            (decoder is not None and decoder.refusal is None) or (self.config.lmtp and self._owed)
        ):
            self.state = _CHUNKS
            self._output.append(R250_CHUNK.encode())
            return
        if decoder is not None:
            self._chunks = None
            self._end_content(decoder.size, decoder.refusal)
        elif isinstance(refusal, Refusal):
            self._end_content(0, refusal)
        else:
            assert refusal is not None
            self.state = _IDLE
            self._output.append(refusal.encode() * self._owed)
