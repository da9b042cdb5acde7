"""Variables of our own processes: one prefix, and the chart sets what is read."""

import re
from pathlib import Path

from agenttype_api import keys
from agenttype_operator import settings

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "charts/agenttype/templates"
#: Kubernetes' own, or a library's.
OF_OTHERS = {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"}


class Noting(dict):
    """An environment that knows what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = set()

    def get(self, name, default=None):
        self.asked.add(name)
        return "x" if name.endswith(("IMAGE", "LEASE_NAMESPACE")) else default


def set_by(template):
    return set(re.findall(r"name: ([A-Z][A-Z_]+)\b", (TEMPLATES / template).read_text()))


def test_the_operator_reads_variables_of_its_own_prefix_only():
    environment = Noting()
    settings.from_environment(environment)

    assert {name for name in environment.asked if not name.startswith(keys.ENV_OPERATOR)} == set()
    assert set_by("operator-deployment.yaml") <= environment.asked


def test_the_chart_sets_no_variable_without_its_process_s_prefix():
    assert set_by("operator-deployment.yaml")
    assert {name for name in set_by("nats.yaml") if not name.startswith(keys.ENV_AUTH_CALLOUT)} == set()


def test_no_room_reads_a_variable_without_the_prefix():
    read = {
        name
        for room in ("operator", "sidecar", "gate", "wrapper")
        for file in (ROOT / room / "src").rglob("*.py")
        for name in re.findall(r"environ(?:ment)?(?:\.get\(|\[)\"([A-Z_]+)\"", file.read_text())
    }

    assert {name for name in read if not name.startswith(keys.ENV_PREFIX)} <= OF_OTHERS
