// Runs the scenarios with the official TypeScript SDK against one server.
//
//   main.mjs --server NAME --results FILE --logs DIRECTORY (--mcpline PATH | --direct) [--only NAME]
//
// Each scenario has an mcpline and a log of its own. --direct leaves mcpline out, to tell whose
// fault a failure is.

import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";

import { Unexpected, within } from "./expect.mjs";
import { SCENARIOS } from "./scenarios.mjs";
import { Session } from "./session.mjs";
import { expand } from "./template.mjs";
import { Upstream } from "./upstream.mjs";

const CLIENT = "typescript";
const SCENARIO_MS = 120_000;

const { values: options } = parseArgs({
  options: {
    server: { type: "string" },
    results: { type: "string" },
    logs: { type: "string" },
    mcpline: { type: "string" },
    direct: { type: "boolean", default: false },
    only: { type: "string" },
  },
});

function readJson(path) {
  return JSON.parse(readFileSync(join(import.meta.dirname, "..", path), "utf8"));
}

function lastLines(path, count) {
  if (!existsSync(path)) return "";
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-count).join("\n");
}

/** What a scenario works with: the server, and sessions with it. */
class Cell {
  #sessions = [];

  constructor(upstream, directory) {
    this.upstream = upstream;
    this.directory = directory;
    mkdirSync(directory, { recursive: true });
  }

  /** Runs `work` with a connected client, through mcpline unless it is to be left out. */
  session(work, { roots = [] } = {}) {
    return this.#run(options.direct ? undefined : resolve(options.mcpline), work, roots);
  }

  directSession(work) {
    return this.#run(undefined, work, []);
  }

  async #run(mcpline, work, roots) {
    const session = new Session({ mcpline, upstream: this.upstream, directory: this.directory });
    session.roots = roots;
    this.#sessions.push(session);
    try {
      await session.connect();
      await work(session);
    } catch (error) {
      // How it ends matters no more, only that it does.
      await session.close().catch(() => {});
      throw error;
    }
    await session.close();
  }

  /** All that helps to find out what went wrong. */
  evidence() {
    const [session] = this.#sessions;
    return [
      ["messages of the client", session?.trace.tail(30)],
      ["mcpline's log", session && lastLines(session.stderrPath, 60)],
      ["the server's log", lastLines(this.upstream.logPath, 15)],
    ]
      .filter(([, text]) => text)
      .map(([title, text]) => `-- ${title}\n${text}\n`)
      .join("");
  }
}

async function runScenario(scenario, expected, upstream) {
  if (expected === undefined) return { outcome: "not offered" };
  if (options.direct && scenario.throughOnly) return { outcome: "needs mcpline" };
  const cell = new Cell(upstream, join(options.logs, scenario.name.replaceAll(" ", "-")));
  try {
    if (!upstream.running) await upstream.start();
    await within(scenario.run(cell, expected), "the scenario is over", SCENARIO_MS);
    return { outcome: "passed" };
  } catch (error) {
    const why = error instanceof Unexpected ? error.message : error.stack;
    return { outcome: "failed", why: `${why}\n${cell.evidence()}` };
  }
}

const spec = readJson("servers.json")[options.server];
const { shapes, pipe, ...offers } = readJson(`expected/${spec.offers}.json`);
for (const name of spec.lacks ?? []) delete offers[name];
for (const name of Object.keys(offers)) {
  if (!SCENARIOS.some((scenario) => scenario.name === name)) {
    throw new Error(`no scenario is called "${name}"`);
  }
}

const upstream = new Upstream(spec, options.logs);
process.on("exit", () => upstream.killNow());
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));
for (const scenario of SCENARIOS) {
  if (options.only && options.only !== scenario.name) continue;
  const start = performance.now();
  const expected = offers[scenario.name] && expand(offers[scenario.name], shapes);
  const { outcome, why } = await runScenario(scenario, expected, upstream);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const row = { client: CLIENT, server: options.server, scenario: scenario.name, outcome };
  appendFileSync(options.results, `${JSON.stringify(row)}\n`);
  console.log(`${outcome.padEnd(13)} ${CLIENT} ${options.server}: ${scenario.name} (${seconds} s)`);
  if (why) console.log(why);
}
process.exit();
