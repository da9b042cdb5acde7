"""Adapters loaded at run time: the replies of vLLM's two endpoints, and which adapters are in memory.

As in vLLM, unloading forgets the name and nothing else, what is loaded here is gone after a restart, and an adapter
that fell out of memory is read again from its files by the next call for it. If they are gone by then, the whole
engine dies.
"""

from collections import OrderedDict
from dataclasses import dataclass, field
from http import HTTPStatus

from agenttype_simulator import peft
from agenttype_simulator.errors import EngineDead, Refusal


@dataclass
class Adapters:
    """Loaded adapters by name, in the order of loading; `base_names` are taken by the base model."""

    base_names: tuple[str, ...]
    max_rank: int
    room: int
    paths: dict[str, str] = field(default_factory=dict)
    _in_memory: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def load(self, name: str, path: str, *, in_place: bool = False) -> str:
        """Check the files at `path` and serve them as `name`; the reply is vLLM's plain text."""
        if not name or not path:
            raise _invalid("Both 'lora_name' and 'lora_path' must be provided.")
        if name in self.base_names:
            raise _invalid(f"The lora adapter '{name}' conflicts with a served base model.")
        if name in self.paths and not in_place:
            raise _invalid(
                f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, "
                "set 'load_inplace' to True."
            )
        peft.check(name, path, self.max_rank)
        self.paths[name] = path
        self._keep(name)
        return f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, name: str) -> str:
        """Forget `name`; calls in flight on it finish."""
        if not name:
            raise _invalid("'lora_name' needs to be provided to unload a LoRA adapter.")
        if name not in self.paths:
            raise Refusal(f"The lora adapter '{name}' cannot be found.", HTTPStatus.NOT_FOUND)
        del self.paths[name]
        return f"Success: LoRA adapter '{name}' removed successfully."

    def recall(self, name: str) -> None:
        """Have `name` in memory for a call; raises EngineDead when it must be read and is no more."""
        if name not in self._in_memory:
            try:
                peft.check(name, self.paths[name], self.max_rank)
            except Refusal as error:
                raise EngineDead from error
        self._keep(name)

    def _keep(self, name: str) -> None:
        self._in_memory[name] = None
        self._in_memory.move_to_end(name)
        if len(self._in_memory) > self.room:
            self._in_memory.popitem(last=False)


def _invalid(message: str) -> Refusal:
    return Refusal(message, HTTPStatus.BAD_REQUEST, "InvalidUserInput")
