"""Builders of what tests hand over: objects, files, certificates, pods' leases."""
