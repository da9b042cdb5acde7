"""The NATS server that counts shared limits, started only where one is needed and none was named."""

import json
import shutil
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import Final

from agenttype_cli.errors import Missing

_START_SECONDS: Final = 10.0


class NatsServer:
    """A server on a free loopback port; its data lies beside the ledger.

    Attributes:
        url: where it is reached.
    """

    def __init__(self, folder: Path) -> None:
        """Start it and wait for its port.

        Raises:
            Missing: there is no such program here, or it does not start.
        """
        folder.mkdir(parents=True, exist_ok=True)
        ports = folder / "ports"
        shutil.rmtree(ports, ignore_errors=True)
        ports.mkdir()
        command = [_program(), "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", str(folder), "--ports_file_dir", str(ports)]
        with (folder / "nats.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 — found by us
                command, stdout=log, stderr=log, start_new_session=True
            )
        self.url = self._await(ports)

    def end(self) -> None:
        """End it; what it counted stays."""
        self._process.terminate()
        self._process.wait()

    def _await(self, ports: Path) -> str:
        due = time.monotonic() + _START_SECONDS
        while time.monotonic() < due and self._process.poll() is None:
            for file in ports.glob("*.ports"):
                try:
                    found = json.loads(file.read_text(encoding="utf-8"))
                except json.JSONDecodeError:  # half written
                    continue
                return str(found["nats"][0])
            time.sleep(0.02)
        self._process.kill()
        self._process.wait()
        raise Missing(f"the NATS server does not start; see {ports.parent / 'nats.log'}")


def _program() -> str:
    beside = Path(sysconfig.get_path("scripts"), "nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise Missing(
            "a limit is shared by several pods, which a NATS server counts; give its address with --nats, or install "
            "one beside this command: pip install 'agenttype-cli[nats]'"
        )
    return found
