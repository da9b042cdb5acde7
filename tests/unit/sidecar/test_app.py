"""The process as a whole."""

import pytest
from agenttype_api import policy as api
from agenttype_sidecar import options
from agenttype_sidecar.app import Sidecar
from support.programs.sidecars import a_policy


async def test_a_sidecar_whose_chores_end_does_not_go_on_without_them(tmp_path):
    (tmp_path / "policy.json").write_text(api.document_json(a_policy("http://127.0.0.1:1")))
    ports = [f"--{name}-port=0" for name in ("data", "health", "control")]
    files = [f"--policy={tmp_path / 'policy.json'}", f"--ledger={tmp_path / 'ledger'}", "--host=127.0.0.1"]
    sidecar = Sidecar(options.parse([*files, *ports]))

    def broken():
        raise RuntimeError("nobody expected this")

    sidecar.overrun_watch.look = broken

    with pytest.raises(RuntimeError, match="nobody expected this"):
        await sidecar.run()
