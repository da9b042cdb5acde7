"""The chart grants the operator what its own list of rights says: no more, no less."""

import re

import yaml
from agenttype_operator.kube import rbac
from support.clusters import ROOT

TEMPLATE = (ROOT / "charts/agenttype/templates/operator-rbac.yaml").read_text()
GATES = "the-gates"


def expanded(rules):
    """Rules as a set of single rights, however they are grouped."""
    return {
        (group, resource, name, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


def documents():
    """The template's objects: lines of nothing but an expression left out, other expressions filled in."""
    kept = [line for line in TEMPLATE.partition("{{- end -}}")[2].splitlines() if not re.fullmatch(r"\s*{{.*}}", line)]
    named = "\n".join(kept).replace('{{ include "agenttype.gateName" . }}', GATES)
    return [found for found in yaml.safe_load_all(re.sub(r"{{[^}]*}}", "x", named)) if isinstance(found, dict)]


def test_the_rights_where_agents_live_are_the_listed_ones():
    block = TEMPLATE.partition('{{- define "agenttype.agentRules" -}}')[2].partition("{{- end -}}")[0]

    assert expanded(yaml.safe_load(block)) == expanded(rbac.SERVED)


def test_the_rights_at_home_are_the_lease_s():
    [home] = [found for found in documents() if found["kind"] == "Role" and found.get("rules")]

    assert expanded(home["rules"]) == expanded(rbac.LEASE)


def test_the_rights_over_the_gates_binding_and_our_definitions_are_limited_to_their_names():
    [role] = [found for found in documents() if found["kind"] == "ClusterRole"]

    assert expanded(role["rules"]) == expanded([*rbac.gate(GATES), *rbac.DEFINITIONS])


def test_no_right_is_over_secrets_or_everything():
    rights = expanded([*rbac.SERVED, *rbac.LEASE, *rbac.DEFINITIONS, *rbac.gate(GATES)])

    assert not [right for right in rights if {"secrets", "*", "escalate", "impersonate"} & {right[1], right[3]}]
