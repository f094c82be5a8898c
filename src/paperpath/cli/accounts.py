"""The accounts as commands reach them: opened from the configuration, their errors told to people."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paperpath.cli.faults import Fault, TemporaryFault

if TYPE_CHECKING:
    from paperpath.config.accounts import Accounts
    from paperpath.config.schema import Config


def open_accounts(config: "Config") -> "Accounts":
    """Return the accounts that the configuration names."""
    from paperpath.config.accounts import Accounts
    from paperpath.config.logins import keeps_clear
    from paperpath.config.places import accounts_file, mail_root

    return Accounts(accounts_file(config), mail_root(config), keeps_clear=keeps_clear(config.auth))


@contextmanager
def told() -> Iterator[None]:
    """Turn what goes wrong with accounts into a Fault that says what to do."""
    import apsw

    from paperpath.config.accounts import AccountError

    try:
        yield
    except PermissionError as error:
        raise Fault(f"{error.filename}: you may not; become root or the server's user") from None
    except AccountError as error:
        raise Fault(str(error)) from None
    except apsw.Error as error:
        raise TemporaryFault(
            f"the file of accounts cannot be used: {error}; is [paths] state right, and may you write there?"
        ) from None
