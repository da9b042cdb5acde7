"""The base of what a program of ours answers in place of the answer that a caller asked for."""

from enum import StrEnum
from typing import ClassVar


class Refusal(Exception):  # noqa: N818 — it is an answer, not a fault
    """An answer of ours.

    Attributes:
        status: HTTP status.
        reason: One word of the contract's list: in the body, in the header `x-agenttype-reason`, in metrics and logs.
        retry_after: Seconds after which to come back; None where repeating the call cannot help.
        message: For people: what is wrong, where, and what to do. It never repeats what the caller sent.
    """

    status: int
    reason: ClassVar[StrEnum]
    retry_after: int | None = None

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
