"""Made-up log-probabilities in the shapes that vLLM gives; the chosen token is always the likeliest."""

from typing import Any

from agenttype_simulator.text import Token


def chat(tokens: tuple[Token, ...], top: int) -> dict[str, Any]:
    """The `logprobs` of a chat choice, with `top` candidates for each token."""
    return {
        "content": [
            _entry(token.text, 0, token) | {"top_logprobs": [_entry(*_other(token, rank)) for rank in range(top)]}
            for token in tokens
        ]
    }


def completion(tokens: tuple[Token, ...], top: int, offset: int = 0) -> dict[str, Any]:
    """The `logprobs` of a completion choice; `offset` is where the first token begins in the text."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.text)
    return {
        "text_offset": offsets,
        "token_logprobs": [_value(token, 0) for token in tokens],
        "tokens": [token.text for token in tokens],
        "top_logprobs": [
            {_other(token, rank)[0]: _value(token, rank) for rank in range(max(top, 1))} for token in tokens
        ],
    }


def _other(token: Token, rank: int) -> tuple[str, int, Token]:
    return (token.text if rank == 0 else f"{token.text}{rank}"), rank, token


def _entry(shown: str, rank: int, token: Token) -> dict[str, Any]:
    return {"token": shown, "logprob": _value(token, rank), "bytes": list(shown.encode())}


def _value(token: Token, rank: int) -> float:
    return -(rank + (token.number % 997 + 1) / 1000)
