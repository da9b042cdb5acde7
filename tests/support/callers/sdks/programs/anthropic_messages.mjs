import Anthropic from "@anthropic-ai/sdk";
import { run } from "./driven.mjs";

const asked = { model: "claude-x", max_tokens: 20, messages: [{ role: "user", content: "[[say=one two three]]" }] };

run({
  plain: async () => (await new Anthropic().messages.create(asked)).content[0].text,
  stream: async () => new Anthropic().messages.stream(asked).finalText(),
});
