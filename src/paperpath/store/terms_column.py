"""How terms lie in a column: as frames carry them.  Whoever asked for nothing has no value there, and costs nothing."""

import msgspec

from paperpath.base.terms import MessageTerms, RecipientTerms

_encoder = msgspec.msgpack.Encoder()
_message = msgspec.msgpack.Decoder(MessageTerms)
_recipient = msgspec.msgpack.Decoder(RecipientTerms)


def packed(terms: MessageTerms | RecipientTerms | None) -> bytes | None:
    """Return the value of the column.  A field that comes later goes to the end of its struct, with a default."""
    return None if terms is None else _encoder.encode(terms)


def message_terms(value: bytes | None) -> MessageTerms | None:
    """Return what a message's column holds."""
    return None if value is None else _message.decode(value)


def recipient_terms(value: bytes | None) -> RecipientTerms | None:
    """Return what a recipient's column holds."""
    return None if value is None else _recipient.decode(value)
