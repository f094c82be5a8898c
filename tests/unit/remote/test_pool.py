"""Which connection carries which job, and what becomes of jobs when connections end."""

import asyncio

import msgspec
import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.remote import connection as connection_module
from paperpath.remote import pool as pool_module
from paperpath.wire.delivery import Report
from tests.unit.remote.scene import (
    CONTENT,
    SETTINGS,
    Bench,
    Names,
    Server,
    Session,
    closed_port,
    file_with,
    is_open,
    job_for,
)


def only(report: Report) -> Outcome:
    (result,) = report.results
    return result.outcome


async def keep_taking(session: Session) -> None:
    await session.greet("PIPELINING")
    while True:
        await session.take_mail()


async def take_one_and_go(session: Session) -> None:
    await session.greet("PIPELINING")
    await session.take_mail()


async def never(session: Session) -> None:
    raise AssertionError("nobody should connect here")


async def test_a_connection_is_used_again() -> None:
    async with Server(keep_taking) as server, Bench() as bench:
        for number in range(3):
            report = await bench.deliver(job_for(server.route, number=number))
            assert report.job == number and isinstance(only(report), Delivered)
        assert server.connections == 1


async def test_results_carry_the_numbers_of_the_targets() -> None:
    async with Server(keep_taking) as server, Bench() as bench:
        report = await bench.deliver(job_for(server.route, b"b@d.test", b"x\n@d.test", b"c@d.test"))
        assert [(result.number, type(result.outcome)) for result in report.results] == [
            (0, Delivered),
            (10, Failed),
            (20, Delivered),
        ]


async def test_jobs_at_the_same_time_get_connections_of_their_own() -> None:
    async with Server(keep_taking) as server, Bench() as bench:
        reports = await asyncio.gather(*(bench.start(job_for(server.route)) for _ in range(4)))
        assert all(isinstance(only(report), Delivered) for report in reports)
        assert server.connections == 4


async def test_a_connection_ends_after_so_many_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "TRANSACTIONS_MOST", 2)
    async with Server(keep_taking) as server, Bench() as bench:
        for _ in range(4):
            await bench.deliver(job_for(server.route))
        assert server.connections == 2


async def test_mail_that_meets_a_closed_door_goes_again_on_a_new_connection() -> None:
    async with Server(take_one_and_go) as server, Bench() as bench:
        assert isinstance(only(await bench.deliver(job_for(server.route))), Delivered)
        # Whether the end is seen before or after MAIL was sent, the second mail must not suffer for it.
        assert isinstance(only(await bench.deliver(job_for(server.route))), Delivered)
        assert server.connections == 2


async def test_a_421_that_waited_for_the_next_mail_is_no_reason_to_defer_it() -> None:
    async def goodbye(session: Session) -> None:
        await take_one_and_go(session)
        await session.hear()
        await session.say("421 4.4.2 idle")

    async with Server(goodbye) as server, Bench() as bench:
        for _ in range(2):
            assert isinstance(only(await bench.deliver(job_for(server.route))), Delivered)
        assert server.connections == 2


