"""`make bench`: run the scenarios, print the page, write it where asked to.

The exit status is 0 when everything was measured, whatever came out; 1 when something was not; 130 when it was
interrupted.
"""

import argparse
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Final

from bench import machine, report
from bench.errors import BenchError
from bench.paperpath import Paperpath
from bench.peers import Server
from bench.postfix import Postfix
from bench.results import Results, Sample
from bench.scenarios import FULL, QUICK, SCENARIOS, Scale, Scenario
from bench.sink import Sink
from bench.tls import OpenSsl
from bench.volume import volume

TURNS: Final = 5
QUICK_TURNS: Final = 1


def main() -> int:
    """Run what the command line asks for."""
    options = _options()
    scale = QUICK if options.quick else FULL
    turns = options.runs or (QUICK_TURNS if options.quick else TURNS)
    chosen = [scenario for scenario in SCENARIOS if options.only is None or scenario.name in options.only]
    _end_orderly_on_signals()
    try:
        results = _run(options, chosen, scale, turns)
    except KeyboardInterrupt:
        return 130
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    page = report.render(results)
    print(page)
    if options.json:
        options.json.write_text(results.as_json())
    if options.output:
        options.output.write_text(page)
    return 1 if results.failures else 0


def _run(options: argparse.Namespace, chosen: Sequence[Scenario], scale: Scale, turns: int) -> Results:
    with _workshop(options.folder) as (sink, servers, kinds):
        results = Results(
            date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            command=f'make bench ARGS="{" ".join(sys.argv[1:])}"' if sys.argv[1:] else "make bench",
            turns=turns,
            scale={name.replace("_", " "): value for name, value in asdict(scale).items()},
            machine=machine.describe(servers, kinds),
        )
        _measure(chosen, servers, sink, scale, results)
    return results


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure Paperpath and its peers side by side.")
    parser.add_argument("--quick", action="store_true", help="few messages, one turn: does it work at all")
    parser.add_argument(
        "--only", action="append", choices=[scenario.name for scenario in SCENARIOS], help="this scenario (repeatable)"
    )
    parser.add_argument("--runs", type=int, metavar="K", help=f"turns of each server (default {TURNS})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single figure there")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the page there")
    parser.add_argument(
        "--folder", type=Path, metavar="DIR", default=Path("build"), help="where the volumes are made (default build)"
    )
    return parser.parse_args()


def _end_orderly_on_signals() -> None:
    """Turn the first INT or TERM into KeyboardInterrupt, so that everything is ended; ignore the impatient second."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        print("\ncleaning up", file=sys.stderr)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupt)


@contextmanager
def _workshop(parent: Path) -> Iterator[tuple[Sink, list[Server], dict[str, str]]]:
    """Provide the servers, each with a volume of its own, and take all of it away afterwards.

    Yields the sink, all servers, and the kind of each one's volume.
    """
    folder = parent.resolve() / "bench"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise BenchError(f"{folder}: another run is under way, or was killed; then unmount and remove it") from None
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        logs = folder / "logs"
        logs.mkdir()
        ours = stack.enter_context(volume(folder, "paperpath"))
        peers = stack.enter_context(volume(folder, "postfix"))
        sink = Sink(folder=logs)
        paperpath, postfix = Paperpath(folder=ours.folder, logs=logs), Postfix(folder=peers.folder)
        servers: list[Server] = [paperpath, postfix, sink, OpenSsl(folder=logs)]
        yield sink, servers, {"Paperpath": ours.kind, "Postfix": peers.kind}


def _measure(chosen: Sequence[Scenario], servers: Sequence[Server], sink: Sink, scale: Scale, results: Results) -> None:
    """Run each scenario: turn after turn, and in each turn every server."""
    for server in servers:
        if why := server.missing():
            results.failures.append(f"{server.name}: {why}")
    usable = [server for server in servers if not server.missing()]
    for scenario in chosen:
        for turn in range(min(results.turns, scenario.turns_most)):
            for server in usable:
                if server.name in scenario.servers:
                    _take_turn(scenario, server, sink, scale, turn, results)


def _take_turn(scenario: Scenario, server: Server, sink: Sink, scale: Scale, turn: int, results: Results) -> None:
    try:
        figures = scenario.measure(server, sink, scale)
    except BenchError as error:
        results.failures.append(f"{scenario.about}, {server.name}, turn {turn + 1}: {error}")
        print(results.failures[-1], file=sys.stderr)
        return
    results.samples.append(Sample(scenario=scenario.name, server=server.name, turn=turn, figures=figures))
    shown = "  ".join(f"{name}={value:.5g}" for name, value in figures.items())
    print(f"{scenario.about:28} {server.name:10} {turn + 1}/{results.turns}  {shown}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
