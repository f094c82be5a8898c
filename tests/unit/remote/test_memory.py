"""What is remembered of addresses (reference 12.6)."""

from paperpath.remote import memory as module
from paperpath.remote.memory import AddressMemory

A = "192.0.2.1"


def test_one_timeout_is_no_reason_to_skip() -> None:
    memory = AddressMemory()
    memory.note_timeout(A, 0)
    assert not memory.skips(A, 1)


def test_timeouts_together_count_as_one() -> None:
    memory = AddressMemory()
    for now in (0, 1, 119.9):
        memory.note_timeout(A, now)
    assert not memory.skips(A, 120)
    memory.note_timeout(A, 120)
    assert memory.skips(A, 120) and not memory.skips("192.0.2.2", 120)


def test_an_address_is_skipped_for_an_hour_and_then_tried() -> None:
    memory = AddressMemory()
    memory.note_timeout(A, 0)
    memory.note_timeout(A, 200)
    assert memory.skips(A, 200 + module.SKIP_S - 1)
    assert not memory.skips(A, 200 + module.SKIP_S)


def test_an_answer_forgives() -> None:
    memory = AddressMemory()
    memory.note_timeout(A, 0)
    memory.note_timeout(A, 200)
    memory.note_answer(A)
    assert not memory.skips(A, 201)
    memory.note_timeout(A, 400)
    assert not memory.skips(A, 401)


def test_bad_tls_is_remembered_for_a_while() -> None:
    memory = AddressMemory()
    memory.note_bad_tls(A, 0)
    assert memory.wants_plain(A, module.PLAIN_S - 1)
    assert not memory.wants_plain(A, module.PLAIN_S)


def test_the_memory_is_bounded() -> None:
    memory = AddressMemory()
    for number in range(module.ADDRESSES_MOST + 50):
        memory.note_timeout(str(number), 0)
        memory.note_bad_tls(str(number), 0)
    assert len(memory._timeouts) == len(memory._plain_until) == module.ADDRESSES_MOST
