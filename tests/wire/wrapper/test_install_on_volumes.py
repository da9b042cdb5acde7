"""The installer as a process, under the users and on the volumes that a cluster gives it."""

import pytest
from support.programs import wrapped_agents


def test_a_user_without_a_name_installs_twice_on_a_volume_of_its_own(tmp_path):
    unknown = wrapped_agents.as_unknown_user()
    first = wrapped_agents.run_installer("--to", str(tmp_path / "volume"), before=unknown)
    second = wrapped_agents.run_installer("--to", str(tmp_path / "volume"), before=unknown)
    assert (first.status, second.status) == (0, 0), first.stderr + second.stderr


@pytest.mark.parametrize(
    ("mount", "fix"),
    [
        ("-t tmpfs -o ro tmpfs", "mounted read-only here; only the agent's mount may be readOnly"),
        ("-t tmpfs -o size=32k tmpfs", "no space is left on the volume; raise its sizeLimit"),
    ],
    ids=["read-only", "full"],
)
def test_a_volume_that_cannot_be_written_ends_with_1_and_the_fix(tmp_path, mount, fix):
    before = wrapped_agents.with_mount(mount, tmp_path)
    ended = wrapped_agents.run_installer("--to", str(tmp_path / "volume"), before=before)
    event = wrapped_agents.event(ended.stderr)
    assert (ended.status, ended.stdout, event["event"]) == (1, "", "wrapper not installed")
    assert fix in event["error"]
