"""Reads the sidecar's control port."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from agenttype_api import keys
from agenttype_api.sidecar_report import PolicyReport

_SAMPLE: Final = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
#: How long the sidecar may keep a question open until something changes, and how long we wait for it.
_WATCH_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 5.0


class Sample(NamedTuple):
    """One sample of /metrics."""

    name: str
    labels: dict[str, str]
    value: float


class Control:
    """The control port of one sidecar."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def budget(self) -> list[dict[str, Any]]:
        """Return the rows of the budget table."""
        found: list[dict[str, Any]] = json.loads(self._get(f"{keys.CONTROL_API}/budget"))["limits"]
        return found

    def samples(self) -> list[Sample]:
        """Return every sample of the metrics."""
        return list(_samples(self._get("/metrics").decode()))

    def report(self, after: int | None = None) -> PolicyReport:
        """Return the sidecar's report; with `after`, once its sequence has passed that or some time has."""
        query = "" if after is None else f"?after={after}&wait={_WATCH_SECONDS}"
        seconds = _ANSWER_SECONDS if after is None else _ANSWER_SECONDS + _WATCH_SECONDS
        return PolicyReport.model_validate_json(self._get(keys.POLICY_STATUS_PATH + query, seconds))

    def _get(self, path: str, seconds: float = _ANSWER_SECONDS) -> bytes:
        with urllib.request.urlopen(self._base + path, timeout=seconds) as answer:  # noqa: S310 — our own loopback
            found: bytes = answer.read()
            return found


def _samples(text: str) -> Iterator[Sample]:
    for line in text.splitlines():
        found = _SAMPLE.fullmatch(line)
        if found:
            yield Sample(found["name"], dict(_LABEL.findall(found["labels"] or "")), float(found["value"]))
