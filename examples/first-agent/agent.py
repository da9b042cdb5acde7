"""An ordinary agent: it puts each of its arguments to a chat model and prints the answer.

It knows nothing of AgentType. Like the SDKs of OpenAI it reads OPENAI_BASE_URL and OPENAI_API_KEY.
"""

import json
import os
import sys
import urllib.error
import urllib.request


def ask(question: str) -> str:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], "max_tokens": 16}
    headers = {"content-type": "application/json", "authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]


for question in sys.argv[1:]:
    try:
        print(question, "->", ask(question))
    except urllib.error.HTTPError as refusal:
        print(question, "->", refusal.code, json.load(refusal)["error"]["message"])
