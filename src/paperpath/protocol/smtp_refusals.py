"""The constant replies of the SMTP server machine: what it refuses of itself, and what it grants of itself.

Strangers get a code and a fixed sentence; nothing that they sent is repeated to them.
"""

from typing import Final

from paperpath.base.reply import Reply, reply
from paperpath.protocol.smtp_events import Refusal

R214_HELP: Final = reply(214, "2.0.0", "See RFC 5321")
R220_READY: Final = reply(220, "2.0.0", "Ready to start TLS")
R250_OK: Final = reply(250, "2.0.0", "OK")
R250_FLUSHED: Final = reply(250, "2.0.0", "Flushed")
R250_CHUNK: Final = reply(250, "2.0.0", "Chunk received")
R252_VRFY: Final = reply(252, "2.1.5", "Send some mail, it will be tried")
R354_START_INPUT: Final = Reply(354, "", ("End data with <CR><LF>.<CR><LF>",))
R421_OUT_OF_STEP: Final = reply(421, "4.7.0", "Content was sent before it was asked for; closing")
R421_TOO_MANY_COMMANDS: Final = reply(421, "4.7.0", "Too many commands and no message; closing")
R421_TOO_MANY_ERRORS: Final = reply(421, "4.7.0", "Too many errors; closing")

UNKNOWN_COMMAND: Final = Refusal(reply(500, "5.5.2", "Command not recognized"), "unknown command")
OTHER_PROTOCOL: Final = Refusal(reply(500, "5.5.1", "This is no web server; closing"), "another protocol")
NOT_IMPLEMENTED: Final = Refusal(reply(502, "5.5.1", "Command not implemented"), "command not implemented")
LINE_TOO_LONG: Final = Refusal(reply(500, "5.5.2", "Line too long"), "line too long")
BARE_LF_IN_COMMAND: Final = Refusal(reply(500, "5.5.2", "Bare LF: lines end in CR LF; closing"), "bare LF in a command")
BARE_CR_IN_COMMAND: Final = Refusal(reply(500, "5.5.2", "Bare CR: lines end in CR LF; closing"), "bare CR in a command")

HELLO_SYNTAX: Final = Refusal(reply(501, "5.5.4", "Say who you are: EHLO domain"), "bad syntax in EHLO")
LHLO_FIRST: Final = Refusal(reply(500, "5.5.1", "This is LMTP: say LHLO"), "EHLO or HELO in LMTP")
MAIL_SYNTAX: Final = Refusal(reply(501, "5.5.2", "Syntax: MAIL FROM:<address>"), "bad syntax in MAIL")
RCPT_SYNTAX: Final = Refusal(reply(501, "5.5.2", "Syntax: RCPT TO:<address>"), "bad syntax in RCPT")
DATA_SYNTAX: Final = Refusal(reply(501, "5.5.4", "DATA takes no argument"), "bad syntax in DATA")
BDAT_SYNTAX: Final = Refusal(reply(501, "5.5.4", "Syntax: BDAT octets [LAST]"), "bad syntax in BDAT")
STARTTLS_SYNTAX: Final = Refusal(reply(501, "5.5.4", "STARTTLS takes no argument"), "bad syntax in STARTTLS")
TLS_ALREADY: Final = Refusal(reply(503, "5.5.1", "TLS is there already"), "STARTTLS under TLS")
XCLIENT_SYNTAX: Final = Refusal(reply(501, "5.5.4", "Syntax: XCLIENT attribute=value ..."), "bad syntax in XCLIENT")
PARAMETER_SYNTAX: Final = Refusal(reply(501, "5.5.4", "Bad or repeated parameter"), "bad parameter")
PARAMETER_UNKNOWN: Final = Refusal(reply(555, "5.5.4", "Parameter not recognized"), "unknown parameter")
TLS_FIRST: Final = Refusal(reply(530, "5.7.10", "REQUIRETLS needs TLS, STARTTLS first"), "REQUIRETLS without TLS")

SENDER_BAD: Final = Refusal(reply(501, "5.1.7", "Bad sender address syntax"), "bad sender address")
RECIPIENT_BAD: Final = Refusal(reply(501, "5.1.3", "Bad recipient address syntax"), "bad recipient address")
UTF8_NOT_ANNOUNCED: Final = Refusal(
    reply(553, "5.6.7", "Address is not ASCII, and SMTPUTF8 was not asked for"), "SMTPUTF8 not asked for"
)

MAIL_NESTED: Final = Refusal(reply(503, "5.5.1", "Sender already given"), "nested MAIL")
MAIL_FIRST: Final = Refusal(reply(503, "5.5.1", "MAIL first"), "no MAIL yet")
NO_RECIPIENTS: Final = Refusal(reply(554, "5.5.1", "No valid recipients"), "no valid recipients")
NO_LMTP_RECIPIENTS: Final = Refusal(reply(503, "5.5.1", "No valid recipients"), "no valid recipients")
"""RFC 2033 4.2 leaves no other code."""
IN_TRANSACTION: Final = Refusal(reply(503, "5.5.1", "Not within a transaction"), "out of place in a transaction")
IN_CHUNKS: Final = Refusal(reply(503, "5.5.1", "Not between chunks: send BDAT or RSET"), "out of place among chunks")
TOO_MANY_RECIPIENTS: Final = Refusal(reply(452, "4.5.3", "Too many recipients"), "too many recipients")

TOO_BIG: Final = Refusal(reply(552, "5.3.4", "Message is larger than this host takes"), "message too big")
BARE_LINE_END: Final = Refusal(
    # 550: no retry can mend it.  5.6.0: RFC 3463 3.7, the content is at fault and no other detail fits; the 5.6.11
    # that some servers use for this is not registered.
    reply(550, "5.6.0", "Bare CR or LF in the content: lines end in CR LF (RFC 5321 2.3.8)"),
    "bare CR or LF in the content",
)
