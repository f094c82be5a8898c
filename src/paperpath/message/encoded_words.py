"""Text in a header for readers that know ASCII only (RFC 2047)."""

from base64 import b64encode
from typing import Final

_WORD_BYTES: Final = 42
"""Of UTF-8 in one encoded word, which may have 75 characters (RFC 2047 2)."""


def encoded_words(text: str) -> list[bytes]:
    """Return the words that say a text; a blank or a fold has to stand between them, and is no part of it."""
    words: list[bytes] = []
    piece = b""
    for letter in map(str.encode, text):
        if len(piece) + len(letter) > _WORD_BYTES:
            words.append(piece)
            piece = b""
        piece += letter
    return [b"=?utf-8?B?" + b64encode(word) + b"?=" for word in (*words, piece)]
