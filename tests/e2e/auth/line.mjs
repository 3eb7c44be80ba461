// mcpline with this program on its stdin and stdout.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export const SIGN_IN = -33011;
const PATIENCE = 20_000;

/** `promise`, or an error that says what was waited for. */
export async function within(what, promise, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, fail) => {
    timer = setTimeout(() => fail(new Error(`${what} did not come in time`)), patience);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Starts mcpline; `settings` are its variables. */
export function start(args, settings) {
  const child = spawn(process.env.MCPLINE, args, {
    env: { ...process.env, MCPLINE_NO_BROWSER: '1', ...settings },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const line = { child, stdout: '', stderr: '', notices: [] };
  const ended = once(child, 'close');
  child.stderr.on('data', (chunk) => (line.stderr += chunk));
  child.stdin.on('error', () => {});
  const waiting = new Map();
  let woken = () => {};
  createInterface({ input: child.stdout }).on('line', (text) => {
    line.stdout += text;
    const message = JSON.parse(text);
    if (message.method) line.notices.push(message.method);
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
    woken();
  });
  const write = (message) => child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  let nextId = 1;
  line.ask = (method, params = {}) => {
    const id = nextId++;
    const answer = new Promise((done) => waiting.set(id, done));
    write({ id, method, params });
    return within(`the answer to ${method}`, answer, 60_000);
  };
  line.call = () => line.ask('tools/call', { name: 'work', arguments: {} });
  line.begin = async () => {
    const clientInfo = { name: 'e2e', version: '1' };
    const { error } = await line.ask('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo,
    });
    if (error) throw new Error(`initialize: ${error.message}`);
    write({ method: 'notifications/initialized' });
    return line;
  };
  /** Waits for what the client is told when a person has signed in. */
  line.signedIn = () =>
    within(
      'the news that the person has signed in',
      (async () => {
        while (!line.notices.includes('notifications/tools/list_changed')) {
          await new Promise((done) => (woken = done));
        }
        line.notices.length = 0;
      })(),
    );
  line.kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  /** Ends the input, and gives the exit status. */
  line.end = async () => {
    child.stdin.end();
    const [status] = await within('the end', ended);
    return status;
  };
  line.ended = () => within('the end', ended).then(([status]) => status);
  /** The first match of `pattern` on stderr. */
  line.said = (pattern) =>
    within(
      `${pattern} on stderr`,
      (async () => {
        for (;;) {
          const found = pattern.exec(line.stderr);
          if (found) return found;
          await once(child.stderr, 'data');
        }
      })(),
    );
  return line;
}
