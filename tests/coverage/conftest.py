"""Line coverage by room, from what `make test` measured before it comes here."""

import os
from typing import NamedTuple

import coverage
import pytest
from coverage.exceptions import NoDataError
from support.checkout import ROOT, rooms

#: These run where nothing counts: in the environments of the clients that the wrapper hooks.
ELSEWHERE = {*(ROOT / "wrapper").rglob("_agenttype_wrapper/hooks/*_*.py")}
REMEDY = "nothing was measured: run `make test`, which measures all tests of the tiers before this one"


class Room(NamedTuple):
    """What of a room's lines was run.

    Attributes:
        lines: How many there are.
        missing: By file, the lines that were not run.
    """

    lines: int
    missing: dict[str, list[int]]

    @property
    def percent(self) -> float:
        run = self.lines - sum(map(len, self.missing.values()))
        return 100 * run / self.lines


@pytest.fixture(scope="session")
def measured(request) -> dict[str, Room]:
    if "COVERAGE_FILE" not in os.environ:
        pytest.fail(REMEDY)
    found = coverage.Coverage(data_file=os.environ["COVERAGE_FILE"], config_file=str(ROOT / "pyproject.toml"))
    try:
        found.combine(strict=True)
    except NoDataError:
        pytest.fail(REMEDY)
    found.save()
    request.config.stash[MEASURED] = {room: _looked_at(found, room) for room in rooms()}
    return request.config.stash[MEASURED]


def _looked_at(found: coverage.Coverage, room: str) -> Room:
    lines, missing = 0, {}
    for file in sorted({*(ROOT / room / "src").rglob("*.py")} - ELSEWHERE):
        _, statements, _, unrun, _ = found.analysis2(str(file))
        lines += len(statements)
        if unrun:
            missing[str(file.relative_to(ROOT))] = unrun
    return Room(lines, missing)


MEASURED = pytest.StashKey[dict[str, Room]]()


def pytest_terminal_summary(terminalreporter, config):
    if table := config.stash.get(MEASURED, None):
        terminalreporter.section("line coverage by room")
        for name, room in table.items():
            terminalreporter.write_line(f"{room.percent:5.1f} %  of {room.lines:5} lines  {name}")
