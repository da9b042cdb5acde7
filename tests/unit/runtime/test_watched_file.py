import os

import pytest
from agenttype_runtime.watched_file import WatchedFile


@pytest.fixture
def watched(tmp_path):
    """A file that was looked at once."""
    path = tmp_path / "policy.json"
    path.write_text("one")
    file = WatchedFile(path)
    assert file.has_changed()
    return file


def test_a_file_at_rest_has_not_changed(watched):
    assert not watched.has_changed()


def test_other_content_is_a_change_once(watched):
    watched.path.write_text("another")
    assert watched.has_changed()
    assert not watched.has_changed()


def test_a_file_that_takes_anothers_place_is_a_change(watched, tmp_path):
    before = watched.path.stat()
    other = tmp_path / "other"
    other.write_text("two")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(watched.path)
    assert watched.has_changed()


def test_a_link_that_leads_elsewhere_is_a_change(tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "policy.json").write_text(name)
    link = tmp_path / "data"
    link.symlink_to("first")
    file = WatchedFile(link / "policy.json")
    file.has_changed()
    (tmp_path / "new").symlink_to("second")
    (tmp_path / "new").rename(link)
    assert file.has_changed()


def test_a_file_that_goes_and_one_that_comes_are_changes(watched):
    watched.path.unlink()
    assert watched.has_changed()
    assert not watched.has_changed()
    watched.path.write_text("one")
    assert watched.has_changed()


def test_a_file_that_was_never_there_has_not_changed(tmp_path):
    assert not WatchedFile(tmp_path / "nothing").has_changed()


def test_a_version_that_is_forgotten_is_found_again(watched):
    watched.forget()
    assert watched.has_changed()
