from functools import partial
from typing import Any, cast

from paperpath.auth.accounts import AccountsFile
from paperpath.auth.judge import Judge, addresses_of
from paperpath.auth.tokens_client import Tokens
from paperpath.auth.verdict import Client, Identity, Later, Unknown, Verdict

CLIENT = Client("submission", "192.0.2.1", secure=True)
ANN = Identity("ann@example.test")


class Says:
    """A backend that always says the same, later."""

    def __init__(self, verdict: Verdict) -> None:
        self._worth = Worth(verdict)

    def check(self, *_: Any) -> Later[Verdict]:
        return partial(self._worth.check)


class Worth:
    """A judge of tokens that always says the same."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict

    async def check(self, *_: Any) -> Verdict:
        return self._verdict


def judge(*verdicts: Verdict, token: Verdict = None) -> Judge:
    file, tokens = AccountsFile("/nonexistent"), cast(Tokens, Worth(token))
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
        said = judge(*verdicts).check_password("ann", b"x", CLIENT)
        assert (await said() if isinstance(said, partial) else said) == result


def test_a_first_backend_that_says_yes_at_once_is_not_waited_for() -> None:
    class AtOnce:
        def check(self, *_: Any) -> Verdict:
            return ANN

    file = AccountsFile("/nonexistent")
    made = Judge(backends=[AtOnce(), Says(None)], accounts=None, file=file, tokens=None, secret=b"s" * 32)
    assert made.check_password("ann", b"x", CLIENT) == ANN


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
