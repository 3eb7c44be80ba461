// The servers that mcpline is put in front of, started as their users start them.

import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { createServer, connect } from "node:net";
import { once } from "node:events";
import { join } from "node:path";

import { Unexpected, until } from "./expect.mjs";
import { fill } from "./template.mjs";

const HERE = join(import.meta.dirname, "..");

// Below the range from which systems take the ports of outgoing connections: while a server is
// down, none of those may take its port.
const PORTS = [15_000, 30_000];

async function freePort() {
  for (;;) {
    const port = randomInt(...PORTS);
    const server = createServer().listen(port, "127.0.0.1");
    try {
      await once(server, "listening");
    } catch {
      continue;
    }
    server.close();
    await once(server, "close");
    return port;
  }
}

async function accepts(port) {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

export class Upstream {
  #process;

  constructor(spec, directory) {
    this.spec = spec;
    this.logPath = join(directory, "server.log");
    this.state = join(directory, "state");
    mkdirSync(this.state, { recursive: true });
  }

  /** Starts, on the same port each time, and waits until it can be connected to. */
  async start() {
    this.port ??= await freePort();
    const values = { port: String(this.port), state: this.state };
    const [command, ...args] = fill(this.spec.command, values);
    const log = openSync(this.logPath, "a");
    this.#process = spawn(command, args, {
      cwd: HERE,
      env: { ...process.env, ...fill(this.spec.env, values) },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    await until(async () => {
      if (!this.running) throw new Unexpected("the server ended right after its start");
      return accepts(this.port);
    }, `the server accepts connections on port ${this.port}`);
  }

  get running() {
    return this.#process?.exitCode === null && this.#process.signalCode === null;
  }

  async kill() {
    if (!this.running) return;
    const gone = once(this.#process, "exit");
    this.killNow();
    await gone;
  }

  killNow() {
    this.#process?.kill("SIGKILL");
  }

  get url() {
    return `http://127.0.0.1:${this.port}${this.spec.path}`;
  }

  get log() {
    return readFileSync(this.logPath, "utf8");
  }

  /** How many sessions the server says were begun. */
  get sessionsOpened() {
    return this.log.split(this.spec.sessionOpened).length - 1;
  }

  /** How many sessions the server says it has seen the end of. */
  get sessionsEnded() {
    return this.log.split(this.spec.sessionEnded).length - 1;
  }
}
