"""How a command fails."""

EXIT_USAGE = 64
EXIT_PERMANENT = 100
EXIT_TEMPORARY = 111


class Fault(Exception):
    """Something is wrong that trying again will not mend.  The text says what, where, and what to do."""

    exit_code = EXIT_PERMANENT


class TemporaryFault(Fault):
    """Something is wrong now and may be right later: the server does not run, the disk is full."""

    exit_code = EXIT_TEMPORARY
