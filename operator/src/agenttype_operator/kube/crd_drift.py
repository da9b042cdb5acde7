"""Whether a CustomResourceDefinition at the API server says what ours says: pure.

More fields and more values of an enum than ours are no difference: a newer definition serves an older operator. Every
other difference counts, but for words: descriptions, messages and printer columns change nothing that is stored.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from agenttype_operator.kube.kinds import Raw

_RULES: Final = "x-kubernetes-validations"
#: Keywords of a schema that are not compared value by value.
_APART: Final = {"properties", "items", "additionalProperties", "enum", "description"}


def difference(served: Raw, ours: Raw) -> str:
    """Name the first difference of a served definition from ours, as a path; empty when there is none."""
    return next(_differences(served, ours), "")


def _differences(served: Raw, ours: Raw) -> Iterator[str]:
    versions = {version["name"]: version for version in served["spec"]["versions"]}
    for version in ours["spec"]["versions"]:
        have = versions.get(version["name"])
        if have is None:
            yield f"version {version['name']}"
            continue
        if have.get("subresources") != version["subresources"]:
            yield "subresources"
        yield from _of_schema(have["schema"]["openAPIV3Schema"], version["schema"]["openAPIV3Schema"], "")


def _of_schema(served: Raw, ours: Raw, path: str) -> Iterator[str]:
    """Compare one schema and all that it contains."""
    properties = served.get("properties") or {}
    for name, member in (ours.get("properties") or {}).items():
        where = f"{path}.{name}".lstrip(".")
        if name in properties:
            yield from _of_schema(properties[name], member, where)
        else:
            yield where
    for keyword in ("items", "additionalProperties"):
        have, want = served.get(keyword), ours.get(keyword)
        if isinstance(have, dict) and isinstance(want, dict):
            yield from _of_schema(have, want, f"{path}[]")
        elif have != want:
            yield _named(path, keyword)
    values, our_values = served.get("enum") or [], ours.get("enum") or []
    if bool(values) != bool(our_values) or any(value not in values for value in our_values):
        yield _named(path, "enum")
    for keyword in sorted((served.keys() | ours.keys()) - _APART):
        if _compared(keyword, served.get(keyword)) != _compared(keyword, ours.get(keyword)):
            yield _named(path, keyword)


def _named(path: str, keyword: str) -> str:
    return f"{path} ({keyword})" if path else keyword


def _compared(keyword: str, value: Any) -> Any:
    """Return what of a keyword's value is compared: not the order of a list, nor the messages of rules."""
    if keyword == _RULES:
        return sorted(rule["rule"] for rule in value or ())
    if isinstance(value, list):
        return sorted(json.dumps(item, sort_keys=True) for item in value)
    return value
