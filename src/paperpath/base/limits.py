"""Limits that more than one part depends on, in one place, asserted against each other.

Sizes in bytes, times in seconds.
"""

# RFC 5321 4.5.3.1: what every server must take at least.
DOMAIN_BYTES = 255
PATH_BYTES = 256
RECIPIENTS_MINIMUM = 100

COMMAND_LINE_MOST_BYTES = 2048
"""What we take: the 512 of RFC 5321 4.5.3.1.4 plus every parameter that an extension adds to MAIL and RCPT."""

AUTH_LINE_MOST_BYTES = 12_288
"""The same where there is AUTH (RFC 4954 4): a response may be a long token."""

ADDRESS_MOST_BYTES = 900
"""Longest address we take or make; qmail-smtpd's bound, well above RFC 5321's 64+1+255."""

# RFC 5321 4.5.3.2: how long a client waits for each reply.
CLIENT_GREETING_S = 300
CLIENT_MAIL_S = 300
CLIENT_RCPT_S = 300
CLIENT_DATA_S = 120
CLIENT_BLOCK_S = 180
CLIENT_END_OF_DATA_S = 600

HOPS_MOST = 100
"""Received and Delivered-To fields before a message counts as looping; RFC 5321 6.3 asks for at least 100."""

INLINE_CONTENT_BYTES = 128 * 1024
"""Content up to this size travels inside a frame and lies in the database; beyond it is a file and a descriptor."""

RECIPIENTS_MOST = 100_000
"""Recipients of one message from a trusted network; one frame carries them all."""

ENVELOPE_MOST_BYTES = 16 * 1024 * 1024
"""All recipient addresses of one message together, with what they are to be called in reports (ORCPT)."""

FRAME_MOST_BYTES = 32 * 1024 * 1024

WORKERS_MOST = 256
"""Workers of `local` that `queue` keeps: each takes some 5 MB of its own."""

JOB_MOST_S = 3 * 3600
"""A delivery under way for longer hangs (a dead NFS server): its agent is let go and the work deferred.  Above what any
honest one takes: RFC 5321's client limits added up, and an hour for a user's program."""

MAILBOX_MOST_MESSAGES = 1_000_000
"""What a POP3 session sees of a mailbox: the oldest, where it has more."""

MAILBOX_PAGE_MESSAGES = 256
"""How many of them are described in one frame: all that a session has of them in memory."""

TRACE_MOST_BYTES = 4096
"""The lines that we put before a message: Received, and what later stages add."""

assert ENVELOPE_MOST_BYTES * 3 // 2 + INLINE_CONTENT_BYTES + TRACE_MOST_BYTES < FRAME_MOST_BYTES
assert PATH_BYTES < ADDRESS_MOST_BYTES < COMMAND_LINE_MOST_BYTES
assert JOB_MOST_S > CLIENT_GREETING_S + CLIENT_MAIL_S + CLIENT_RCPT_S + CLIENT_DATA_S + CLIENT_END_OF_DATA_S + 3600
