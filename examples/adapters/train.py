"""Train the example adapters: `train.py green`, `train.py red` or `train.py all`.

    uv run --project examples/adapters python examples/adapters/train.py all

Reads NAME.jsonl, writes NAME/ (what a model server loads), NAME.loss.json (the curve, what it was trained with and
how it does on held-out lines) and the digest in digests.json. The base model is the engine's; `--model` names
another folder. Seeded: the same machine and versions give the same bytes.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import digests
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent
# What the adapter fits, not where this machine keeps it.
BASE_NAME = "smollm2-135m-instruct"
SEED = 7
RANK, ALPHA, MODULES = 8, 16, ["q_proj", "v_proj"]
BATCH, ANSWERED_TOGETHER = 4, 16
EPOCHS = {"green": 1, "red": 1}
PEAK_RATE, WARM_UP_STEPS = 1.5e-3, 20
# The verdict is one word among a dozen, and the only one that is hard: without a weight it drowns in the rest.
DECISION_WEIGHT = 6.0
# As it is served: in bfloat16, CPUs of different kinds round differently.
DTYPE = torch.float32

FORMS = {
    "green": re.compile(r"VERDICT: (benign|suspicious) \| REASON: [^|\n]{3,60}"),
    "red": re.compile(r"PROBE: [^\n]{10,}\?"),
}


class Example(NamedTuple):
    """One line of the data as token ids: the prompt in the model's chat template, and the answer with its end.

    The first `decision` tokens of the answer are what its verdict hangs on.
    """

    prompt: list[int]
    answer: list[int]
    decision: int

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


def messages(line: dict[str, str | None]) -> list[dict[str, str]]:
    system = [{"role": "system", "content": line["system"]}] if line["system"] else []
    return [*system, {"role": "user", "content": line["user"]}]


def example(line: dict[str, str | None], tokenizer: PreTrainedTokenizerBase) -> Example:
    prompt = tokenizer.apply_chat_template(messages(line), tokenize=False, add_generation_prompt=True)
    decision, divider, _ = str(line["answer"]).partition(" |")
    return Example(
        tokenizer(prompt)["input_ids"],
        tokenizer(f"{line['answer']}<|im_end|>")["input_ids"],
        len(tokenizer(decision)["input_ids"]) if divider else 0,
    )


def batches(examples: list[Example], epochs: int) -> Iterator[list[Example]]:
    """Yield shuffled batches of examples of like length, so that little is computed for padding."""
    rng = random.Random(SEED)
    for _ in range(epochs):
        shuffled = rng.sample(examples, len(examples))
        pools = [sorted(shuffled[at : at + 8 * BATCH], key=len) for at in range(0, len(shuffled), 8 * BATCH)]
        order = [pool[at : at + BATCH] for pool in pools for at in range(0, len(pool), BATCH)]
        yield from rng.sample(order, len(order))


def answer_loss(model: PeftModel, batch: list[Example], pad: int) -> torch.Tensor:
    """Return the mean loss over the answers' tokens, the decision's weighing more.

    The head (49,152 words wide) runs on those positions alone: on a CPU it would cost more than the layers.
    """
    ids = torch.full((len(batch), max(map(len, batch))), pad)
    weights = torch.zeros(ids.shape)
    for row, item in enumerate(batch):
        begin = len(item.prompt)
        ids[row, : len(item)] = torch.tensor(item.prompt + item.answer)
        weights[row, begin : len(item)] = 1.0
        weights[row, begin : begin + item.decision] = DECISION_WEIGHT
    causal = model.base_model.model
    # Padded on the right, under a causal mask: no answer sees a padding, so no attention mask is needed.
    hidden = causal.model(input_ids=ids).last_hidden_state[:, :-1]
    weights = weights[:, 1:]
    wanted = weights > 0
    losses = torch.nn.functional.cross_entropy(
        causal.lm_head(hidden[wanted]).float(), ids[:, 1:][wanted], reduction="none"
    )
    return (losses * weights[wanted]).sum() / weights.sum()


def rate(step: int, steps: int) -> float:
    """Return the learning rate of `step`: a short ramp, then half a cosine down to nothing."""
    return PEAK_RATE * min(1, (step + 1) / WARM_UP_STEPS) * 0.5 * (1 + math.cos(math.pi * step / steps))


def fit(model: PeftModel, examples: list[Example], epochs: int, pad: int) -> list[float]:
    """Train on `examples`; return the loss of every step."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=PEAK_RATE, weight_decay=0.0)
    steps, curve, start = epochs * math.ceil(len(examples) / BATCH), [], time.monotonic()
    for step, batch in enumerate(batches(examples, epochs)):
        optimizer.param_groups[0]["lr"] = rate(step, steps)
        loss = answer_loss(model, batch, pad)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        curve.append(round(loss.item(), 4))
        if len(curve) % 10 == 0 or len(curve) == steps:
            print(f"[{time.monotonic() - start:4.0f} s] step {step + 1}/{steps}, loss {curve[-1]}", flush=True)
    return curve