async def test_on_a_new_connection_a_closed_door_defers() -> None:
    async def slam(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.hear()

    async with Server(slam) as server, Bench() as bench:
        outcome = only(await bench.deliver(job_for(server.route)))
        assert isinstance(outcome, Deferred) and outcome.code == "4.2" and not outcome.destination_down
        assert server.connections == 1


async def test_the_next_address_is_tried_until_mail_was_offered() -> None:
    async def unfriendly(session: Session) -> None:
        await session.say("554 no service")

    async def unhappy(session: Session) -> None:
        await session.say("220 hello")
        await session.hear()
        await session.say("451 later")

    async with Server(keep_taking, address="127.0.0.4") as last:
        port = last.port
        async with Server(unfriendly, address="127.0.0.2", port=port), Server(unhappy, address="127.0.0.3", port=port):
            names = Names(mx_test="127.0.0.1 127.0.0.2 127.0.0.3 127.0.0.4")
            async with Bench(resolver=names) as bench:
                outcome = only(await bench.deliver(job_for(f"smtp://mx.test:{port}")))
                assert isinstance(outcome, Delivered) and outcome.host == "mx.test (127.0.0.4)"


async def test_no_other_address_is_tried_once_mail_was_offered() -> None:
    async def refuse(session: Session) -> None:
        await session.greet()
        await session.hear()
        await session.say("451 4.7.1 greylisted")
        await session.hear()

    names = Names(mx_test="127.0.0.1 127.0.0.2")
    async with (
        Server(refuse) as first,
        Server(never, address="127.0.0.2", port=first.port),
        Bench(resolver=names) as bench,
    ):
        outcome = only(await bench.deliver(job_for(f"smtp://mx.test:{first.port}")))
        assert isinstance(outcome, Deferred) and outcome.code == "7.1" and not outcome.destination_down


async def test_when_no_address_takes_mail_the_destination_is_down() -> None:
    async with Bench() as bench:
        outcome = only(await bench.deliver(job_for(f"smtp://127.0.0.1:{closed_port()}")))
        assert isinstance(outcome, Deferred) and outcome.destination_down and outcome.code == "4.1"
        assert "cannot connect" in outcome.text


async def test_a_server_that_closes_at_once_does_not_keep_us_busy() -> None:
    async def bye(session: Session) -> None:
        await session.greet()

    async with Server(bye) as server, Bench() as bench:
        outcomes = [
            only(report) for report in await asyncio.gather(*(bench.start(job_for(server.route)) for _ in range(3)))
        ]
        assert all(isinstance(outcome, Deferred) for outcome in outcomes)
        assert server.connections <= 3


async def test_a_connection_that_is_over_before_it_is_used_defers() -> None:
    async def hello_and_goodbye(session: Session) -> None:
        await session.say("220 hello")
        await session.hear()
        await session.say("250 peer.test", "421 4.3.2 too busy after all")

    async with Server(hello_and_goodbye) as server, Bench() as bench:
        outcome = only(await bench.deliver(job_for(server.route)))
        assert isinstance(outcome, Deferred) and outcome.code == "4.2"
        assert server.connections == 1


async def test_the_limit_on_connections_holds_and_starves_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_module, "_SWEEP_S", 1000.0)  # nobody is to wait until an idle connection expires
    settings = msgspec.structs.replace(SETTINGS, connections_most=1)
    async with Server(keep_taking) as one, Server(keep_taking) as other, Bench(settings) as bench:
        jobs = [job_for(server.route) for server in (one, one, other, one, other)]
        reports = await asyncio.gather(*(bench.start(job) for job in jobs))
        assert all(isinstance(only(report), Delivered) for report in reports)
        assert one.connections + other.connections <= 5


