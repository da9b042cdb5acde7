"""What the documentation says of fields, conditions and reasons, against the schemas and the contract."""

import json
import re

import pages
import pytest
import yaml
from agenttype_api.conditions import Condition, Reason

ROOT = pages.ROOT
SCHEMAS = {
    crd["spec"]["names"]["kind"]: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for crd in (yaml.safe_load(file.read_text()) for file in sorted(ROOT.glob("crds/*.yaml")))
}
SPEC_PAGES = {kind: ROOT / f"docs/spec/{kind.lower()}.md" for kind in SCHEMAS}
#: Kubernetes' own schemas: named, not explained by us.
EMBEDDED = {"template", "resources"}
#: Dotted names in code that are no fields of ours.
OTHERS = {
    "data.code", "data.retryAfter",  # of a JSON-RPC error
    "response.completed", "response.failed",  # events of a stream
    "ledger.mark",  # a file
    "contacts.find",  # a tool
    "http.client",  # a module
}  # fmt: skip
FILES = r"\.(?:md|json|yaml|yml|py|toml|svg|sh|txt|jsonl|log|lock|safetensors|dev|io|com)$"
EXAMPLES = sorted({*ROOT.glob("examples/**/*.yaml"), *ROOT.glob("bench/**/*.yaml")})


def fields(schema, path=""):
    """Yield each field below a schema: its path, and its own schema."""
    for name, part in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, part
        if name not in EMBEDDED:
            listed = part.get("type") == "array"
            yield from fields(part.get("items", part) if listed else part, here + ("[]" if listed else ""))


def resolves(schema, names):
    """Whether names lead, from member to member, through a schema; "[]" may be left out."""
    if not names:
        return True
    first, *rest = (names[0].removesuffix("[]"), *names[1:])
    if schema.get("type") == "array":
        return resolves(schema["items"], names)
    if first in schema.get("properties", {}):
        return resolves(schema["properties"][first], rest)
    return "additionalProperties" in schema or "x-kubernetes-preserve-unknown-fields" in schema


def starts(schema):
    """Yield a schema, and each schema below it that a shortened path can begin at."""
    yield schema
    for part in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else ())):
        yield from starts(part)


def values_have(names):
    """Whether a path is one of the chart's values."""
    found = yaml.safe_load((ROOT / "charts/agenttype/values.yaml").read_text())
    for name in names:
        if not isinstance(found, dict) or name not in found:
            return False
        found = found[name]
    return True


def is_a_field(path):
    """Whether a dotted path exists: in a kind, from its top or from anywhere in it, or in the chart's values."""
    names = path.split(".")
    if names[0] in {kind.lower() for kind in SCHEMAS}:  # as `kubectl explain` has it
        return is_a_field(".".join(names[1:]))
    return values_have(names) or any(
        names[0].removesuffix("[]") in part.get("properties", {}) and resolves(part, names)
        for schema in SCHEMAS.values()
        for part in starts(schema)
    )


def paths_in(text):
    """Yield the dotted paths that a page writes as code."""
    for code in re.findall(r"`([^`\n]+)`", pages.without_code(text)):
        for path in re.findall(r"(?<![\w./@-])[a-z][A-Za-z]*(?:\[\])?(?:\.[a-z][A-Za-z]*(?:\[\])?)+(?![\w./(-])", code):
            if path not in OTHERS and not re.search(FILES, path):
                yield path


PATHS = [(page, path) for page in pages.PAGES for path in sorted(set(paths_in(page.read_text())))]


def blocks():
    """Yield all YAML of docs and examples, and what a command patches, with the page it is on."""
    for page in pages.PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            for document in yaml.safe_load_all(block):
                yield page, document
        for patch in re.findall(r"-p '(\{.*\})'", page.read_text()):
            yield page, json.loads(patch)["spec"]
    for file in EXAMPLES:
        for document in yaml.safe_load_all(file.read_text()):
            yield file, document


def unknown(schema, value, path=""):
    """Yield the members of a value that its schema does not have."""
    if isinstance(value, list):
        for item in value:
            yield from unknown(schema.get("items", {}), item, path)
    elif isinstance(value, dict):
        known = schema.get("properties")
        for name, part in value.items():
            if known is not None and name not in known:
                yield f"{path}.{name}"
            yield from unknown((known or {}).get(name, {}), part, f"{path}.{name}")


@pytest.mark.parametrize(("page", "path"), PATHS, ids=[f"{pages.name(page)}-{path}" for page, path in PATHS])
def test_a_field_that_is_named_exists(page, path):
    assert is_a_field(path), f"{pages.name(page)} names {path}"


def test_a_field_that_does_not_exist_is_found():
    assert not is_a_field("timeouts.warmUp")
    assert is_a_field("models[].fallback[].backendRef.name")
    assert is_a_field("vllm.template.spec.volumes")


def test_every_yaml_in_docs_and_examples_has_known_fields_only():
    found = []
    for page, document in blocks():
        if isinstance(document, dict) and document.get("kind") in SCHEMAS:
            found += [(pages.name(page), path) for path in unknown(SCHEMAS[document["kind"]], document)]
        elif isinstance(document, dict) and "kind" not in document:
            specs = [schema["properties"]["spec"] for schema in SCHEMAS.values()]
            best = min((list(unknown(spec, document)) for spec in specs), key=len)
            found += [(pages.name(page), path) for path in best]

    assert found == []


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_of_the_spec_has_its_heading(kind):
    headings = set(re.findall(r"^#{3,4} `([^`]+)`$", SPEC_PAGES[kind].read_text(), re.MULTILINE))
    wanted = {path for path, _ in fields(SCHEMAS[kind]["properties"]["spec"]) if path.count(".") <= 1}

    assert headings - set(Condition) == wanted


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_field_is_named_on_the_page_of_its_kind(kind):
    text = SPEC_PAGES[kind].read_text()
    named = set(re.findall(r"`([\w.\[\]]+)`", text))
    spec = {path for path, _ in fields(SCHEMAS[kind]["properties"]["spec"])}
    status = {f"status.{path}" for path, _ in fields(SCHEMAS[kind]["properties"]["status"]) if "[]" not in path}

    assert spec | status <= named


@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_condition_of_a_kind_has_its_heading_and_no_other(kind):
    headings = re.findall(r"^### `([^`]+)`$", SPEC_PAGES[kind].read_text(), re.MULTILINE)
    described = SCHEMAS[kind]["properties"]["status"]["properties"]["conditions"]["description"]

    assert [heading for heading in headings if heading in set(Condition)] == re.findall(r"\b[A-Z]\w+", described)


def test_every_reason_is_explained_and_no_other():
    rows = [
        re.findall(r"^\| (`[A-Z]\w+`(?:, `[A-Z]\w+`)*) \|", p.read_text(), re.MULTILINE) for p in SPEC_PAGES.values()
    ]
    explained = {reason for page in rows for row in page for reason in re.findall(r"\w+", row)}
    values = {value for _, part in (f for s in SCHEMAS.values() for f in fields(s)) for value in enum_of(part)}

    assert set(Reason) <= explained
    assert explained - values <= set(Reason)


def enum_of(part):
    return {*part.get("enum", ()), *part.get("items", {}).get("enum", ())}
