import driven
import openai

ASKED = {"model": "gpt-4o", "input": "[[say=one two three]]"}


def plain():
    return openai.OpenAI().responses.create(**ASKED).output_text


def stream():
    with openai.OpenAI().responses.stream(**ASKED) as events:
        return events.get_final_response().output_text


driven.run({"plain": plain, "stream": stream})
