"""Programs that bring mail from this host: sendmail, qmail-inject, qmail-queue and the small ones around them.

Each runs as whoever called it and is over in milliseconds: no module here or below loads patterns, typing, argument
parsers or the configuration's reader.  They are believed by nobody: `receive` learns from the kernel who calls.
"""
