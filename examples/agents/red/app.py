"""Red probes green: for each topic it thinks of a question, asks it, and has a log line explained.

It works through TOPICS (comma separated) ROUNDS times against GREEN_URL, prints each exchange as
a JSON line, and then goes on to answer:

GET  /exchange                    -> everything said so far
POST /probe {"topic": "backups"}  -> one more round, now
GET  /healthz
"""

import itertools
import json
import os
import re
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from openai import OpenAI, OpenAIError

MODEL = "gpt-4o"
PROBE = re.compile(r"PROBE:\s*([^\n]+)")
LOG_LINES = (
    "sshd[{pid}]: Failed password for eve from 192.0.2.7 port {pid}",
    "cron[{pid}]: (backup) CMD (/usr/local/bin/backup --nightly)",
    "sudo[{pid}]: eve : TTY=pts/0 ; USER=root ; COMMAND=/bin/bash",
    "nginx[{pid}]: 192.0.2.9 GET /index.html 200",
    "systemd[{pid}]: Started Daily apt download activities.",
)


class Red:
    """Thinks of probes, puts them to green, and remembers what was said."""

    def __init__(self, llm: OpenAI, green_url: str) -> None:
        self.llm = llm
        self.green_url = green_url.rstrip("/")
        self.exchange: list[dict] = []
        self.log_lines = (line.format(pid=4000 + n) for n, line in enumerate(itertools.cycle(LOG_LINES)))
        self.lock = threading.Lock()

    def probe(self, topic: str) -> dict:
        """One round; a refusal, by the model or by green, is part of the record."""
        with self.lock:
            said: dict = {"round": len(self.exchange) + 1, "topic": topic, "log": next(self.log_lines)}
            try:
                said["probe"] = self.think(topic)
                said["answer"] = self.green("/ask", question=said["probe"])["answer"]
                said |= self.green("/explain", log=said["log"])
            except OpenAIError as error:
                said["error"] = {"type": type(error).__name__, "code": getattr(error, "code", None)}
            except HTTPError as error:
                said["error"] = {"type": "GreenRefused", "code": error.code, "body": error.read().decode()}
            except OSError as error:
                said["error"] = {"type": "GreenUnreachable", "code": None, "body": str(error)}
            self.exchange.append(said)
        print(json.dumps(said), flush=True)
        return said

    def think(self, topic: str) -> str:
        answer = self.llm.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": f"Topic: {topic}"}],
            max_completion_tokens=48,
            temperature=0,
        )
        text = answer.choices[0].message.content or ""
        probe = PROBE.search(text)
        return probe[1] if probe else text.strip()

    def green(self, path: str, **body: str) -> dict:
        headers = {"Content-Type": "application/json"}
        request = Request(self.green_url + path, json.dumps(body).encode(), headers)
        with urlopen(request, timeout=180) as response:
            return json.load(response)

    def wait_for_green(self, stop: threading.Event) -> None:
        for delay in itertools.chain((0.2, 0.5, 1, 2, 5), itertools.repeat(10)):
            try:
                urlopen(self.green_url + "/healthz", timeout=5).close()
            except OSError as error:
                print(f"red: green is not up yet ({error}), next try in {delay} s", file=sys.stderr, flush=True)
                if stop.wait(delay):
                    return
            else:
                return

    def rounds(self, topics: list[str], rounds: int, stop: threading.Event) -> None:
        for topic in topics * rounds:
            self.wait_for_green(stop)
            if stop.is_set():
                return
            self.probe(topic)


def handler(red: Red) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/healthz": {"status": "ok"}, "/exchange": red.exchange}
            self.answer(200 if self.path in known else 404, known.get(self.path))

        def do_POST(self) -> None:
            if self.path != "/probe":
                return self.answer(404, None)
            try:
                topic = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))["topic"]
            except (ValueError, KeyError, TypeError):
                return self.answer(400, {"error": 'send JSON: {"topic": "..."}'})
            said = red.probe(topic)
            return self.answer(502 if "error" in said else 200, said)

        def answer(self, status: int, body: object) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """The exchange is the log."""

    return Handler


def main() -> None:
    # The client finds OPENAI_BASE_URL and OPENAI_API_KEY by itself.
    red = Red(OpenAI(timeout=60), os.environ.get("GREEN_URL", "http://green:8080"))
    topics = [topic.strip() for topic in os.environ.get("TOPICS", "logs,backups").split(",") if topic.strip()]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    address = os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "8080"))
    server = ThreadingHTTPServer(address, handler(red))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    work = (topics, int(os.environ.get("ROUNDS", "1")), stop)
    threading.Thread(target=red.rounds, args=work, daemon=True).start()
    stop.wait()
    server.shutdown()


if __name__ == "__main__":
    main()
