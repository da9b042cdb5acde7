"""What tests of several tiers begin with: programs to start, callers, servers of other people, builders.

Here belongs what more than one test file needs; a helper of one file stays in it. No test is here.
"""
