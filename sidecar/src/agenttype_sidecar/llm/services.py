"""The services that every call to a model uses; created once, by `app`."""

from dataclasses import dataclass

from agenttype_sidecar.admission.admission import Admission
from agenttype_sidecar.admission.cancellation import Cancellation
from agenttype_sidecar.backends.breakers import Breakers
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.limit_status import LimitStatus
from agenttype_sidecar.llm.call import LlmCall
from agenttype_sidecar.llm.metrics import LlmMetrics
from agenttype_sidecar.llm.stored_responses import StoredResponses
from agenttype_sidecar.llm.upstream import Upstream
from agenttype_sidecar.policy.policies import Policies
from agenttype_sidecar.ratelimit.rates import Rates
from agenttype_sidecar.telemetry.activity import Activity
from agenttype_sidecar.telemetry.call_log import CallLog
from agenttype_sidecar.telemetry.metrics import Metrics
from agenttype_sidecar.telemetry.violations import Violations


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of the sidecar that a call uses."""

    policies: Policies
    ledger: Ledger
    limit_status: LimitStatus
    upstream: Upstream
    breakers: Breakers
    admission: Admission[LlmCall]
    rates: Rates
    cancellation: Cancellation
    metrics: Metrics
    llm_metrics: LlmMetrics
    violations: Violations
    activity: Activity
    call_log: CallLog
    stored_responses: StoredResponses
