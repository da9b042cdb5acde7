"""What it costs the operator to hear from running pods: memory and processor of its long polls at rest.

`uv run python bench/watch.py [--pods 1000] [--seconds 10]` prints the figures and writes bench/results/watch.json.

The pods are one process that answers the first question of each connection and holds back all others.
"""

import argparse
import asyncio
import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import proxy
from agenttype_operator.kube.kinds import Key
from agenttype_operator.pods.report_watch import ReportWatch

RESULT = Path(__file__).resolve().parent / "results" / "watch.json"
PODS = """
import asyncio
REPORT = b'{"policyHash":"0123456789abcdef","sequence":1}'
ANSWER = b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(REPORT), REPORT)
async def serve(reader, writer):
    await reader.readuntil(b"\\r\\n\\r\\n")
    writer.write(ANSWER)
    await reader.read()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # the process of the pods inherits it
    with subprocess.Popen([sys.executable, "-c", PODS], stdout=subprocess.PIPE, text=True) as pods:
        try:
            figures = asyncio.run(measured(int(pods.stdout.readline()), options))
        finally:
            pods.terminate()
    report = {
        "what": "the operator's long polls of running pods, at rest",
        "command": f"uv run python bench/watch.py --pods {options.pods} --seconds {options.seconds}",
        "machine": proxy.machine(),
        "figures": figures,
    }
    RESULT.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(figures, indent=2))


async def measured(port: int, options: argparse.Namespace) -> dict[str, Any]:
    """Watch all pods, and tell what each costs."""
    heard = asyncio.Queue()
    watcher = ReportWatch(lambda *said: heard.put_nowait(len(said)), lambda: 1.0, port)
    gc.collect()
    before = resident_kib()
    for number in range(options.pods):
        watcher.follow(Key("AgentType", "default", f"agent-{number}"), [pod(number)])
    for _ in range(options.pods):
        await heard.get()
    await asyncio.sleep(3)  # until all have asked their second question, which gets no answer
    gc.collect()
    after, began = resident_kib(), time.process_time()
    await asyncio.sleep(options.seconds)
    busy = time.process_time() - began
    await watcher.close()
    return {
        "pods": options.pods,
        "resident_kib_per_pod": round((after - before) / options.pods, 1),
        "processor_ms_per_second": round(busy * 1000 / options.seconds, 3),
    }


def pod(number: int) -> dict[str, Any]:
    """A running pod, as the cache holds it."""
    statuses = [{"name": "agenttype-sidecar", "containerID": f"c{number}"}]
    return {
        "metadata": {"name": f"pod-{number}", "uid": f"uid-{number}"},
        "status": {"podIP": "127.0.0.1", "initContainerStatuses": statuses},
    }


def resident_kib() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024


if __name__ == "__main__":
    main()
