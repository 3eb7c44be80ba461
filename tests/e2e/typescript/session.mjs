// One client of the official TypeScript SDK, through mcpline or straight to the server.

import { closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ListRootsRequestSchema, ResultSchema } from "@modelcontextprotocol/sdk/types.js";

import { expectSame, expectThat, until, within } from "./expect.mjs";

const WATCHED = join(import.meta.dirname, "..", "watched");
const REQUEST_OPTIONS = { timeout: 20_000 };
// An SDK kills a server that has not gone two seconds after its stdin was closed.
const ENDING_MS = 1_500;

/** Everything that crossed the client's transport, in order. */
class Trace {
  entries = [];

  note(from, message) {
    this.entries.push({ from, message });
  }

  get mark() {
    return this.entries.length;
  }

  sent(method, since = 0) {
    return this.#find("client", since, (message) => message.method === method);
  }

  received(method, since = 0) {
    return this.#find("server", since, (message) => message.method === method);
  }

  responsesTo(id) {
    return this.#find("server", 0, (message) => message.id === id && !("method" in message));
  }

  place(message) {
    return this.entries.findIndex((entry) => entry.message === message);
  }

  #find(from, since, wanted) {
    return this.entries
      .slice(since)
      .filter((entry) => entry.from === from && wanted(entry.message))
      .map((entry) => entry.message);
  }

  tail(count) {
    const arrows = { client: "-->", server: "<--" };
    return this.entries
      .slice(-count)
      .map(({ from, message }) => `${arrows[from]} ${JSON.stringify(message).slice(0, 400)}`)
      .join("\n");
  }
}

function record(transport, trace) {
  const send = transport.send.bind(transport);
  transport.send = (message, options) => {
    trace.note("client", message);
    return send(message, options);
  };
  // The SDK keeps a handler that is there before it connects and calls it first.
  transport.onmessage = (message) => trace.note("server", message);
}

function direct(upstream) {
  const Transport =
    upstream.spec.transport === "sse" ? SSEClientTransport : StreamableHTTPClientTransport;
  return new Transport(new URL(upstream.url));
}

export class Session {
  trace = new Trace();
  roots = [];
  #exitPath;
  #stderr;

  /** `mcpline` is the path of the binary, or undefined to do without it. */
  constructor({ mcpline, upstream, directory }) {
    this.upstream = upstream;
    this.mcpline = mcpline;
    this.stderrPath = join(directory, "mcpline.log");
    this.#exitPath = join(directory, "exit");
  }

  async connect() {
    const capabilities = {
      sampling: {},
      elicitation: { form: {}, url: {} },
      roots: { listChanged: true },
    };
    this.client = new Client({ name: "mcpline-e2e", version: "1.0.0" }, { capabilities });
    this.client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: this.roots }));
    const transport = this.mcpline ? this.#throughMcpline() : direct(this.upstream);
    record(transport, this.trace);
    await within(this.client.connect(transport), "the handshake is over");
  }

  #throughMcpline() {
    this.#stderr = openSync(this.stderrPath, "a");
    return new StdioClientTransport({
      command: WATCHED,
      args: [this.#exitPath, this.mcpline, "--log-level", "debug", this.upstream.url],
      stderr: this.#stderr,
    });
  }

  /** Calls a tool as users of the SDK do. */
  call({ tool, arguments: args }, options = {}) {
    const { meta, ...rest } = options;
    const params = { name: tool, arguments: args, ...(meta && { _meta: meta }) };
    return this.client.callTool(params, undefined, { ...REQUEST_OPTIONS, ...rest });
  }

  /** Calls a tool that has its result written beside it. */
  async callAndCompare(call, what = call.tool, options = {}) {
    expectSame(`the result of ${what}`, call.result, await this.call(call, options));
  }

  request({ method, params }) {
    return this.client.request({ method, params }, ResultSchema, REQUEST_OPTIONS);
  }

  /** The result or the error, whichever came. */
  async outcome(request) {
    try {
      return { result: await this.request(request) };
    } catch (error) {
      if (typeof error.code !== "number") throw error;
      return { error: { code: error.code, message: error.message, data: error.data } };
    }
  }

  /** Waits for a notification, past or to come. */
  received(method, matching = () => true, options = {}) {
    const seen = () => this.trace.received(method).find(({ params }) => matching(params));
    return until(async () => seen(), options.what ?? `${method} arrives`, options);
  }

  /** Ends the session and, with mcpline in between, checks how that ended. */
  async close() {
    const start = performance.now();
    await within(this.client.close(), "the client closes");
    const took = performance.now() - start;
    if (!this.mcpline) return;
    closeSync(this.#stderr);
    await until(async () => existsSync(this.#exitPath), "mcpline ends after its stdin is closed");
    const status = readFileSync(this.#exitPath, "utf8").trim();
    expectSame("mcpline's exit status after its stdin is closed", "0", status);
    expectThat(took < ENDING_MS, `mcpline took ${took.toFixed(0)} ms to end, not ${ENDING_MS}`);
  }
}
