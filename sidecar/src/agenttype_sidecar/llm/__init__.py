"""Handles LLM calls, in all their wire formats.

Here belong the paths, bodies, usage and error responses of OpenAI's and Anthropic's protocols, and `call_handler`,
which takes one call through admit, rewrite, forward, meter and settle. Not here: what is allowed (`admission`) and how
a backend is reached (`backends`).
"""
