import driven
from langchain_openai import ChatOpenAI


def plain():
    return ChatOpenAI(model="gpt-4o").invoke("[[say=one two three]]").text


def stream():
    return "".join(chunk.text for chunk in ChatOpenAI(model="gpt-4o").stream("[[say=one two three]]"))


driven.run({"plain": plain, "stream": stream})
