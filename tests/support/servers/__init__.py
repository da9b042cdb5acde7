"""Servers that stand behind ours in a test's own process, and say what the test decides."""
