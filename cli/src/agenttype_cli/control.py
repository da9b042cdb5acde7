"""Reads the sidecar's control port."""

import json
import urllib.request
from typing import Any, Final

from agenttype_api import keys
from agenttype_api.sidecar_report import PolicyReport
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

#: How long the sidecar may keep a question open until something changes, and how long we wait for it.
_WATCH_SECONDS: Final = 60
_ANSWER_SECONDS: Final = 5.0


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
        return samples(self._get("/metrics").decode())

    def report(self, after: int | None = None) -> PolicyReport:
        """Return the sidecar's report; with `after`, once its sequence has passed that or some time has."""
        query = "" if after is None else f"?after={after}&wait={_WATCH_SECONDS}"
        seconds = _ANSWER_SECONDS if after is None else _ANSWER_SECONDS + _WATCH_SECONDS
        return PolicyReport.model_validate_json(self._get(keys.POLICY_STATUS_PATH + query, seconds))

    def _get(self, path: str, seconds: float = _ANSWER_SECONDS) -> bytes:
        with urllib.request.urlopen(self._base + path, timeout=seconds) as answer:  # noqa: S310 — our own loopback
            found: bytes = answer.read()
            return found


def samples(text: str) -> list[Sample]:
    """Return the samples of a scrape."""
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
