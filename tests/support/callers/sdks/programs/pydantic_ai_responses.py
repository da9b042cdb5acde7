import pydantic_ai_agent

pydantic_ai_agent.run("openai-responses:gpt-4o")
