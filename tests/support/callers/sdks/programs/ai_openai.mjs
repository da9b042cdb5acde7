import { openai } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";
import { run, streamed } from "./driven.mjs";

const asked = { model: openai("gpt-4o"), prompt: "[[say=one two three]]" };

run({
  plain: async () => (await generateText(asked)).text,
  stream: () => streamed(streamText(asked)),
});
