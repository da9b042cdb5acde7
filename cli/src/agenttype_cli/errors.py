"""What ends the command before the agent runs.

::

    UserError             exit 2 with one line that tells the fix
    ├── BadManifest       a file cannot be read, or says something that the API server would refuse
    ├── BadPolicy         the manifests cannot be compiled, or the sidecar refuses the policy
    └── Missing           something that the manifests need is not on this machine
"""


class UserError(Exception):
    """The user must act; the message says how."""


class BadManifest(UserError):  # noqa: N818 — says what is wrong, as its siblings do
    """A manifest cannot be used."""


class BadPolicy(UserError):  # noqa: N818 — see above
    """The policy cannot be used."""


class Missing(UserError):  # noqa: N818 — see above
    """Something that is needed is not there."""
