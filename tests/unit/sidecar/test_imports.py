import json
import subprocess
import sys

HEAVY = [
    "aiohttp",
    "fastapi",
    "httpx",
    "kopf",
    "kubernetes",
    "nats",
    "requests",
    "starlette",
    "torch",
    "uvicorn",
    "vllm",
]


def test_a_sidecar_starts_without_what_only_others_need():
    code = "import json, sys, agenttype_sidecar.app; print(json.dumps(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert [name for name in HEAVY if name in json.loads(loaded)] == []
