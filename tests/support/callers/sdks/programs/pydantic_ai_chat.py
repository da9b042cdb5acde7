import pydantic_ai_agent

pydantic_ai_agent.run("openai-chat:gpt-4o")
