"""Pods: what the kubelet says about them, and what sidecars and gates in them report.

Belongs here: everything that reads a pod or opens a connection to one. Does not belong here: writes to pods; they go
through `kube.client`. `status/`, `reconcile/` and `app` import it.
"""
