"""Bearer tokens: `auth.tokens` asks their issuer or judges their signature."""

from paperpath.auth.helper import Helper
from paperpath.auth.verdict import Client, Verdict
from paperpath.wire.outside import CheckBearer


class Tokens:
    """Asks what a token is worth."""

    def __init__(self, helper: Helper) -> None:
        self._helper = helper

    async def check(self, token: str, _client: Client) -> Verdict:
        """Tell whose token this is."""
        return await self._helper.ask(lambda ticket: CheckBearer(ticket, token))
