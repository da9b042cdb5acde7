"""The demo: two unmodified agents on a real Kubernetes, run by `make demo`.

Here belongs what brings the cluster, the engine and the agents up, and what reads and tells what they did. The tests
of the real node begin with the same modules.
"""
