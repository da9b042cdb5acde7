"""What is counted and remembered of calls: metrics, the rules that applied, how long the agent was busy.

Here are the means and what is counted everywhere; what is counted of one kind of call is beside it (`llm.metrics`,
`tools.metrics`). Nothing here decides anything, and nothing here fails a call.
"""
