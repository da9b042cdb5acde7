"""The event loop that this room is measured on."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """Run an entry point's ``main`` on uvloop until it returns.

    Everything here keeps its promises on asyncio's own loop too; the benchmarks are taken on this one.
    """
    return uvloop.run(main)
