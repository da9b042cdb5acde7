"""Who may review tokens: the gates' ServiceAccounts and no one else."""

from collections.abc import Iterable

from agenttype_api import names, v1alpha1

from agenttype_operator.desired.metadata import Raw


def gate_binding(name: str, backends: Iterable[v1alpha1.ModelBackend]) -> Raw:
    """Subjects of the one ClusterRoleBinding that the chart makes for all gates.

    Reviewing tokens is a cluster-wide right, and a cluster-wide object cannot be owned, hence not be collected, by a
    namespaced one. So there is one binding, of a fixed name, to a role that the chart limits to creating
    TokenReviews; the operator sets its subjects to the backends that exist, so a deleted backend leaves it at the
    next look, and uninstalling the chart removes it. Binding all ServiceAccounts instead would let every pod review
    tokens; a binding per backend would need a finalizer and the right to make any binding.
    """
    running = [backend for backend in backends if backend.spec.vllm and not backend.metadata.deletion_timestamp]
    accounts = sorted((backend.metadata.namespace, names.backend_workload(backend)) for backend in running)
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name},
        "subjects": [
            {"kind": "ServiceAccount", "namespace": namespace, "name": account} for namespace, account in accounts
        ],
    }


def same_subjects(binding: Raw, wanted: Raw) -> bool:
    """Whether a binding, as read, already has the subjects that are wanted."""
    have = sorted((subject.get("namespace", ""), subject["name"]) for subject in binding.get("subjects") or ())
    return have == [(subject["namespace"], subject["name"]) for subject in wanted["subjects"]]
