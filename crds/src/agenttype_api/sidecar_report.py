"""What a sidecar tells the operator at `/agenttype/v1/policy` on its control port: read once, then watched.

`?after=<sequence>&wait=<seconds>` answers once the sequence has passed the number, or after the wait; so nothing is
asked of a pod in which nothing happens.
"""

from agenttype_api.schema import Document
from agenttype_api.v1alpha1 import RuleAction, RuleTarget

#: How many violations a report carries at most, the newest.
VIOLATIONS = 50


class Violation(Document):
    """A rule that applied; never what it found."""

    sequence: int
    """Counts the violations of this sidecar's life, from 1."""
    at: float
    """Unix seconds."""
    rule: str
    applied_to: RuleTarget
    action: RuleAction
    subject: str
    """The served model, or `<server>/<tool>`."""


class PolicyReport(Document):
    """Which policy is in use, and what has come of it."""

    policy_hash: str
    error: str = ""
    """Why a newer document was refused; empty when none was."""
    sequence: int = 0
    """Grows with every change of this report."""
    exhausted: tuple[str, ...] = ()
    """Names of the limits that are used up now."""
    nats_error: str = ""
    """Why shared limits cannot be counted; empty when they can or none is shared."""
    stopped: str = ""
    """Why the agent must stop for good; empty when it need not."""
    violations: tuple[Violation, ...] = ()
