"""What the init container leaves on the volume, and what it says when it cannot."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from agenttype_wrapper import errors, install, tree, volume


@pytest.fixture
def copy(tmp_path):
    """The Python part of a volume on which the wrapper has been installed."""
    assert install.main(["--to", str(tmp_path / "volume")]) == 0
    return tmp_path / "volume" / "python"


def test_the_copy_is_what_the_image_holds(copy):
    source = Path(install.PAYLOAD) / "python" / "sitecustomize.py"
    assert (copy / "sitecustomize.py").read_bytes() == source.read_bytes()


def test_the_directory_on_pythonpath_holds_one_module_and_one_private_package(copy):
    assert {entry.name for entry in copy.iterdir()} == {
        "sitecustomize.py",
        "_agenttype_wrapper",
        "__pycache__",
    }


def test_any_user_can_read_the_copy_and_none_can_change_it(copy):
    entries = [copy, *copy.rglob("*")]
    modes = {(entry.is_dir(), stat.S_IMODE(entry.stat().st_mode)) for entry in entries}
    assert modes == {(True, 0o555), (False, 0o444)}


def test_bytecode_is_taken_without_looking_at_the_source(copy):
    cached = list(copy.rglob("*.pyc"))
    assert len(cached) == len(list(copy.rglob("*.py")))
    assert {file.read_bytes()[4:8] for file in cached} == {tree.PYC_UNCHECKED_HASH}


def test_success_is_one_line_of_json_with_the_digest_of_what_was_copied(tmp_path, capsys):
    status = install.main(["--to", str(tmp_path / "volume")])
    said = capsys.readouterr()
    event = json.loads(said.out)
    assert (status, said.err, event["event"]) == (0, "", "wrapper installed")
    assert event["digest"] == tree.read(install.PAYLOAD, "/anywhere").digest


def test_failure_is_one_line_of_json_with_the_fix(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    status = install.main(["--to", str(tmp_path / "file" / "volume")])
    said = capsys.readouterr()
    event = json.loads(said.err)
    assert (status, said.out, event["event"]) == (1, "", "wrapper not installed")
    assert "a part of this path is a file; name a directory" in event["error"]


def test_installing_over_an_older_copy_leaves_only_the_new_one(copy):
    copy.chmod(0o755)
    (copy / "left_by_an_older_version.py").write_text("")
    install.main(["--to", str(copy.parent)])
    assert not (copy / "left_by_an_older_version.py").exists()


def test_what_a_killed_run_left_behind_is_removed(copy):
    (copy.parent / ".agenttype-new-python" / "half").mkdir(parents=True)
    copy.rename(copy.parent / ".agenttype-old-python")
    install.main(["--to", str(copy.parent)])
    assert [entry.name for entry in copy.parent.iterdir()] == ["python"]


def test_a_copy_that_differs_from_the_image_is_found(copy):
    wanted = tree.read(install.PAYLOAD, str(copy.parent))
    place = copy / "_agenttype_wrapper" / "calls.py"
    place.chmod(0o644)
    place.write_bytes(place.read_bytes() + b"\n")
    place.chmod(0o444)
    with pytest.raises(errors.InstallError, match="is not what was copied"):
        volume.verify(wanted)


def test_a_copy_that_lacks_a_file_is_found(copy):
    wanted = tree.read(install.PAYLOAD, str(copy.parent))
    place = copy / "_agenttype_wrapper"
    place.chmod(0o755)
    (place / "calls.py").unlink()
    place.chmod(0o555)
    with pytest.raises(errors.InstallError, match=r"lacks python/_agenttype_wrapper/calls\.py"):
        volume.verify(wanted)


@pytest.mark.parametrize(
    ("number", "fix"),
    [(errno.EACCES, "fsGroup"), (errno.EDQUOT, "sizeLimit"), (errno.ENOTDIR, "name a directory")],
    ids=["EACCES", "EDQUOT", "ENOTDIR"],
)
def test_a_system_error_is_told_with_its_fix(number, fix):
    error = errors.of_system(OSError(number, os.strerror(number)), "/opt/agenttype")
    assert fix in str(error)


def test_an_image_without_the_payload_is_refused(tmp_path):
    with pytest.raises(errors.InstallError, match="built without it"):
        tree.read(str(tmp_path), "/opt/agenttype")
