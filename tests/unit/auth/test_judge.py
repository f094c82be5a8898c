from typing import Any, cast

from paperpath.auth.accounts import AccountsFile
from paperpath.auth.judge import Judge, addresses_of
from paperpath.auth.tokens_client import Tokens
from paperpath.auth.verdict import Client, Identity, Unknown, Verdict

CLIENT = Client("submission", "192.0.2.1", secure=True)
ANN = Identity("ann@example.test")


class Says:
    """A backend, or a judge of tokens, that always says the same."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    async def check(self, *_: Any) -> Verdict:
        return self._verdict


def judge(*verdicts: Verdict, token: Verdict = None) -> Judge:
    file, tokens = AccountsFile("/nonexistent"), cast(Tokens, Says(token))
    backends = [Says(verdict) for verdict in verdicts]
    return Judge(backends=backends, accounts=None, file=file, tokens=tokens, secret=b"s" * 32)


async def test_the_first_yes_counts_and_one_that_cannot_tell_counts_more_than_a_no() -> None:
    away = Unknown("away")
    for verdicts, result in (
        ((None, ANN), ANN),
        ((away, ANN), ANN),
        ((ANN, Identity("bob")), ANN),
        ((away, None), away),
        ((None, away), away),
        ((None, None), None),
        ((), None),
    ):
        assert await judge(*verdicts).check_password("ann", b"x", CLIENT) == result


async def test_a_token_of_another_account_is_worth_nothing() -> None:
    made = judge(token=ANN)
    assert await made.check_token("bob@example.test", "t", CLIENT) is None
    assert await made.check_token("ANN@example.test", "t", CLIENT) == ANN
    assert await made.check_token("", "t", CLIENT) == ANN


def test_what_an_account_may_send_as() -> None:
    senders = {"ann@x.test": ("info@x.test",), "ann": ("@list.test",)}
    assert addresses_of("ann@x.test", ("y.test",), senders) == (b"ann@x.test", b"info@x.test")
    assert addresses_of("ann", ("y.test", "z.test"), senders) == (
        b"ann@y.test",
        b"ann-*@y.test",
        b"ann@z.test",
        b"ann-*@z.test",
        b"@list.test",
    )
