"""The digest of an adapter equals what the documented shell command prints."""

import hashlib
import subprocess

from agenttype_api import digests

COMMAND = r"find . -type f | sed 's|^\./||' | LC_ALL=C sort | xargs sha256sum | sha256sum"


def test_a_folders_digest_equals_what_the_documented_command_prints(tmp_path):
    contents = {"b.json": b"two", "a/c.bin": b"one", "B.json": b"three"}
    (tmp_path / "a").mkdir()
    [(tmp_path / name).write_bytes(data) for name, data in contents.items()]

    printed = subprocess.run(COMMAND, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    found = digests.folder_digest((name, hashlib.sha256(data).hexdigest()) for name, data in contents.items())

    assert found == f"sha256:{printed.stdout.split()[0]}"


def test_the_short_form_is_twelve_hex_digits():
    assert digests.short("sha256:" + "ab" * 32) == "abababababab"