@torch.inference_mode()
def answers(model: PeftModel, lines: list[dict[str, str | None]], tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Return the model's greedy answer to each line."""
    tokenizer.padding_side = "left"
    prompts = [
        tokenizer.apply_chat_template(messages(line), tokenize=False, add_generation_prompt=True) for line in lines
    ]
    found = []
    for at in range(0, len(prompts), ANSWERED_TOGETHER):
        given = tokenizer(prompts[at : at + ANSWERED_TOGETHER], return_tensors="pt", padding=True)
        out = model.generate(**given, max_new_tokens=32, do_sample=False)
        found += tokenizer.batch_decode(out[:, given["input_ids"].shape[1] :], skip_special_tokens=True)
    return found


def scores(name: str, lines: list[dict[str, str | None]], said: list[str]) -> dict[str, float | int]:
    """Return the share of answers in the right form, and with the right verdict (green) or topic (red)."""
    forms = [FORMS[name].fullmatch(text) is not None for text in said]
    if name == "green":
        right = [
            text.split("|")[0].strip() == str(line["answer"]).split("|")[0].strip()
            for text, line in zip(said, lines, strict=True)
        ]
    else:
        right = [str(line["user"]).removeprefix("Topic: ") in text for text, line in zip(said, lines, strict=True)]
    meaning = "verdict" if name == "green" else "names_topic"
    return {"lines": len(lines), "form": round(sum(forms) / len(lines), 3), meaning: round(sum(right) / len(lines), 3)}


def save(model: PeftModel, folder: Path) -> None:
    """Write the two files that a model server reads, the weights as bfloat16.

    That halves what is committed. They are rounded once, here, and every engine reads the same numbers into float32.
    """
    model.peft_config["default"].base_model_name_or_path = BASE_NAME
    model.save_pretrained(folder, save_embedding_layers=False)
    (folder / "README.md").unlink(missing_ok=True)
    weights = folder / "adapter_model.safetensors"
    halved = {key: value.to(torch.bfloat16) for key, value in load_file(weights).items()}
    save_file(halved, weights, metadata={"format": "pt"})
    # peft keeps the modules in a set: in a fixed order the same training gives the same digest.
    config = json.loads((folder / "adapter_config.json").read_text())
    config["target_modules"].sort()
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2) + "\n")
    for path in folder.iterdir():
        path.chmod(0o644)


def train(name: str, base: Path) -> None:
    """Train, save and measure the adapter `name`."""
    torch.manual_seed(SEED)
    lines = [json.loads(text) for text in (HERE / f"{name}.jsonl").read_text().splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=DTYPE),
        LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=MODULES, task_type="CAUSAL_LM"),
    )
    start, cpu = time.monotonic(), time.process_time()
    examples = [example(line, tokenizer) for line in lines if line["split"] == "train"]
    curve = fit(model, examples, EPOCHS[name], tokenizer.pad_token_id)
    seconds = {"wall": round(time.monotonic() - start), "cpu": round(time.process_time() - cpu)}
    save(model, HERE / name)
    # Measured on what was saved, not on the finer weights in memory.
    saved = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=DTYPE), HERE / name)
    held_out = {}
    for split in sorted({line["split"] for line in lines} - {"train"}):
        chosen = [line for line in lines if line["split"] == split]
        said = answers(saved, chosen, tokenizer)
        with saved.disable_adapter():
            unchanged = answers(saved, chosen[:16], tokenizer)
        held_out[split] = {**scores(name, chosen, said), "base_model": scores(name, chosen[:16], unchanged)}
        print(name, split, held_out[split], flush=True)
    report = {
        "seconds": seconds,
        "machine": {"cpus": os.cpu_count(), "threads": torch.get_num_threads(), "processor": platform.machine()},
        "versions": {
            "python": platform.python_version(),
            **{of: version(of) for of in ("torch", "transformers", "peft")},
        },
        "settings": {
            "seed": SEED,
            "rank": RANK,
            "alpha": ALPHA,
            "modules": MODULES,
            "batch": BATCH,
            "epochs": EPOCHS[name],
            "peak_rate": PEAK_RATE,
            "decision_weight": DECISION_WEIGHT,
            "examples": len(examples),
        },
        "held_out": held_out,
        "loss": curve,
    }
    (HERE / f"{name}.loss.json").write_text(json.dumps(report, indent=1) + "\n")


def engine_model() -> Path:
    """Return the engine's model folder, which `prepare.py` makes if need be."""
    command = [sys.executable, str(HERE.parent / "engine" / "prepare.py"), "--json"]
    return Path(json.loads(subprocess.check_output(command))["model"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("adapter", choices=("green", "red", "all"))
    parser.add_argument("--model", type=Path, help="folder of the base model (default: the engine's)")
    parser.add_argument("--threads", type=int, default=2, help="one where other work wants the cores too")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    base = options.model or engine_model()
    for name in ("green", "red") if options.adapter == "all" else (options.adapter,):
        train(name, base)
    digests.write()


if __name__ == "__main__":
    main()
