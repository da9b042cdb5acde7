"""The way of an LLM call, and the wire formats it can have.

Belongs here: paths, bodies, usage and error responses of OpenAI's and Anthropic's protocols, and `call_handler`, which
walks one call through admit, rewrite, forward, meter and settle. Not here: what is allowed (`admission`) and how a
backend is reached (`backends`).
"""
