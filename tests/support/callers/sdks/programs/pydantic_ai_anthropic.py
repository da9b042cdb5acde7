import pydantic_ai_agent

pydantic_ai_agent.run("anthropic:claude-x")
