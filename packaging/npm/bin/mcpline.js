#!/usr/bin/env node
// Starts the native program, which is in the package for this system. The client's pipes are handed to
// it as they are, so that nothing passes through this process.
"use strict";

const { spawn } = require("node:child_process");

const name = `@mcpline/${process.platform}-${process.arch}`;
const file = process.platform === "win32" ? "mcpline.exe" : "mcpline";

let program;
try {
  program = require.resolve(`${name}/bin/${file}`);
} catch {
  const known = Object.keys(require("../package.json").optionalDependencies);
  console.error(
    known.includes(name)
      ? `mcpline: the package ${name} is not installed: install mcpline again without --omit=optional or --no-optional`
      : `mcpline: there is no build for ${process.platform} on ${process.arch}, only ${known.join(", ")}`,
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit", windowsHide: true });

// What a client sends to end the program is the program's to handle.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}

child.on("error", (error) => {
  console.error(`mcpline: ${program} cannot be started: ${error.message}`);
  process.exit(1);
});
child.on("exit", (status, signal) => {
  if (signal === null) process.exit(status);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
