"""Values of Secrets: from `--secret`, else from the manifests; never from a command line, never shown."""

import os
from collections.abc import Mapping
from pathlib import Path

from agenttype_api.schema import SecretKeyRef

from agenttype_cli.errors import Missing
from agenttype_cli.manifests import Manifests

_VARIABLE = "env:"


def value(reference: SecretKeyRef, manifests: Manifests, sources: Mapping[str, str]) -> str:
    """Return what a Secret holds under a key.

    Args:
        reference: the Secret and the key.
        manifests: Secrets among the files.
        sources: `<name>/<key>` to `env:VARIABLE` or the path of a file.

    Raises:
        Missing: it is in no source.
    """
    name = f"{reference.name}/{reference.key}"
    source = sources.get(name)
    if source is None:
        found = manifests.values.get(f"Secret/{reference.name}", {}).get(reference.key)
        if found is None:
            raise Missing(
                f"the manifests take key {reference.key!r} of Secret {reference.name!r}, which the files do not have; "
                f"add it, or give --secret {name}=env:VARIABLE or --secret {name}=FILE"
            )
        return found
    if source.startswith(_VARIABLE):
        variable = source.removeprefix(_VARIABLE)
        if not os.environ.get(variable):
            raise Missing(f"--secret {name} reads the variable {variable}, which is not set")
        return os.environ[variable]
    try:
        return Path(source).expanduser().read_text(encoding="utf-8").strip()
    except OSError as error:
        raise Missing(f"--secret {name} reads {source}: {error.strerror}") from error
