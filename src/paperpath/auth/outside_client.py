"""PAM and checkpassword, as backends: `auth.outside` does what they need."""

from functools import partial

from paperpath.auth.helper import Helper
from paperpath.auth.known import Known
from paperpath.auth.verdict import Client, Identity, Later, Verdict
from paperpath.wire.outside import CheckOutside


class OutsideBackend:
    """One of the two."""

    def __init__(self, how: str, helper: Helper, known: Known) -> None:
        self._how, self._helper, self._known = how, helper, known

    def check(self, name: str, password: bytes, client: Client) -> Verdict | Later[Verdict]:
        """Tell whose password this is."""
        parts = (self._how.encode(), name.encode(), password)
        return self._known.find(*parts) or partial(self._ask, name, password, client, parts)

    async def _ask(self, name: str, password: bytes, client: Client, parts: tuple[bytes, ...]) -> Verdict:
        verdict = await self._helper.ask(lambda ticket: CheckOutside(ticket, self._how, name, password, client.peer))
        if isinstance(verdict, Identity):
            self._known.add(verdict, *parts)
        return verdict
