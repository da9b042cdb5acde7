"""A stand-in for vLLM: its routes, replies, errors, adapters and counters, without a model.

Here belongs what a caller of vLLM can see over HTTP, and two control routes under `/simulator` with which tests
script faults and read what arrived. Policy of any kind does not belong here. Tests and examples start it as a
process; nothing imports it. The contract test holds it equal to exchanges recorded from the real engine.
"""
