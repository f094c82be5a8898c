"""PAM and checkpassword, as backends: `auth.outside` does what they need."""

from paperpath.auth.helper import Helper
from paperpath.auth.known import Known
from paperpath.auth.verdict import Client, Identity, Verdict
from paperpath.wire.outside import CheckOutside


class OutsideBackend:
    """One of the two."""

    def __init__(self, how: str, helper: Helper, known: Known) -> None:
        self._how, self._helper, self._known = how, helper, known

    async def check(self, name: str, password: bytes, client: Client) -> Verdict:
        """Tell whose password this is."""
        parts = (self._how.encode(), name.encode(), password)
        known = self._known.find(*parts)
        if known is not None:
            return known
        verdict = await self._helper.ask(lambda ticket: CheckOutside(ticket, self._how, name, password, client.peer))
        if isinstance(verdict, Identity):
            self._known.add(verdict, *parts)
        return verdict
