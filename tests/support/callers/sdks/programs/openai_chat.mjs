import OpenAI from "openai";
import { run } from "./driven.mjs";

const asked = { model: "gpt-4o", messages: [{ role: "user", content: "[[say=one two three]]" }] };

run({
  plain: async () => (await new OpenAI().chat.completions.create(asked)).choices[0].message.content,
  stream: async () => {
    let text = "";
    for await (const chunk of await new OpenAI().chat.completions.create({ ...asked, stream: true })) {
      text += chunk.choices[0].delta.content ?? "";
    }
    return text;
  },
});
