"""What is counted and remembered of calls: metrics, the rules that applied, how long the agent was busy.

Here are the general means and the counts for all calls; counts for one kind of call are in `llm.metrics` and
`tools.metrics`. Nothing here decides anything, and nothing here makes a call fail.
"""
