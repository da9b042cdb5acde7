"""What is in the checkout."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]


def rooms() -> list[str]:
    """The folders whose `src` holds a package of ours."""
    return sorted(str(source.parent.relative_to(ROOT)) for source in [*ROOT.glob("*/src"), *ROOT.glob("lib/*/src")])
