// Serves malformed answers to mcpline, and takes what comes of them with the official TypeScript
// SDK, which refuses a whole answer for one member. The documents and the cases are those of
// tests/repairs; around each document stand its neighbours, with every member of it something else.
//
//   repairs.mjs --results FILE --mcpline PATH

import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

import { expectSame } from "./expect.mjs";

const { values: options } = parseArgs({
  options: { results: { type: "string" }, mcpline: { type: "string" } },
});
const read = (name) =>
  JSON.parse(readFileSync(join(import.meta.dirname, "..", "..", "repairs", name), "utf8"));
const documents = read("documents.json");
const cases = read("cases.json");
const kinds = read("kinds.json");

const WRONG = [null, "", {}, [], "x", 5, true, "true"];
const TIMEOUT = { timeout: 20_000 };

/** How each method is called. */
const METHODS = {
  "tools/list": (client) => client.listTools({}, TIMEOUT),
  "resources/list": (client) => client.listResources({}, TIMEOUT),
  "resources/templates/list": (client) => client.listResourceTemplates({}, TIMEOUT),
  "prompts/list": (client) => client.listPrompts({}, TIMEOUT),
  "tools/call": (client) => client.callTool({ name: "get_stock", arguments: {} }, undefined, TIMEOUT),
  "resources/read": (client) => client.readResource({ uri: "file:///asked" }, TIMEOUT),
  "prompts/get": (client) => client.getPrompt({ name: "letter" }, TIMEOUT),
  "completion/complete": (client) =>
    client.complete(
      { ref: { type: "ref/prompt", name: "letter" }, argument: { name: "a", value: "" } },
      TIMEOUT,
    ),
  "logging/setLevel": (client) => client.setLoggingLevel("info", TIMEOUT),
  "resources/subscribe": (client) => client.subscribeResource({ uri: "file:///a" }, TIMEOUT),
  "resources/unsubscribe": (client) => client.unsubscribeResource({ uri: "file:///a" }, TIMEOUT),
};

/** A copy of `document` with `value` at `path`, or with nothing there if it is undefined. */
function replaced(document, path, value) {
  if (path.length === 0) return value;
  const copy = structuredClone(document);
  const parent = path.slice(0, -1).reduce((part, name) => part[name], copy);
  const last = path.at(-1);
  if (value !== undefined) parent[last] = value;
  else if (Array.isArray(parent)) parent.splice(last, 1);
  else delete parent[last];
  return copy;
}

function* paths(value, at = []) {
  if (value === null || typeof value !== "object") return;
  for (const name of Object.keys(value)) {
    yield [...at, name];
    yield* paths(value[name], [...at, name]);
  }
}

const pathOf = (pointer) =>
  pointer.split("/").slice(1).map((name) => name.replaceAll("~1", "/"));

/** The texts of all results of `method` that are served. */
function served(method) {
  const document = documents[method];
  const all = [document, ...WRONG];
  for (const path of paths(document)) {
    for (const value of [undefined, ...WRONG]) all.push(replaced(document, path, value));
  }
  for (const { at, is } of cases[method] ?? []) all.push(replaced(document, pathOf(at), is));
  return all.map((result) => JSON.stringify(result));
}

/** Answers each method with the text at its place in `answers`; the path may choose among several. */
function serve(answer) {
  const server = createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const isCall = request.method === "POST" && /\/(rpc|mcp)$/.test(request.url);
      const message = isCall ? JSON.parse(Buffer.concat(parts)) : {};
      if (message.id === undefined) {
        response.writeHead(isCall ? 202 : 404).end();
        return;
      }
      const id = JSON.stringify(message.id);
      const result = answer(message.method, request.url);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(`{"jsonrpc":"2.0","id":${id},"result":${result}}`);
    });
  });
  return new Promise((started) => server.listen(0, "127.0.0.1", () => started(server)));
}

async function connect(kind, server, prefix = "") {
  const client = new Client({ name: "e2e", version: "1" });
  const url = `http://127.0.0.1:${server.address().port}${prefix}${kinds[kind].path}`;
  await client.connect(
    new StdioClientTransport({
      command: resolve(options.mcpline),
      args: ["--kind", kind, "--log-level", "error", url],
      stderr: "inherit",
    }),
    TIMEOUT,
  );
  return client;
}

const ordinary = (kind, method) => JSON.stringify(kinds[kind].answers[method] ?? {});

/** What the client refuses of the results of one method. */
async function refused(kind, method) {
  let current;
  const server = await serve((asked) => (asked === method ? current : ordinary(kind, asked)));
  const found = [];
  const client = await connect(kind, server);
  try {
    for (current of served(method)) {
      await METHODS[method](client).catch((error) => found.push(`${error.message}\n  of ${current}`));
    }
    if (method === "tools/call") {
      current = '{"content":[{"type":"text","text":"Отчёт \\ud83d"}],"x\\udc00":1}';
      const { content } = await METHODS[method](client);
      expectSame("half a character", "Отчёт \ufffd", content[0].text);
    }
  } finally {
    await client.close();
    server.close();
  }
  return found;
}

/** The same for `initialize`, each of which needs a process of its own. */
async function refusedAtStart(kind) {
  const all = served("initialize");
  const server = await serve((asked, url) =>
    asked === "initialize" ? all[Number(url.split("/")[1])] : ordinary(kind, asked),
  );
  const found = [];
  let next = 0;
  const work = async () => {
    while (next < all.length) {
      const number = next++;
      try {
        const client = await connect(kind, server, `/${number}`);
        await client.listTools({}, TIMEOUT).finally(() => client.close());
      } catch (error) {
        found.push(`${error.message}\n  of ${all[number]}`);
      }
    }
  };
  await Promise.all([work(), work(), work(), work()]);
  server.close();
  return found;
}

let failed = false;
for (const kind of Object.keys(kinds)) {
  let outcome = "passed";
  try {
    for (const method of Object.keys(documents)) {
      const found = method === "initialize" ? await refusedAtStart(kind) : await refused(kind, method);
      if (found.length === 0) continue;
      outcome = "failed";
      console.log(`${method}: ${found.length} refused\n${found.slice(0, 5).join("\n")}`);
    }
  } catch (error) {
    outcome = "failed";
    console.log(error.stack);
  }
  failed ||= outcome === "failed";
  const row = { client: "typescript", server: `malformed ${kind}`, scenario: "repairs", outcome };
  appendFileSync(options.results, `${JSON.stringify(row)}\n`);
  console.log(`${outcome.padEnd(13)} typescript malformed ${kind}: repairs`);
}
process.exit(failed ? 1 : 0);
