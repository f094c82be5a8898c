"""The inputs that fuzzing found, played again, and for a moment more of their kind."""

import random

import pytest

from tests.fuzz import kept
from tests.fuzz.targets import TARGETS

MUTANTS = 150


def mutant(inputs: list[bytes], chance: random.Random) -> bytes:
    """Return two inputs spliced, with a few bytes changed, put in or left out."""
    one, other = chance.choice(inputs), chance.choice(inputs)
    made = bytearray(one[: chance.randrange(len(one) + 1)] + other[chance.randrange(len(other) + 1) :])
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(made) + 1)
        made[at : at + chance.randrange(3)] = chance.choice([b"", b"\r\n", b".", b":", b",", chance.randbytes(1)])
    return bytes(made)


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs(name: str) -> None:
    inputs = kept.read(name)
    assert len(inputs) >= 5, f"make fuzz ARGS={name}"
    for data in inputs:
        TARGETS[name](data)


@pytest.mark.parametrize("name", TARGETS)
def test_more_of_their_kind(name: str) -> None:
    inputs, chance = kept.read(name), random.Random(name)
    for _ in range(MUTANTS):
        data = mutant(inputs, chance)
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"{name} fails with {data!r}") from error
