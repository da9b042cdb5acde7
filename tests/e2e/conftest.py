from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from engines import real_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engines import Engine


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One real vLLM for all tests that ask for it; they load and unload adapters under names of their own."""
    with real_engine() as running:
        yield running
