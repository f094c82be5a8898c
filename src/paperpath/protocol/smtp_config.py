"""What all SMTP server sessions of one kind share, with the replies that follow from it made once."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """What all sessions of one kind share."""

    hostname: bytes
    message_size_bytes: int
    """The largest content taken, counted as it is stored (LF line ends), and the value of SIZE in EHLO's reply."""
    recipients_most: int
    extensions: tuple[bytes, ...] = (
        b"PIPELINING",
        b"SIZE %d",
        b"8BITMIME",
        b"ENHANCEDSTATUSCODES",
        b"SMTPUTF8",
        b"CHUNKING",
    )
    """Lines of EHLO's reply; ``%d`` becomes the size."""
    lmtp: bool = False
    """LMTP (RFC 2033): LHLO in the place of EHLO and HELO, and a reply for each recipient to the content."""
    greeting: bytes = field(init=False, repr=False)
    helo_reply: bytes = field(init=False, repr=False)
    ehlo_reply: bytes = field(init=False, repr=False)
    quit_reply: bytes = field(init=False, repr=False)

    def __post_init__(self) -> None:
        size = b"%d" % self.message_size_bytes
        lines = [self.hostname, *(line.replace(b"%d", size) for line in self.extensions)]
        ehlo = b"".join(b"250-%s\r\n" % line for line in lines[:-1]) + b"250 %s\r\n" % lines[-1]
        object.__setattr__(
            self, "greeting", b"220 %s %s Paperpath\r\n" % (self.hostname, b"LMTP" if self.lmtp else b"ESMTP")
        )
        object.__setattr__(self, "helo_reply", b"250 %s\r\n" % self.hostname)
        object.__setattr__(self, "ehlo_reply", ehlo)
        object.__setattr__(self, "quit_reply", b"221 2.0.0 %s closing connection\r\n" % self.hostname)
