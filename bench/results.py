"""What came out of a run: every single figure, kept so that nobody has to trust a median."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The figures of one server in one turn of one scenario."""

    scenario: str
    server: str
    turn: int
    figures: Mapping[str, float]


@dataclass(slots=True, kw_only=True)
class Results:
    """One run of the benchmarks; samples and failures are added while it lasts."""

    date: str
    command: str
    turns: int
    scale: Mapping[str, float]
    machine: Mapping[str, str]
    samples: list[Sample] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What could not be measured, and why."""

    def by_figure(self) -> dict[tuple[str, str], list[float]]:
        """Return all values of each figure of each server."""
        found: dict[tuple[str, str], list[float]] = {}
        for sample in self.samples:
            for figure, value in sample.figures.items():
                found.setdefault((sample.server, figure), []).append(value)
        return found

    def as_json(self) -> str:
        """Return everything as one JSON object."""
        return json.dumps(asdict(self), indent=2) + "\n"
