"""Passing answers on to those who asked."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

A = TypeVar("A")


def pass_on(on_answer: Callable[[A], None], answer: A) -> None:
    """Call ``on_answer``.  A defect in it is reported, and goes no further: others wait for their answers."""
    try:
        on_answer(answer)
    except Exception as error:
        context = {"message": "passing on an answer", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
