"""What every call to a model uses; made once, by `app`."""

from dataclasses import dataclass

from agenttype_sidecar.backends.circuits import Circuits
from agenttype_sidecar.backends.upstream import Upstream
from agenttype_sidecar.budget.admission import Admission
from agenttype_sidecar.budget.ledger import Ledger
from agenttype_sidecar.budget.table import Table
from agenttype_sidecar.llm.stored import Stored
from agenttype_sidecar.policies import Policies
from agenttype_sidecar.reports.activity import Activity
from agenttype_sidecar.reports.metrics import Metrics
from agenttype_sidecar.reports.observations import Observations
from agenttype_sidecar.reports.violations import Violations
from agenttype_sidecar.running import Running
from agenttype_sidecar.traffic.rates import Rates


@dataclass(frozen=True, slots=True)
class Parts:
    """What every call uses."""

    policies: Policies
    ledger: Ledger
    table: Table
    upstream: Upstream
    circuits: Circuits
    admission: Admission
    rates: Rates
    running: Running
    metrics: Metrics
    violations: Violations
    activity: Activity
    observations: Observations
    stored: Stored
