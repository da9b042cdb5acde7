"""The way of an LLM call, and the wire formats it can have.

Belongs here: paths, bodies, usage and answers of OpenAI's and Anthropic's protocols, and `visit`, which walks one call
through admit, rewrite, forward, meter and settle. Not here: what is allowed (`budget`) and how a backend is reached
(`backends`).
"""
