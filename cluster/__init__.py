"""A real Kubernetes without Docker, for development and CI.

Here belongs what builds, starts, fills and removes the embedded cluster: a command line tool of the standard
library alone, run as `python3 cluster COMMAND`. What runs inside the cluster does not belong here. Only tests,
benchmarks and the Makefile use it, and only through its commands.
"""
