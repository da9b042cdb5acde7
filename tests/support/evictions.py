"""What happens when the files of a loaded adapter go too early: the trap that crash-safe retirement avoids."""

import json
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from support.builders.lora_files import an_adapter

# Room for one adapter in memory: loading the second pushes the first one out.
FLAGS = ("--max-loras", "1", "--max-cpu-loras", "1")
DEATH = {
    "error": {
        "message": "EngineCore encountered an issue. See stack trace (above) for the root cause.",
        "type": "InternalServerError",
        "param": None,
        "code": 500,
    }
}


def post(url: str, path: str, body: dict) -> tuple[int, bytes]:
    """The status and body of a reply, an error's too."""
    data = json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def say(url: str, model: str) -> tuple[int, bytes]:
    """One short chat."""
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 2}
    return post(url, "/v1/chat/completions", body)


def load_two(url: str, folder: Path) -> None:
    """Load `first` and `second`; afterwards only `second` is in memory."""
    for name in ("first", "second"):
        path = an_adapter(folder / name)
        assert post(url, "/v1/load_lora_adapter", {"lora_name": name, "lora_path": str(path)})[0] == 200


def delete(folder: Path, name: str) -> None:
    """Remove the files of an adapter."""
    shutil.rmtree(folder / name)
