"""What is not run by any test is not known to work."""

import itertools

import pytest
from support.checkout import rooms

#: Percent of a room's lines.
WANTED = 90


def ranges(lines):
    """Line numbers as a reader writes them: 3, 7-9."""
    for _, group in itertools.groupby(enumerate(lines), lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in group]
        yield str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


@pytest.mark.parametrize("room", rooms())
def test_nearly_every_line_of_a_room_is_run_by_tests(measured, room):
    found = measured[room]
    if found.percent < WANTED:
        unrun = "\n".join(f"  {file}: {', '.join(ranges(lines))}" for file, lines in found.missing.items())
        said = f"{found.percent:.1f} % of the lines of {room} are run, {WANTED} are wanted; not run:"
        pytest.fail(f"{said}\n{unrun}", pytrace=False)
