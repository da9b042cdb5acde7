"""Bringing each kind to what its spec says: one module per kind.

Belongs here: plan, apply and prune, and the steps of each kind (`agent_type`, `model_backend`, `lora_adapter`,
`agent_budget`, and `gate_binding`, which no user writes). Does not belong here: how a child object looks (`desired/`)
and when a condition holds (`status/`). Only `app` imports it.
"""
