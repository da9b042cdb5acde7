"""Extract the pod schema of the pinned Kubernetes from its OpenAPI document.

`python crds/podtemplate.py OPENAPI_V3_JSON` writes `src/agenttype_api/kubernetes_schema.json`: what `generate`
embeds as AgentType's `spec.template`. Run it when the pinned Kubernetes changes; the document is what
`kubectl get --raw /openapi/v3/api/v1` answers.
"""

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "src/agenttype_api/kubernetes_schema.json"
WANTED = ("PodTemplateSpec", "ResourceRequirements")
KEPT = {
    "type",
    "format",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-preserve-unknown-fields",
}
INT_OR_STRING = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
#: Keys of map lists that Kubernetes does not require must have a default, or the CRD is refused.
KEY_DEFAULTS = {"protocol": "TCP"}


def resolve(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return the structural form of a schema: references inlined, prose and defaults dropped."""
    if "$ref" in schema:
        return resolve(definitions[schema["$ref"].split("/")[-1]], definitions)
    if len(schema.get("allOf", ())) == 1:
        return resolve(schema["allOf"][0], definitions)
    if "oneOf" in schema and "type" not in schema:
        return dict(INT_OR_STRING)
    found = {key: value for key, value in schema.items() if key in KEPT}
    if "properties" in schema:
        found["properties"] = {name: resolve(part, definitions) for name, part in schema["properties"].items()}
    if "items" in schema:
        found["items"] = resolve(schema["items"], definitions)
    if isinstance(schema.get("additionalProperties"), dict):
        found["additionalProperties"] = resolve(schema["additionalProperties"], definitions)
    if found.get("x-kubernetes-list-type") == "map":
        for key in found["x-kubernetes-list-map-keys"]:
            if key not in found["items"].get("required", []):
                found["items"]["properties"][key]["default"] = KEY_DEFAULTS.get(key, "")
    return found


def main() -> None:
    """Read the OpenAPI document named on the command line and write the schemas we embed."""
    document = json.loads(Path(sys.argv[1]).read_text())
    definitions = document["components"]["schemas"]
    schemas = {name: resolve(definitions[f"io.k8s.api.core.v1.{name}"], definitions) for name in WANTED}
    TARGET.write_text(json.dumps(schemas, sort_keys=True, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
