"""Reads manifests: our kinds, and the Secrets and ConfigMaps that they refer to; everything else is passed over.

An unknown member is refused, as the API server does; only rules across fields (CEL) are left to it.
"""

import base64
import binascii
import difflib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic
import yaml
from agenttype_api import definitions, keys, v1alpha1

from agenttype_cli.errors import BadManifest

_KINDS = {kind.__name__: kind for kind in v1alpha1.KINDS}
_SUFFIXES = {".yaml", ".yml", ".json"}


@dataclass
class Manifests:
    """What the files say, by name; `values` holds Secrets and ConfigMaps as `<kind>/<name>` to their keys."""

    agents: dict[str, v1alpha1.AgentType] = field(default_factory=dict)
    backends: dict[str, v1alpha1.ModelBackend] = field(default_factory=dict)
    adapters: dict[str, v1alpha1.LoraAdapter] = field(default_factory=dict)
    budgets: dict[str, v1alpha1.AgentBudget] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, document: dict[str, Any], where: str) -> None:
        """Take in one object.

        Raises:
            BadManifest: it is not what its kind says, or is there twice.
        """
        kind = document.get("kind")
        if str(document.get("apiVersion", "")).startswith(f"{keys.GROUP}/"):
            self._add_ours(document, where)
        elif kind in ("Secret", "ConfigMap"):
            self.values[f"{kind}/{_name(document, where)}"] = _values(document, where)

    def _add_ours(self, document: dict[str, Any], where: str) -> None:
        if document["apiVersion"] != keys.API_VERSION or document.get("kind") not in _KINDS:
            known = ", ".join(_KINDS)
            raise BadManifest(f"{where}: unknown kind {document.get('kind')!r}; {keys.API_VERSION} has {known}")
        kind = _KINDS[document["kind"]]
        where = f"{where}: {document['kind']} {_name(document, where)!r}"
        _refuse_unknown(document.get("spec"), definitions.spec_schema(kind), f"{where}: spec")
        try:
            found = kind.model_validate(document)
        except pydantic.ValidationError as error:
            raise BadManifest(f"{where}: {_first(error)}") from error
        if not self._kept(found):
            raise BadManifest(f"{where}: the files have two of this name; leave one out")

    def _kept(self, found: v1alpha1.Kind) -> bool:
        """Keep an object under its name; return False where one is there."""
        name = found.metadata.name
        match found:
            case v1alpha1.AgentType():
                return self.agents.setdefault(name, found) is found
            case v1alpha1.ModelBackend():
                return self.backends.setdefault(name, found) is found
            case v1alpha1.LoraAdapter():
                return self.adapters.setdefault(name, found) is found
            case v1alpha1.AgentBudget():
                return self.budgets.setdefault(name, found) is found


def read(paths: Iterable[str]) -> Manifests:
    """Read files, folders (their YAML and JSON files) and `-`, the standard input.

    Raises:
        BadManifest: one of them cannot be read or used.
    """
    found = Manifests()
    for path in paths:
        for where, text in _texts(path):
            try:
                documents = [_with_text_keys(document) for document in yaml.safe_load_all(text)]
            except yaml.YAMLError as error:
                said = " ".join(str(error).replace(' in "<unicode string>",', " at").split())
                raise BadManifest(f"{where}: not valid YAML: {said}") from error
            for document in _flat(documents):
                if not isinstance(document, dict):
                    raise BadManifest(f"{where}: a document is not a Kubernetes object")
                found.add(document, where)
    return found


def _texts(path: str) -> Iterator[tuple[str, str]]:
    if path == "-":
        yield "standard input", sys.stdin.read()
        return
    top = Path(path)
    files = sorted(file for file in top.iterdir() if file.suffix in _SUFFIXES) if top.is_dir() else [top]
    if not files:
        raise BadManifest(f"{path}: the folder has no YAML or JSON files")
    for file in files:
        try:
            yield str(file), file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            said = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise BadManifest(f"{file}: cannot be read: {said}") from error


def _with_text_keys(value: Any) -> Any:
    """Write keys that YAML reads as truth values, such as a bare `on` in a ConfigMap, as kubectl writes them."""
    if isinstance(value, dict):
        return {
            str(name).lower() if isinstance(name, bool) else name: _with_text_keys(part) for name, part in value.items()
        }
    return [_with_text_keys(part) for part in value] if isinstance(value, list) else value


def _flat(documents: Iterable[Any]) -> Iterator[Any]:
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "List":
            yield from document.get("items") or ()
        elif document is not None:
            yield document


def _name(document: dict[str, Any], where: str) -> str:
    metadata = document.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name:
        raise BadManifest(f"{where}: an object has no metadata.name")
    return name


def _values(document: dict[str, Any], where: str) -> dict[str, str]:
    data = document.get("data") or {}
    if document["kind"] == "ConfigMap":
        return {key: str(value) for key, value in data.items()}
    try:
        decoded = {key: base64.b64decode(value, validate=True).decode() for key, value in data.items()}
    except (binascii.Error, UnicodeDecodeError, TypeError) as error:
        raise BadManifest(f"{where}: data of a Secret must be text in base64; write stringData instead") from error
    return {**decoded, **(document.get("stringData") or {})}


def _refuse_unknown(value: Any, schema: dict[str, Any], path: str) -> None:
    """Refuse a member that the schema does not know, with the nearest one that it does."""
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            _refuse_unknown(item, schema["items"], f"{path}[{number}]")
    known = schema.get("properties")
    if not isinstance(value, dict) or known is None or schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    for name, member in value.items():
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            fix = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(known))}"
            raise BadManifest(f"{path}: unknown member {name!r}; {fix}")
        _refuse_unknown(member, known[name], f"{path}.{name}")


def _first(error: pydantic.ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
