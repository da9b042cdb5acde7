"""Folders of the user's cache that are made on the first run, by one of the processes that want them."""

import fcntl
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "agenttype"


def made_once(place: Path, make: Callable[[Path], None]) -> Path:
    """Return `place`, which `make` fills aside if it is not there yet; what is there is whole.

    Others who want it at the same time wait, so that nothing is downloaded twice.
    """
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        with (place.parent / f"{place.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.exists():
                _make(place, make)
    return place


def _make(place: Path, make: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent) as unfinished:
        made = Path(unfinished, place.name)
        make(made)
        made.rename(place)
