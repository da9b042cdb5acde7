import driven
import litellm

ASKED = {"model": "openai/gpt-4o", "messages": [{"role": "user", "content": "[[say=one two three]]"}]}


def plain():
    return litellm.completion(**ASKED).choices[0].message.content


def stream():
    return "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **ASKED))


driven.run({"plain": plain, "stream": stream})
