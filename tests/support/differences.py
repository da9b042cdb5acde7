"""Hold what an engine did to what was recorded; where they differ, say in what, and what to do."""

from collections.abc import Iterator
from typing import Any

from support import processors, recordings
from support.shapes import comparable

RECORD = "PYTHONPATH=tests uv run --no-sync python -m support.record_engine"
_SHOWN = 12


def check_engine(group: str, found: dict[str, Any]) -> None:
    """Fail where the real engine does not answer as it was recorded to."""
    __tracebackhide__ = True
    _check(group, found, _engine_remedy(group))


def check_simulator(group: str, found: dict[str, Any]) -> None:
    """Fail where the stand-in does not answer as the real engine was recorded to."""
    __tracebackhide__ = True
    _check(group, found, "Mend the simulator; the recording is what a real vLLM answered.")


def between(found: Any, recorded: Any, place: str = "") -> Iterator[str]:
    """Tell each place where two values differ, one line each, nearest to the root."""
    if isinstance(found, dict) and isinstance(recorded, dict):
        for key in sorted({*found, *recorded}):
            here = f"{place}.{key}" if place else str(key)
            yield from between(found.get(key, _NOTHING), recorded.get(key, _NOTHING), here)
    elif isinstance(found, list | tuple) and isinstance(recorded, list | tuple) and len(found) == len(recorded):
        for number, (one, other) in enumerate(zip(found, recorded, strict=True)):
            yield from between(one, other, f"{place}[{number}]")
    elif found != recorded:
        yield f"{place}: recorded {recorded!r}, found {found!r}"


class _Nothing:
    def __repr__(self) -> str:
        return "nothing"


_NOTHING = _Nothing()


def _check(group: str, found: dict[str, Any], remedy: str) -> None:
    __tracebackhide__ = True
    title = f"{group}: {found['name']}"
    if "failed" in found:
        raise AssertionError(f"{title}\n  {found['failed']}\n{remedy}")
    lines = list(between(compared(found), compared(recordings.recorded(group)[found["name"]])))
    if lines:
        more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        raise AssertionError("\n  ".join([title, *lines[:_SHOWN], *more]) + f"\n{remedy}")


def compared(result: dict[str, Any]) -> dict[str, Any]:
    """What is compared of an exchange: its shape, or what the engine counts at all."""
    families = result["reply"].get("families")
    return {"families": families} if families else comparable(result)


def _engine_remedy(group: str) -> str:
    taken = recordings.taken_with(group)
    return (
        f"Recorded with {taken['engine']} in {taken['dtype']} on {_cpu(taken['cpu'])}; this is "
        f"{_cpu(processors.this_one())}.\n"
        f"If vLLM changed, record it again and read the diff: {RECORD} {group}\n"
        "If only the CPU is another, this exchange leaves the model a choice: take it away in "
        "tests/support/exchanges.py, then record it."
    )


def _cpu(cpu: dict[str, Any]) -> str:
    return f"{cpu['model']} ({' '.join(cpu['flags'])})"
