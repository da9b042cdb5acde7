"""Tells at the end of a run how long its steps took, so that a slow one is seen."""

import time
from collections import Counter
from pathlib import Path


class StepTimes:
    """A plugin of pytest, for a run that is one step of several."""

    def __init__(self, steps: str) -> None:
        """Read the steps before this one from the file that `.ci/step` writes."""
        self._steps = Path(steps)
        self._began = time.monotonic()
        self._spent: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report) -> None:
        """Add up what tests of a folder took, in whichever process they ran."""
        *folders, _ = report.nodeid.partition("::")[0].split("/")
        self._spent["/".join(folders[:3])] += report.duration

    def pytest_terminal_summary(self, terminalreporter) -> None:
        """Print what each folder's tests took in all, and each step of the whole by the clock."""
        terminalreporter.section("how long it took")
        for folder, seconds in sorted(self._spent.items()):
            terminalreporter.write_line(f"{seconds:5.0f} s of tests in {folder}")
        terminalreporter.write_line("")
        if self._steps.exists():
            terminalreporter.write(self._steps.read_text())
        terminalreporter.write_line(f"{time.monotonic() - self._began:5.0f} s  this run")
