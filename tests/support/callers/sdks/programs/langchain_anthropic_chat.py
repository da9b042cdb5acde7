import driven
from langchain_anthropic import ChatAnthropic


def plain():
    return ChatAnthropic(model="claude-x", max_tokens=20).invoke("[[say=one two three]]").text


def stream():
    return "".join(
        chunk.text for chunk in ChatAnthropic(model="claude-x", max_tokens=20).stream("[[say=one two three]]")
    )


driven.run({"plain": plain, "stream": stream})
