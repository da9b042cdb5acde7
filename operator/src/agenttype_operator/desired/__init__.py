"""What should exist: pure builders, one object or container a file.

Belongs here: functions from the parsed kinds and the settings to Kubernetes objects as JSON. Same inputs, same bytes:
what is a set is sorted, nothing depends on the time, the cluster or a policy that may change without a restart.
Does not belong here: anything that reads or writes.
"""
