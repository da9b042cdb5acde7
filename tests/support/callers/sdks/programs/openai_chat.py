import driven
import openai

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[say=one two three]]"}]}


def plain():
    return openai.OpenAI().chat.completions.create(**ASKED).choices[0].message.content


def stream():
    chunks = openai.OpenAI().chat.completions.create(stream=True, **ASKED)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


def completion():
    return openai.OpenAI().completions.create(model="gpt-4o", prompt="[[say=one two three]]").choices[0].text


def models():
    return " ".join(model.id for model in openai.OpenAI().models.list())


def model():
    return openai.OpenAI().models.retrieve("gpt-4o").id


def embedding():
    return str(len(openai.OpenAI().embeddings.create(model="gpt-4o", input="hello").data[0].embedding))


driven.run(
    {
        "plain": plain,
        "stream": stream,
        "completion": completion,
        "models": models,
        "model": model,
        "embedding": embedding,
    }
)
