import OpenAI from "openai";
import { run } from "./driven.mjs";

const asked = { model: "gpt-4o", input: "[[say=one two three]]" };

run({
  plain: async () => (await new OpenAI().responses.create(asked)).output_text,
  stream: async () => {
    let text = "";
    for await (const event of await new OpenAI().responses.create({ ...asked, stream: true })) {
      text += event.type === "response.output_text.delta" ? event.delta : "";
    }
    return text;
  },
});
