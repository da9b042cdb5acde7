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
