"""Globs of policies: `*` stands for any text, no other character is special, case matters."""

import re
from collections.abc import Iterable


def glob(patterns: Iterable[str]) -> re.Pattern[str]:
    """Return an expression whose `fullmatch` matches what any of the globs matches; without globs, nothing."""
    parts = [".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns]
    return re.compile("|".join(parts) if parts else r"(?!)", re.DOTALL)
