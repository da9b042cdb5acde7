"""What can go wrong when the wrapper is put beside the agent.

InstallError    the init container ends with 1 and its message tells the fix
"""

import errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Dict

FIXES: "Dict[int, str]" = {
    errno.EROFS: "the volume is mounted read-only here; only the agent's mount may be readOnly",
    errno.ENOSPC: "no space is left on the volume; raise its sizeLimit",
    errno.EDQUOT: "the volume's quota is used up; raise its sizeLimit",
    errno.EACCES: "this user may not write there; mount an emptyDir, or set fsGroup",
    errno.EPERM: "this user may not write there; mount an emptyDir, or set fsGroup",
    errno.ENOTDIR: "a part of this path is a file; name a directory",
}


class InstallError(Exception):
    """The copy is not there or not what it should be; the message says what to do about it."""


def of_system(error: OSError, target: str) -> InstallError:
    """Return the error that tells the user what a failed system call on the target means."""
    fix = FIXES.get(error.errno or 0)
    return InstallError(f"cannot write {target}: {error.strerror or error}" + (f": {fix}" if fix else ""))
