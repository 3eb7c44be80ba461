// Lists, reads and calls what each of the three services offers, with the official TypeScript SDK,
// which refuses a whole list for one bad item. 1C is the sample of `mcpline demo`, the others are
// emulators.
//
//   services.mjs --results FILE --mcpline PATH --emulator KIND=URL ...

import { appendFileSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

import { expectSame, expectThat, within } from "./expect.mjs";

const { values: options } = parseArgs({
  options: {
    results: { type: "string" },
    mcpline: { type: "string" },
    emulator: { type: "string", multiple: true, default: [] },
  },
});
const urls = new Map(options.emulator.map((emulator) => emulator.split(/=(.*)/s)));
const services = JSON.parse(
  readFileSync(join(import.meta.dirname, "..", "expected", "services.json"), "utf8"),
);

async function converse(kind, expected) {
  const target = urls.has(kind) ? ["--kind", kind, urls.get(kind)] : ["demo"];
  const client = new Client({ name: "e2e", version: "1" });
  await client.connect(
    new StdioClientTransport({
      command: resolve(options.mcpline),
      args: [...target, ...(expected.args ?? [])],
      stderr: "inherit",
    }),
  );
  try {
    expectSame("the name of the server", expected.name, client.getServerVersion().name);
    const { tools } = await client.listTools();
    expectSame("how many tools", expected.tools, tools.length);
    const { resources } = await client.listResources();
    expectSame("how many resources", expected.resources, resources.length);
    for (const { uri } of resources) {
      const { contents } = await client.readResource({ uri });
      expectSame(`contents of ${uri}`, [uri], contents.map((content) => content.uri));
    }
    const result = await client.callTool(expected.call);
    expectSame(`error of ${expected.call.name}`, false, result.isError ?? false);
    const [{ text }] = result.content;
    expectThat(text.includes(expected.says), `"${expected.says}" is in ${text}`);
    await client.ping();
  } finally {
    await client.close();
  }
}

let failed = false;
for (const [kind, expected] of Object.entries(services)) {
  let outcome = "passed";
  try {
    await within(converse(kind, expected), "the look around is over", 60_000);
  } catch (error) {
    outcome = "failed";
    failed = true;
    console.log(error.stack);
  }
  const row = { client: "typescript", server: `service ${kind}`, scenario: "a look around", outcome };
  appendFileSync(options.results, `${JSON.stringify(row)}\n`);
  console.log(`${outcome.padEnd(13)} typescript service ${kind}: a look around`);
}
process.exit(failed ? 1 : 0);