async def test_content_in_a_file_is_streamed_and_the_file_closed() -> None:
    content = b"Subject: large\n\n" + b".line with a dot\r\n" * 40_000
    taken: list[bytes] = []

    async def take(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        parts = []
        while (line := await session.reader.readline()) != b".\r\n":
            parts.append(line)
        taken.append(b"".join(parts))
        await session.say("250 taken")

    descriptor = file_with(content)
    job = msgspec.structs.replace(job_for("x", content=b""), size=len(content), attached=True, trace=b"Received: us\n")
    async with Server(take) as server, Bench() as bench:
        report = await bench.deliver(msgspec.structs.replace(job, route=server.route), descriptor)
        assert isinstance(only(report), Delivered)
        assert not is_open(descriptor)
    stuffed = content.replace(b"\r\n", b"\n").replace(b"\n.", b"\n..").replace(b"\n", b"\r\n")
    assert taken == [b"Received: us\r\n" + stuffed]


async def test_a_file_that_is_too_short_is_not_sent_as_if_it_were_whole() -> None:
    heard: list[bytes] = []

    async def listen(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        heard.append(await session.reader.read(-1))

    descriptor = file_with(CONTENT)
    job = msgspec.structs.replace(job_for("x", content=b""), size=len(CONTENT) + 1, attached=True)
    async with Server(listen) as server, Bench() as bench:
        outcome = only(await bench.deliver(msgspec.structs.replace(job, route=server.route), descriptor))
        assert isinstance(outcome, Deferred) and "duplicate" not in outcome.text
        assert not is_open(descriptor)
    assert not heard or b"\r\n.\r\n" not in heard[0]


async def test_a_silent_server_is_given_up_at_the_deadline() -> None:
    reached = asyncio.Event()

    async def silent(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        await session.content()
        reached.set()
        await session.hear()

    async with Server(silent) as server, Bench() as bench:
        report = bench.start(job_for(server.route))
        await reached.wait()
        (connection,) = bench.pool._watched
        assert connection.deadline > asyncio.get_running_loop().time() + 500
        connection.expire()
        outcome = only(await report)
        assert isinstance(outcome, Deferred) and "timed out" in outcome.text and "possible duplicate" in outcome.text


async def test_no_step_takes_longer_than_the_setting() -> None:
    reached = asyncio.Event()

    async def silent(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        await session.content()
        reached.set()
        await session.hear()

    async with Server(silent) as server, Bench(msgspec.structs.replace(SETTINGS, timeout_s=7)) as bench:
        report = bench.start(job_for(server.route))
        await reached.wait()
        (connection,) = bench.pool._watched
        assert connection.deadline <= asyncio.get_running_loop().time() + 7
        connection.expire()
        await report


async def test_bytes_without_a_reply_do_not_move_the_deadline() -> None:
    seen: list[float] = []

    async def drip(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.hear()
        (connection,) = bench.pool._watched
        seen.append(connection.deadline)
        session.writer.write(b"250-slow")
        await session.writer.drain()
        await asyncio.sleep(0.01)
        seen.append(connection.deadline)
        session.writer.write(b"ly\r\n250 ok\r\n")
        await session.writer.drain()
        await asyncio.sleep(0.01)
        seen.append(connection.deadline)

    async with Server(drip) as server, Bench() as bench:
        await bench.deliver(job_for(server.route))
    assert seen[0] == seen[1] < seen[2]


async def test_an_idle_connection_is_parted_with_politely() -> None:
    said: list[str] = []
    over = asyncio.Event()

    async def script(session: Session) -> None:
        await take_one_and_go(session)
        said.append(await session.hear())
        await session.say("221 bye")
        said.append((await session.reader.read()).decode())
        over.set()

    async with Server(script) as server, Bench() as bench:
        await bench.deliver(job_for(server.route))
        (connection,) = bench.pool._watched
        connection.expire()
        await bench.pool._wait(lambda: not bench.pool._watched, 10)
        assert not bench.pool._destinations
        await over.wait()
    assert said == ["QUIT", ""]


async def test_a_defect_of_ours_defers_that_job_and_is_logged() -> None:
    async with Server(keep_taking) as server, Bench() as bench:
        job = job_for(server.route)
        broken = msgspec.structs.replace(job, sender=None)
        outcome = only(await bench.deliver(broken))
        assert isinstance(outcome, Deferred) and outcome.status == "4.3.0"
        assert any("process.broken" in line for line in bench.lines)
        assert isinstance(only(await bench.deliver(job)), Delivered)


async def test_drain_finishes_what_is_under_way() -> None:
    proceed = asyncio.Event()
    offered = asyncio.Event()

    async def slow(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        offered.set()
        await proceed.wait()
        await session.content()
        await session.say("250 taken")
        assert await session.hear() == "QUIT"
        await session.say("221 bye")

    async with Server(slow) as server, Bench() as bench:
        report = bench.start(job_for(server.route))
        await offered.wait()
        drained = asyncio.create_task(bench.pool.drain(20))
        await asyncio.sleep(0)
        proceed.set()
        assert isinstance(only(await report), Delivered)
        await drained
        assert not bench.pool._watched


async def test_drain_ends_what_takes_longer_than_the_grace() -> None:
    offered = asyncio.Event()

    async def endless(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        offered.set()
        await session.reader.read()

    async with Server(endless) as server, Bench() as bench:
        report = bench.start(job_for(server.route))
        await offered.wait()
        await bench.pool.drain(0)
        assert isinstance(only(await report), Deferred)


async def test_an_address_that_timed_out_is_skipped() -> None:
    async with Server(keep_taking) as server, Bench() as bench:
        now = asyncio.get_running_loop().time()
        for moment in (now - 200, now):
            bench.memory.note_timeout("127.0.0.1", moment)
        outcome = only(await bench.deliver(job_for(server.route)))
        assert isinstance(outcome, Deferred) and outcome.destination_down and "timed out" in outcome.text
        assert server.connections == 0


async def test_a_connection_that_takes_too_long_is_remembered() -> None:
    settings = msgspec.structs.replace(SETTINGS, connect_timeout_s=0)
    async with Server(keep_taking) as server, Bench(settings) as bench:
        outcome = only(await bench.deliver(job_for(server.route)))
        assert isinstance(outcome, Deferred) and "does not answer" in outcome.text
        assert bench.memory._timeouts.keys() == {"127.0.0.1"}


async def test_jobs_that_only_wait_are_dropped_and_those_under_way_are_finished() -> None:
    go_on = asyncio.Event()

    async def slow(session: Session) -> None:
        await session.greet("PIPELINING")
        await session.envelope()
        under_way.set()
        await go_on.wait()
        await session.content()
        await session.say("250 taken")
        await session.hear()

    under_way = asyncio.Event()
    async with Server(slow) as server, Bench(msgspec.structs.replace(SETTINGS, connections_most=1)) as bench:
        first = bench.start(job_for(server.route))
        await under_way.wait()
        descriptor = file_with(CONTENT)
        waiting = [bench.start(job_for(server.route), descriptor), bench.start(job_for("smtp://127.0.0.1:1"))]
        bench.pool.drop_waiting()
        assert not is_open(descriptor)
        assert not bench.pool._starved
        go_on.set()
        assert isinstance(only(await first), Delivered)
        await bench.pool.drain(20)
        assert not any(future.done() for future in waiting)
        assert server.connections == 1
