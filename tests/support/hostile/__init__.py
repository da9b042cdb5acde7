"""The corpus of hostile callers, backends and tool servers: each case once, for every test that plays it."""
