"""The policy in use: loaded from its file, swapped whole between calls when the file changes.

A document that cannot be used changes nothing but the report: the one in use stays, the error is shown.
"""

from pathlib import Path

from agenttype_api import quantities
from agenttype_api.policy import Backend, Policy
from agenttype_api.sidecar_report import PolicyReport
from agenttype_proxy.messages import Deadlines, Origin
from agenttype_runtime.json_log import Log
from agenttype_runtime.watched_file import WatchedFile
from pydantic import ValidationError

from agenttype_sidecar.budget import reservation
from agenttype_sidecar.budget.price_lookup import PriceLookup
from agenttype_sidecar.errors import PolicyError
from agenttype_sidecar.routing.routes import Routes
from agenttype_sidecar.rules.rulebook import Rulebook
from agenttype_sidecar.telemetry.metrics import Metrics

#: How often the file is looked at; a look is one stat.
POLL_SECONDS = 0.2
_log = Log("policy")


class Active:
    """One policy, made ready for calls. A call keeps the one it began with."""

    def __init__(self, policy: Policy, former: "Active | None" = None) -> None:
        """Prepare a policy; what counts by the minute goes on from the `former` one.

        Raises:
            PolicyError: The document contradicts itself.
        """
        self.policy = policy
        self.hash = policy.hash()
        self.routes = Routes(policy)
        self.rulebook: Rulebook = Rulebook(policy.rules, former.rulebook if former else None)
        self.limits = policy.budget.limits
        self.on_limit = policy.budget.on_limit
        self.prices = PriceLookup(policy)
        self.counts_tokens = reservation.counts_tokens(self.limits)
        times = policy.timeouts
        self.deadlines = Deadlines(
            *map(quantities.seconds, (times.connect_ms, times.first_byte_ms, times.idle_ms, times.total_ms))
        )
        self._origins = {backend.name: _origin(backend) for backend in policy.backends}

    def origin(self, backend: Backend) -> Origin:
        """Return where a backend of this policy is."""
        return self._origins[backend.name]


class Policies:
    """The policy in use and the file it comes from."""

    def __init__(self, path: Path, metrics: Metrics) -> None:
        """Load the first policy.

        Raises:
            PolicyError: There is none that can be used.
        """
        self._path = path
        self._metrics = metrics
        self._file = WatchedFile(path)
        self._file.has_changed()
        self.active = Active(_load(path))
        self.error = ""

    def report(self) -> PolicyReport:
        """Say which policy is in use, and why a newer one is not."""
        return PolicyReport(policy_hash=self.active.hash, error=self.error)

    def look(self) -> bool:
        """Load the file if it has changed since the last look; return whether another policy is in use now."""
        return self._file.has_changed() and self.reload()

    def reload(self) -> bool:
        """Load the file; return whether another policy is in use now."""
        try:
            active = Active(_load(self._path), self.active)
        except PolicyError as error:
            self.error = str(error)
            self._metrics.reload_errors.inc()
            _log.error("policy refused", error=self.error)
            return False
        self.error = ""
        if active.hash == self.active.hash:
            return False
        self.active = active
        _log.info("policy in use", hash=active.hash)
        return True


def _load(path: Path) -> Policy:
    try:
        return Policy.model_validate_json(path.read_bytes())
    except OSError as error:
        raise PolicyError(f"the policy document {path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise PolicyError(f"the policy document cannot be used: {place}: {first['msg']}") from error


def _origin(backend: Backend) -> Origin:
    try:
        return Origin.parse(backend.url)
    except ValueError as error:
        raise PolicyError(f"the URL of backend {backend.name!r} cannot be used: {error}") from error
