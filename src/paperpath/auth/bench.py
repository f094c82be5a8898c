"""What one set of settings puts together: the judge, the backends that it asks, and what is to be closed with them."""

from collections.abc import Callable
from typing import Protocol

from paperpath.auth.accounts import AccountsBackend, AccountsFile
from paperpath.auth.dovecot import DovecotBackend
from paperpath.auth.helper import Helper
from paperpath.auth.judge import Judge
from paperpath.auth.known import Known
from paperpath.auth.outside_client import OutsideBackend
from paperpath.auth.tokens_client import Tokens
from paperpath.auth.verdict import Backend, Client, Conversation
from paperpath.process.settings import AuthSettings
from paperpath.system.clock import monotonic

_ACCOUNTS_KNOWN_S = 3600.0
"""What is remembered of accounts cannot be out of date (`auth.known`); this only bounds how long it is held."""


class _Closes(Protocol):
    def close(self) -> None:
        """Let go."""


class Bench:
    """Judges by one set of settings; ``secret`` is this process's own."""

    def __init__(self, settings: AuthSettings, secret: bytes) -> None:
        self.settings = settings
        self._secret = secret
        self._open: list[_Closes] = []
        self._file = AccountsFile(settings.accounts_file)
        self._open.append(self._file)
        self._outside: Helper | None = None
        backends = [self._backend(name) for name in settings.backends]
        self.judge = Judge(
            backends=backends,
            accounts=next((one for one in backends if isinstance(one, AccountsBackend)), None),
            file=self._file,
            tokens=Tokens(self._helper("auth.tokens")) if settings.takes_tokens else None,
            secret=secret,
            scram_elsewhere=self._scram_elsewhere(backends),
        )

    def close(self) -> None:
        """Let go of files, threads and conversations."""
        for one in self._open:
            one.close()

    def _scram_elsewhere(self, backends: list[Backend]) -> Callable[[Client], Conversation] | None:
        if "SCRAM-SHA-256" not in self.settings.dovecot_mechanisms:
            return None
        return next((one.scram for one in backends if isinstance(one, DovecotBackend)), None)

    def _backend(self, name: str) -> Backend:
        make: dict[str, Callable[[], Backend]] = {
            "accounts": self._accounts_backend,
            "pam": lambda: self._outside_backend("pam"),
            "checkpassword": lambda: self._outside_backend("checkpassword"),
            "dovecot": self._dovecot_backend,
        }
        return make[name]()

    def _known(self, good_for_s: float) -> Known:
        return Known(self._secret, good_for_s, monotonic)

    def _accounts_backend(self) -> AccountsBackend:
        backend = AccountsBackend(self._file, self.settings.default_domain, self._known(_ACCOUNTS_KNOWN_S))
        self._open.append(backend)
        return backend

    def _outside_backend(self, how: str) -> OutsideBackend:
        if self._outside is None:
            self._outside = self._helper("auth.outside")
        return OutsideBackend(how, self._outside, self._known(self.settings.cache_s))

    def _dovecot_backend(self) -> DovecotBackend:
        backend = DovecotBackend(self.settings.dovecot, self._known(self.settings.cache_s))
        self._open.append(backend)
        return backend

    def _helper(self, socket: str) -> Helper:
        helper = Helper(f"{self.settings.run}/{socket}")
        self._open.append(helper)
        return helper
