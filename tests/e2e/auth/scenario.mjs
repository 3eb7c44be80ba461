// What the scenarios of signing in at a real authorization server have in common.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import * as authority from './authority.mjs';
import { SIGN_IN, start } from './line.mjs';
import { signIn } from './person.mjs';

/** Scenarios at once: each of them mostly waits. */
const AT_ONCE = 4;

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** What a scenario works with: the servers, a folder for the state, processes. */
export async function setUp(options = {}) {
  const servers = await authority.start(options);
  const folder = mkdtempSync(join(tmpdir(), 'mcpline-real-'));
  const lines = [];
  // A short start: a person takes longer in any case.
  const settings = { MCPLINE_STATE_DIR: folder, MCPLINE_START_TIMEOUT: '1', ...options.settings };
  const run = (args, more = {}) => {
    const line = start(args, { ...settings, ...more });
    lines.push(line);
    return line;
  };
  return {
    ...servers,
    folder,
    run,
    begin: (more) => run([servers.url], more).begin(),
    async end() {
      for (const line of lines) if (line.child.exitCode === null) await line.kill();
      servers.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The code of an error that says that no session has been opened in time. */
const NOT_YET = -33006;

/** The address that a request is answered with, as soon as it is known. */
export async function address(line) {
  let error;
  for (let tries = 0; tries < 10; tries += 1) {
    ({ error } = await line.call());
    if (error?.code !== NOT_YET) break;
  }
  assert.equal(error?.code, SIGN_IN, JSON.stringify(error));
  assert.ok(error.message.includes(error.data.signInUrl), error.message);
  return error.data.signInUrl;
}

export async function works(line, who = 'anna') {
  const { result, error } = await line.call();
  assert.equal(error, undefined);
  assert.equal(result.content[0].text, who);
}

/** A process in which a person has signed in. */
export async function signedIn(it) {
  const line = await it.begin();
  const { page } = await signIn(await address(line));
  assert.match(page, /You are signed in/);
  await line.signedIn();
  await works(line);
  return line;
}

/** Runs the scenarios whose names have a part that was given as an argument, or all. */
export async function runAll(scenarios) {
  const names = process.argv.slice(2);
  const wanted = ([name]) => !names.length || names.some((part) => name.includes(part));
  const waiting = Object.entries(scenarios).filter(wanted);
  let failed = 0;
  const run = async () => {
    for (let next; (next = waiting.shift()); ) {
      const [name, scenario] = next;
      const begun = Date.now();
      try {
        const it = await scenario();
        await it?.end();
        console.log(`ok      ${name} (${Date.now() - begun} ms)`);
      } catch (why) {
        failed += 1;
        console.log(`FAILED  ${name}: ${why.stack}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, run));
  // What a failed scenario has left behind ends with us.
  process.exit(failed ? 1 : 0);
}
