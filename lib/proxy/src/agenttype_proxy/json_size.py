"""How much a JSON text would take once it is parsed, told before anybody parses it. Pure."""

import re
from typing import Final

MOST_PARTS: Final = 300_000
"""Members, elements and containers of one message. Parsed they take some 30 MB and a quarter of a second at most;
8 MB of ``{},{},`` would take 500 MB and four seconds, in which nobody else is answered."""

_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_SIGNS: Final = (b",", b":", b"{", b"[")


def has_too_many_parts(raw: bytes) -> bool:
    """Return whether a JSON text has more parts than ``MOST_PARTS``; what stands in its strings does not count."""
    if len(raw) <= MOST_PARTS or _signs(raw) <= MOST_PARTS:  # every part has a sign of its own
        return False
    return _signs(_TEXT.sub(b"", raw)) > MOST_PARTS


def _signs(raw: bytes) -> int:
    return sum(map(raw.count, _SIGNS))
