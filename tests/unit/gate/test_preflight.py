"""Which adapters fit: files as PEFT writes them, and everything that the engine refuses or silently gets wrong."""

import json

import pytest
from agenttype_gate import adapter_shapes, preflight
from agenttype_gate.errors import Rejected
from agenttype_gate.preflight import Limits
from agenttype_gate.safetensors import Tensor

LLAMA = {
    "model_type": "llama",
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "num_hidden_layers": 30,
}
BASE = adapter_shapes.read(json.dumps(LLAMA).encode())
LIMITS = Limits(max_rank=8, base=BASE)
ATTENTION = "base_model.model.model.layers.{layer}.self_attn.{name}"


def config(**members):
    return json.dumps({"peft_type": "LORA", "r": 8, "bias": "none", **members}).encode()


def pair(name="q_proj", layer=0, rank=8, **widths):
    stem = ATTENTION.format(layer=layer, name=name)
    d_in, d_out = widths.get("d_in", 576), widths.get("d_out", 576)
    return {
        f"{stem}.lora_A.weight": Tensor("BF16", (rank, d_in)),
        f"{stem}.lora_B.weight": Tensor("BF16", (d_out, rank)),
    }


def refusal(raw, tensors, limits=LIMITS):
    with pytest.raises(Rejected) as caught:
        preflight.check(raw, tensors, limits)
    return str(caught.value)


@pytest.mark.parametrize(
    "tensors",
    [
        pair(),
        pair("k_proj", d_out=192) | pair("v_proj", layer=29, d_out=192),
        pair("o_proj"),
        pair("something_of_another_family", d_in=7, d_out=9),
        pair(rank=4),
    ],
)
def test_an_ordinary_adapter_fits(tensors):
    preflight.check(config(), tensors, LIMITS)


def test_defaults_that_peft_writes_out_fit():
    written = config(
        use_dora=False, lora_bias=False, modules_to_save=None, rank_pattern={}, alpha_pattern={}, use_rslora=True
    )
    preflight.check(written, pair(), LIMITS)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"peft_type": "IA3"}, "only LORA"),
        ({"use_dora": True}, "DoRA"),
        ({"lora_bias": True}, "biases"),
        ({"bias": "all"}, "biases"),
        ({"modules_to_save": ["lm_head"]}, "whole modules"),
        ({"alora_invocation_tokens": [1]}, "activated LoRA"),
        ({"trainable_token_indices": [1]}, "single tokens"),
        ({"target_parameters": ["x"]}, "bare parameters"),
        ({"r": 16}, "higher than the backend's lora.maxRank 8"),
        ({"rank_pattern": {"q_proj": 64}}, "rank 64"),
        ({"rank_pattern": ["q_proj"]}, "must be an object"),
        ({"r": 0}, "whole number from 1"),
        ({"r": "8"}, "whole number from 1"),
        ({"r": True}, "whole number from 1"),
        ({"r": None}, "whole number from 1"),
    ],
)
def test_a_config_that_the_engine_cannot_serve_is_refused(members, says):
    assert says in refusal(config(**members), pair())


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_a_config_that_is_no_object_is_refused(raw):
    assert "adapter_config.json" in refusal(raw, pair())


STEM = ATTENTION.format(layer=0, name="q_proj")


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        ({}, "no tensors"),
        ({f"{STEM}.weight": Tensor("F32", (2, 2))}, "neither a lora_A nor a lora_B"),
        ({f"{STEM}.lora_magnitude_vector": Tensor("F32", (2, 2))}, "neither a lora_A nor a lora_B"),
        ({f"{STEM}.lora_A.weight": Tensor("F32", (8, 576))}, "only one of"),
        (pair() | {f"{STEM}.lora_A.weight": Tensor("I64", (8, 576))}, "not a matrix"),
        (pair() | {f"{STEM}.lora_A.weight": Tensor("F32", (8, 576, 1))}, "not a matrix"),
        (pair() | {f"{STEM}.lora_A.weight": Tensor("F32", (4, 576))}, "share no rank"),
        (pair(rank=16), "has rank 16"),
    ],
)
def test_tensors_that_are_no_plain_lora_are_refused(tensors, says):
    assert says in refusal(config(), tensors)


def test_a_module_of_higher_rank_than_the_config_says_is_refused():
    assert "has rank 8" in refusal(config(r=4), pair(rank=8))


def test_a_module_of_the_rank_that_its_pattern_says_fits():
    preflight.check(config(r=4, rank_pattern={"q_proj": 8}), pair(rank=8), LIMITS)


@pytest.mark.parametrize(
    "tensors",
    [pair(d_in=288, d_out=288), pair(d_in=1152), pair("k_proj"), pair("down_proj"), pair(layer=30)],
    ids=["half the width", "double the input", "queries for keys", "attention for the feed-forward", "layer 31 of 30"],
)
def test_what_was_trained_on_another_model_is_refused(tensors):
    assert "trained on another model" in refusal(config(), tensors)


def test_without_the_base_models_config_shapes_are_taken_on_trust():
    preflight.check(config(), pair(d_in=288, layer=99), Limits(max_rank=8))


def test_of_an_unknown_family_only_the_layers_are_checked():
    base = adapter_shapes.read(b'{"model_type": "novel", "num_hidden_layers": 2}')
    preflight.check(config(), pair(d_in=3), Limits(8, base))
    assert "beyond the base model's 2 layers" in refusal(config(), pair(layer=2), Limits(8, base))


def test_a_head_width_that_the_config_states_counts():
    base = adapter_shapes.read(json.dumps(LLAMA | {"head_dim": 128}).encode())
    assert (base.projections["q_proj"], base.projections["k_proj"]) == ((576, 1152), (576, 384))


@pytest.mark.parametrize("raw", [b"[]", b"nonsense", b"\xff"])
def test_a_base_config_that_is_no_object_is_an_error(raw):
    with pytest.raises(ValueError):  # noqa: PT011 — any of its kinds
        adapter_shapes.read(raw)
