import { anthropic } from "@ai-sdk/anthropic";
import { generateText, streamText } from "ai";
import { run, streamed } from "./driven.mjs";

const asked = { model: anthropic("claude-x"), prompt: "[[say=one two three]]" };

run({
  plain: async () => (await generateText(asked)).text,
  stream: () => streamed(streamText(asked)),
});
