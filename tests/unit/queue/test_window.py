import pytest

from paperpath.queue import window as window_module
from paperpath.queue.window import Limits, Window

NOW = 1_000_000
A, B, C = (("remote", name) for name in "abc")
HERE = ("local", "alice")


@pytest.fixture
def window() -> Window:
    return Window({"remote": Limits(4, 2), "local": Limits(1, 1)})


def test_room_is_what_channel_and_destination_leave(window: Window) -> None:
    assert window.room(A, NOW) == 2
    window.start(A)
    assert window.room(A, NOW) == 1
    window.start(A)
    window.start(B)
    assert (window.room(A, NOW), window.room(B, NOW), window.room(C, NOW)) == (0, 1, 1)
    window.start(C)
    assert (window.room(B, NOW), window.room(C, NOW)) == (0, 0)
    assert window.room(HERE, NOW) == 1
    window.end(A)
    assert (window.room(A, NOW), window.room(B, NOW)) == (1, 1)
    for key in (A, B, C):
        window.end(key)
    assert window.under_way == 0
    assert not window._destination


def test_smaller_limits_hold_for_what_is_under_way_already(window: Window) -> None:
    for key in (A, A, B):
        window.start(key)
    window.set_limits({"remote": Limits(1, 1), "local": Limits(1, 1)})
    assert window.room(A, NOW) == window.room(C, NOW) == 0
    for key in (A, A, B):
        window.end(key)
    assert window.room(A, NOW) == 1
    assert window.under_way == 0


def test_whoever_waits_is_told_when_the_last_job_ends(window: Window) -> None:
    idle: list[int] = []
    window.on_idle = lambda: idle.append(window.under_way)
    window.start(A)
    window.start(HERE)
    window.end(A)
    assert not idle
    window.end(HERE)
    assert idle == [0]


def test_destinations_in_line_take_turns(window: Window) -> None:
    for key in (A, B, C, A):
        window.wait(key, NOW)
    assert window.line == 3
    assert [window.next_waiting(NOW) for _ in range(4)] == [(A, 2), (B, 2), (C, 2), (A, 2)]


def test_destination_without_room_is_passed_over_and_keeps_its_place(window: Window) -> None:
    window.wait(A, NOW)
    window.wait(B, NOW)
    window.start(A)
    window.start(A)
    assert window.next_waiting(NOW) == (B, 2)
    window.end(A)
    assert window.next_waiting(NOW) == (A, 1)
    window.emptied(A)
    window.emptied(B)
    assert window.next_waiting(NOW) is None
    window.end(A)
    assert window.under_way == 0


def test_new_mail_does_not_overtake_what_stands_in_line(window: Window) -> None:
    assert window.may_start_fresh(A, NOW)
    window.wait(A, NOW)
    assert not window.may_start_fresh(A, NOW)
    assert window.may_start_fresh(B, NOW)


def test_line_is_bounded(window: Window) -> None:
    for number in range(window_module._LINE_MOST + 5):
        window.wait(("remote", str(number)), NOW)
    assert window.line == window_module._LINE_MOST


def test_shut_channel_starts_nothing_and_leaves_the_line(window: Window) -> None:
    window.wait(A, NOW)
    window.wait(HERE, NOW)
    window.shut("remote")
    window.wait(B, NOW)
    assert window.line == 1
    assert window.room(A, NOW) == 0
    assert window.open_channels() == {"local"}
    window.unshut("remote")
    assert window.room(A, NOW) == 2
    assert window.open_channels() == {"local", "remote"}


def test_concurrency_of_0_shuts_a_channel() -> None:
    window = Window({"remote": Limits(0, 2), "local": Limits(1, 1)})
    window.wait(A, NOW)
    assert window.is_shut("remote")
    assert (window.room(A, NOW), window.line) == (0, 0)


def test_down_destination_is_left_alone_twice_as_long_each_time_up_to_a_bound(window: Window) -> None:
    now, pauses = NOW, []
    for _ in range(6):
        until = window.mark_down(A, now)
        pauses.append(until - now)
        now = until
    assert pauses == [60, 120, 240, 480, 960, 960]
    window.mark_up(A)
    assert window.mark_down(A, now) == now + 60


def test_jobs_that_fail_together_count_once(window: Window) -> None:
    assert {window.mark_down(A, NOW + late) for late in range(20)} == {NOW + 60}


def test_down_destination_gets_nothing_until_its_time_comes(window: Window) -> None:
    window.wait(A, NOW)
    until = window.mark_down(A, NOW)
    assert window.line == 0
    window.wait(A, until - 1)
    assert (window.line, window.room(A, until - 1)) == (0, 0)
    assert window.unready(until - 1) == {A}
    assert window.next_up(until - 1) == until
    assert not window.may_start_fresh(A, until - 1)
    assert window.next_up(until) is None
    window.wait(A, until)
    assert (window.line, window.room(A, until)) == (1, 2)


def test_operator_can_have_all_tried_again(window: Window) -> None:
    window.mark_down(A, NOW)
    window.forget_down()
    assert window.down_until(A, NOW) == 0
    assert window.room(A, NOW) == 2


def test_memory_of_down_destinations_is_bounded(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_module, "_DOWN_REMEMBERED", 2)
    for key in (A, B, C):
        window.mark_down(key, NOW)
    assert window.unready(NOW) == {B, C}


def test_a_destination_is_left_alone_no_longer_than_something_allows() -> None:
    window = Window({"remote": Limits(4, 2), "local": Limits(1, 1)})
    assert window.mark_down(A, NOW) == NOW + 60
    window.decide_at(A, NOW + 20, NOW)
    assert window.down_until(A, NOW) == NOW + 20
    window.decide_at(A, NOW + 50, NOW)
    window.decide_at(A, NOW + 900, NOW)
    assert window.down_until(A, NOW) == NOW + 20
    assert A not in window.unready(NOW + 20)
    assert window.mark_down(A, NOW + 20) == NOW + 50  # and not two minutes from then
    assert window.mark_down(A, NOW + 50) == NOW + 50 + 240
    assert window.mark_down(B, NOW) == NOW + 60


def test_moments_are_bounded_and_the_first_are_kept() -> None:
    window = Window({"remote": Limits(4, 2), "local": Limits(1, 1)})
    for after in range(300, 0, -1):
        window.decide_at(A, NOW + after, NOW)
    for after in range(1, 5):
        assert window.mark_down(A, NOW + after - 1) == NOW + after
