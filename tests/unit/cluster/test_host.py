import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from cluster import archives, binaries, lock, mounts, names, paths, processes, teardown
from cluster.errors import UnmetError

MOUNTS = """\
22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
31 22 0:27 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
40 22 0:40 / /tmp/a\\040b/kubelet/pods/1 rw shared:2 - tmpfs tmpfs rw
41 40 0:41 / /tmp/a\\040b/kubelet/pods/1/deep rw - tmpfs tmpfs rw
42 22 0:42 / /tmp/a\\040bc rw - tmpfs tmpfs rw
"""


def process(name):
    return processes.Process(name, 1, 1, "boot", name)


def test_the_deepest_mount_is_unmounted_first_and_a_neighbour_never():
    below = mounts.below(Path("/tmp/a b"), MOUNTS)
    assert list(map(str, below)) == ["/tmp/a b/kubelet/pods/1/deep", "/tmp/a b/kubelet/pods/1"]


def test_both_generations_of_cgroups_are_found():
    assert list(map(str, mounts.of_type("cgroup", MOUNTS))) == ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"]


def test_the_store_is_stopped_last_and_the_api_server_before_it_whatever_the_journal_says():
    started = tuple(map(process, ("kube-apiserver", "etcd", "containerd", "kubelet")))
    stopped = [one.name for one in teardown.stopping_order(started)]
    assert stopped == ["kubelet", "containerd", "kube-apiserver", "etcd"]


def test_an_answer_counts_when_it_gives_the_expected_address():
    answer = struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + b"..." + bytes([10, 96, 0, 1])
    assert names.answered_with(answer, 7, "10.96.0.1")


@pytest.mark.parametrize("header", [(8, 0x8180, 1, 1, 0, 0), (7, 0x8183, 1, 1, 0, 0), (7, 0x8180, 1, 0, 0, 0)])
def test_an_answer_to_another_question_or_with_an_error_does_not_count(header):
    assert not names.answered_with(struct.pack(">HHHHHH", *header) + bytes([10, 96, 0, 1]), 7, "10.96.0.1")


def test_the_same_files_make_the_same_image(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "pause").write_text("x")
    for name in ("first.tar", "second.tar"):
        archives.write(tmp_path / name, "localhost/x:1", tmp_path / "root", {"Entrypoint": ["/pause"]}, "x86_64")
        (tmp_path / "root" / "pause").touch()
    with tarfile.open(tmp_path / "first.tar") as first, tarfile.open(tmp_path / "second.tar") as second:
        assert first.getnames() == second.getnames()


def test_every_binary_is_pinned_by_a_module_of_this_folder():
    assert {binary.name for binary in binaries.catalogue()} >= {"etcd", "kube-apiserver", "kubelet", "coredns", "helm"}


def test_a_dependency_that_is_not_pinned_is_an_error_that_tells_the_fix():
    with pytest.raises(UnmetError, match=r"does not pin example\.org/none"):
        binaries.pinned(paths.SOURCE, "example.org/none")


def test_changed_pins_make_a_new_set_of_binaries(tmp_path):
    (tmp_path / "go.mod").write_text("module a\n")
    before = binaries.key(tmp_path)
    (tmp_path / "go.sum").write_text("b\n")
    assert binaries.key(tmp_path) != before


def test_a_lock_whose_folder_was_removed_meanwhile_is_taken_anew(tmp_path):
    home = paths.Home(tmp_path / "cluster")
    with lock.hold(home):
        lock.remove(home)
    with lock.hold(home):
        assert home.lock.exists()


def test_a_lock_is_held_as_long_as_a_child_that_inherited_it_runs(tmp_path):
    home = paths.Home(tmp_path)
    with lock.hold(home) as descriptor:
        child = subprocess.Popen(["sleep", "600"], pass_fds=(descriptor,))
    held = subprocess.run(["flock", "--nonblock", str(home.lock), "true"], check=False).returncode
    child.kill()
    child.wait()
    free = subprocess.run(["flock", "--nonblock", str(home.lock), "true"], check=False).returncode
    assert (held, free) == (1, 0)
