"""The policy in use: its document, made ready for calls, and the file that it comes from.

Not here: what a document may say (`agenttype_api.policy`).
"""
