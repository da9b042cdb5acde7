// Makes the calls that are asked for on standard input, one a line, and prints how each ended as JSON.
import { createInterface } from "node:readline";

export async function run(calls) {
  for await (const line of createInterface({ input: process.stdin })) {
    let seen;
    try {
      seen = { text: await calls[line.trim()]() };
    } catch (error) {
      const cause = error.lastError ?? error;
      seen = { error: error.constructor.name, status: cause.status ?? cause.statusCode ?? null, said: String(error) };
    }
    console.log(JSON.stringify(seen));
  }
}

/** The text of a stream of the Vercel AI SDK, which tells of errors as parts of it. */
export async function streamed(result) {
  let text = "";
  for await (const part of result.fullStream) {
    if (part.type === "error") throw part.error instanceof Error ? part.error : new Error(JSON.stringify(part.error));
    if (part.type === "text-delta") text += part.text;
  }
  return text;
}
