"""Words about the machine."""

from bench.machine import BUSY_LOAD, load_words


def test_a_busy_machine_is_called_so() -> None:
    assert load_words(BUSY_LOAD) == "0.50"
    assert "distorted" in load_words(BUSY_LOAD + 0.01)
