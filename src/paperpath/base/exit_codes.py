"""What programs of dot-qmail files say by their exit codes (qmail-command(8)), beside 0: done, and go on.

Every other code means: not now.
"""

STOP_HERE = 99
"""Done, and the instructions that follow are not to be carried out."""
FAILED = frozenset({64, 65, 70, 76, 77, 78, 100, 112})
"""Never."""
