"""What can be chosen at start; names shared with vLLM mean the same as there."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """One start's choices; lengths are in tokens."""

    host: str
    port: int
    model: str
    served_model_names: tuple[str, ...]
    max_model_len: int
    max_num_seqs: int
    max_loras: int
    max_lora_rank: int
    max_cpu_loras: int
    lora_modules: tuple[tuple[str, str], ...]
    tokens_per_second: float
    first_token_delay_seconds: float
    auto_tools: bool
    embeds: bool
    keeps_responses: bool
    start_delay_seconds: float

    @property
    def base(self) -> str:
        """The served name that stands for the base model in replies and metrics."""
        return self.served_model_names[0]


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line; `--model` also names the served model when nothing else does, as in vLLM."""
    parser = argparse.ArgumentParser(prog="agenttype_simulator", description=__doc__, allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free port")
    parser.add_argument("--model", default="/models/base", help="only shown as the base model's root")
    parser.add_argument("--served-model-name", nargs="+", default=None)
    parser.add_argument("--max-model-len", type=int, default=2048)
    parser.add_argument("--max-num-seqs", type=int, default=256)
    parser.add_argument("--max-loras", type=int, default=4)
    parser.add_argument("--max-lora-rank", type=int, default=16)
    parser.add_argument("--max-cpu-loras", type=int, help="adapters kept in memory; as many as --max-loras")
    parser.add_argument("--lora-modules", nargs="+", default=[], type=_lora_module, metavar="NAME=PATH")
    parser.add_argument("--enable-auto-tool-choice", action="store_true")
    parser.add_argument("--tool-call-parser", help="any name; calls are never parsed from text here")
    parser.add_argument("--runner", choices=["generate", "pooling"], default="generate")
    parser.add_argument("--convert", choices=["auto", "embed"], default="auto", help="embed goes with --runner pooling")
    parser.add_argument(
        "--store-responses", action="store_true", help="keep responses, as vLLM's VLLM_ENABLE_RESPONSES_API_STORE=1"
    )
    parser.add_argument("--tokens-per-second", type=float, default=0.0, help="per answer; 0 sets no pace")
    parser.add_argument("--first-token-delay-seconds", type=float, default=0.0, help="before the first token")
    parser.add_argument("--start-delay-seconds", type=float, default=0.0, help="before the port opens")
    given = parser.parse_args(arguments)
    return Options(
        host=given.host,
        port=given.port,
        model=given.model,
        served_model_names=tuple(given.served_model_name or [given.model]),
        max_model_len=given.max_model_len,
        max_num_seqs=given.max_num_seqs,
        max_loras=given.max_loras,
        max_lora_rank=given.max_lora_rank,
        max_cpu_loras=given.max_cpu_loras or given.max_loras,
        lora_modules=tuple(given.lora_modules),
        tokens_per_second=given.tokens_per_second,
        first_token_delay_seconds=given.first_token_delay_seconds,
        auto_tools=given.enable_auto_tool_choice and bool(given.tool_call_parser),
        embeds=given.runner == "pooling" and given.convert == "embed",
        keeps_responses=given.store_responses,
        start_delay_seconds=given.start_delay_seconds,
    )


def _lora_module(text: str) -> tuple[str, str]:
    """Both forms of vLLM: `name=path`, and an object with `name` and `path`."""
    if text.startswith("{"):
        module = json.loads(text)
        return module["name"], module["path"]
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, path
