// The MCP server that the conformance package asks for: official SDK, sessions, resumable streams.
// PORT is where it listens on 127.0.0.1; STRIP is cut from the front of its tools' names.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import * as types from "@modelcontextprotocol/sdk/types.js";
import express from "express";

const STRIP = process.env.STRIP ?? "";
const PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WAV = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

const text = (said) => ({ type: "text", text: said });
const image = { type: "image", data: PNG, mimeType: "image/png" };
const resource = (uri, mimeType, said) => ({ type: "resource", resource: { uri, mimeType, text: said } });
const content = (...parts) => ({ content: parts });

function log(extra, data) {
  return extra.sendNotification({ method: "notifications/message", params: { level: "info", data } });
}

async function progress(extra, token, done) {
  if (token === undefined) return;
  const params = { progressToken: token, progress: done, total: 100 };
  await extra.sendNotification({ method: "notifications/progress", params });
}

async function elicit(extra, message, properties, required = []) {
  const params = { message, requestedSchema: { type: "object", properties, required } };
  const said = await extra.sendRequest({ method: "elicitation/create", params }, types.ElicitResultSchema);
  return content(text(`Elicitation completed: action=${said.action}, content=${JSON.stringify(said.content)}`));
}

const titled = (word) => [1, 2, 3].map((number) => ({ const: `value${number}`, title: `${word} ${number}` }));
const OPTIONS = ["option1", "option2", "option3"];

