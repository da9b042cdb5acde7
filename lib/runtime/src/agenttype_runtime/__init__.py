"""What every program of ours does alike, whatever it is for.

Belongs here: the JSON log, signals and the ready line, files that are watched, the base of refusals, the guard against
ambiguous or huge JSON, the limit on open files, and a server for probes and metrics. Not here: anything that knows a
kind, a policy, a protocol or a cluster. This room imports none of ours, and every other one may import it, except the
wrapper and the simulator.
"""
