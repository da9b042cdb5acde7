import anthropic
import driven

ASKED = {"model": "claude-x", "max_tokens": 20, "messages": [{"role": "user", "content": "[[say=one two three]]"}]}


def plain():
    return anthropic.Anthropic().messages.create(**ASKED).content[0].text


def stream():
    with anthropic.Anthropic().messages.stream(**ASKED) as events:
        return "".join(events.text_stream)


def count():
    asked = {name: value for name, value in ASKED.items() if name != "max_tokens"}
    return str(anthropic.Anthropic().messages.count_tokens(**asked).input_tokens)


def models():
    return " ".join(model.id for model in anthropic.Anthropic().models.list())


driven.run({"plain": plain, "stream": stream, "count": count, "models": models})
