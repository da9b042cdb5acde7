"""Globs of policies: `*` stands for any text, nothing else is special, case counts."""

import re
from collections.abc import Iterable


def glob(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression whose `fullmatch` finds what any of the globs describes; none describe nothing."""
    parts = [".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns]
    return re.compile("|".join(parts) if parts else r"(?!)", re.DOTALL)