const CALLS = {
  test_simple_text: () => content(text("This is a simple text response for testing.")),
  test_image_content: () => content(image),
  test_audio_content: () => content({ type: "audio", data: WAV, mimeType: "audio/wav" }),
  test_embedded_resource: () =>
    content(resource("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
  test_multiple_content_types: () =>
    content(
      text("Multiple content types test:"),
      image,
      resource("test://mixed-content-resource", "application/json", '{"test":"data","value":123}'),
    ),
  test_error_handling: () => ({
    ...content(text("This tool intentionally returns an error for testing")),
    isError: true,
  }),
  test_tool_with_logging: async (_, extra) => {
    for (const step of ["Tool execution started", "Tool processing data", "Tool execution completed"]) {
      await log(extra, step);
      await sleep(50);
    }
    return content(text("logged"));
  },
  test_tool_with_progress: async (params, extra) => {
    for (const done of [0, 50, 100]) {
      await progress(extra, params._meta?.progressToken, done);
      await sleep(50);
    }
    return content(text("progressed"));
  },
  test_sampling: async (params, extra) => {
    const messages = [{ role: "user", content: text(params.arguments.prompt) }];
    const request = { method: "sampling/createMessage", params: { messages, maxTokens: 100 } };
    const said = await extra.sendRequest(request, types.CreateMessageResultSchema);
    return content(text(`LLM response: ${said.content.text}`));
  },
  test_elicitation: (params, extra) => {
    const field = (description) => ({ type: "string", description });
    const asked = { username: field("User's response"), email: field("User's email address") };
    return elicit(extra, params.arguments.message, asked, ["username", "email"]);
  },
  test_elicitation_sep1034_defaults: (_, extra) =>
    elicit(extra, "Keep or change", {
      name: { type: "string", default: "John Doe" },
      age: { type: "integer", default: 30 },
      score: { type: "number", default: 95.5 },
      status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
      verified: { type: "boolean", default: true },
    }),
  test_elicitation_sep1330_enums: (_, extra) =>
    elicit(extra, "Choose", {
      untitledSingle: { type: "string", enum: OPTIONS },
      titledSingle: { type: "string", oneOf: titled("Option") },
      legacyEnum: { type: "string", enum: ["opt1", "opt2", "opt3"], enumNames: ["One", "Two", "Three"] },
      untitledMulti: { type: "array", items: { type: "string", enum: OPTIONS } },
      titledMulti: { type: "array", items: { anyOf: titled("Choice") } },
    }),
  test_reconnection: async (_, extra) => {
    extra.closeSSEStream?.();
    await sleep(100);
    return content(text("Reconnected"));
  },
  json_schema_2020_12_tool: () => content(text("called")),
};

const SCHEMAS = {
  json_schema_2020_12_tool: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: { address: { type: "object", properties: { street: { type: "string" }, city: { type: "string" } } } },
    properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
    additionalProperties: false,
  },
};

const PROMPTS = {
  test_simple_prompt: () => [text("This is a simple prompt for testing.")],
  test_prompt_with_arguments: (given) => [text(`Prompt with arguments: arg1='${given.arg1}', arg2='${given.arg2}'`)],
  test_prompt_with_embedded_resource: (given) => [
    resource(given.resourceUri, "text/plain", "Embedded resource content for testing."),
    text("Please process the embedded resource above."),
  ],
  test_prompt_with_image: () => [image, text("Please analyze the image above.")],
};

function read(uri) {
  const id = /^test:\/\/template\/(.+)\/data$/.exec(uri)?.[1];
  if (id !== undefined) {
    const said = JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` });
    return { uri, mimeType: "application/json", text: said };
  }
  if (uri === "test://static-binary") return { uri, mimeType: "image/png", blob: PNG };
  return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." };
}

function server() {
  const capabilities = { tools: {}, resources: { subscribe: true }, prompts: {}, logging: {}, completions: {} };
  const made = new Server({ name: "everything", version: "1" }, { capabilities });
  const own = Object.fromEntries(Object.keys(CALLS).map((name) => [name.startsWith(STRIP) ? name.slice(STRIP.length) : name, name]));
  const on = (schema, handler) => made.setRequestHandler(schema, handler);
  on(types.ListToolsRequestSchema, () => ({
    tools: Object.entries(own).map(([name, full]) => ({
      name,
      description: `For the scenarios: ${full}`,
      inputSchema: SCHEMAS[full] ?? { type: "object" },
    })),
  }));
  on(types.CallToolRequestSchema, (request, extra) => CALLS[own[request.params.name]](request.params, extra));
  on(types.ListResourcesRequestSchema, () => ({
    resources: ["text", "binary"].map((kind) => ({ uri: `test://static-${kind}`, name: kind, description: kind })),
  }));
  on(types.ReadResourceRequestSchema, (request) => ({ contents: [read(request.params.uri)] }));
  on(types.SubscribeRequestSchema, () => ({}));
  on(types.UnsubscribeRequestSchema, () => ({}));
  on(types.ListPromptsRequestSchema, () => ({
    prompts: Object.keys(PROMPTS).map((name) => ({ name, description: name })),
  }));
  on(types.GetPromptRequestSchema, (request) => ({
    messages: PROMPTS[request.params.name](request.params.arguments ?? {}).map((part) => ({ role: "user", content: part })),
  }));
  on(types.CompleteRequestSchema, () => ({ completion: { values: ["paris", "park", "party"], total: 3, hasMore: false } }));
  on(types.SetLevelRequestSchema, () => ({}));
  return made;
}

class Events {
  #kept = [];

  async storeEvent(stream, message) {
    this.#kept.push({ stream, message });
    return String(this.#kept.length);
  }

  async replayEventsAfter(last, { send }) {
    const { stream } = this.#kept[Number(last) - 1];
    for (let at = Number(last); at < this.#kept.length; at += 1) {
      const { stream: of, message } = this.#kept[at];
      if (of === stream && Object.keys(message).length) await send(String(at + 1), message);
    }
    return stream;
  }
}

const sessions = new Map();

async function transport(request) {
  const known = sessions.get(request.headers["mcp-session-id"]);
  if (known) return known;
  const made = new StreamableHTTPServerTransport({
    sessionIdGenerator: () => randomUUID(),
    onsessioninitialized: (id) => sessions.set(id, made),
    eventStore: new Events(),
    retryInterval: 200,
  });
  await server().connect(made);
  return made;
}

const app = express();
app.use(express.json());
app.get("/healthz", (_, response) => response.json({ status: "ok" }));
app.all("/mcp", async (request, response) => (await transport(request)).handleRequest(request, response, request.body));
app.listen(Number(process.env.PORT), "127.0.0.1");
