import { openai } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";
import { run } from "./driven.mjs";

const asked = { model: openai("gpt-4o"), prompt: "[[say=one two three]]" };

run({
  plain: async () => (await generateText(asked)).text,
  stream: async () => streamText(asked).text,
});
