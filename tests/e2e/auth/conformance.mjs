// The client that the authorization scenarios of the official conformance suite test: mcpline, with
// this program on its stdin and stdout, and as the person's browser. The suite adds the
// URL, and says in its variables which scenario and which revision it is. MCPLINE is the binary.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const SIGN_IN = -33011;
const PATIENCE = 15_000;

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO ?? '';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const version = process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? '2025-11-25';
const isModern = version >= '2026';
const capabilities = {};
const clientInfo = { name: 'conformance-driver', version: '1.0.0' };
const meta = {
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientInfo': clientInfo,
  'io.modelcontextprotocol/clientCapabilities': capabilities,
};
const state = mkdtempSync(join(tmpdir(), 'mcpline-auth-'));

const settings = { MCPLINE_STATE_DIR: state, MCPLINE_NO_BROWSER: '1' };
if (context.client_id) settings.MCPLINE_OAUTH_CLIENT_ID = context.client_id;
if (context.client_secret) settings.MCPLINE_OAUTH_CLIENT_SECRET = context.client_secret;
if (context.private_key_pem) {
  settings.MCPLINE_OAUTH_CLIENT_KEY_FILE = join(state, 'key.pem');
  writeFileSync(settings.MCPLINE_OAUTH_CLIENT_KEY_FILE, context.private_key_pem, { mode: 0o600 });
}
if (scenario.includes('client-credentials')) settings.MCPLINE_OAUTH_GRANT = 'client-credentials';
if (scenario.endsWith('cimd')) {
  settings.MCPLINE_OAUTH_CLIENT_ID = 'https://conformance-test.local/client-metadata.json';
}

const line = spawn(process.env.MCPLINE, [url], {
  env: { ...process.env, ...settings },
  stdio: ['pipe', 'pipe', 'pipe'],
});

// The person: opens each address once, and goes where the browser is sent.
const opened = new Set();
async function open(address) {
  if (opened.has(address)) return;
  opened.add(address);
  let next = address;
  for (let hops = 0; next && hops < 10; hops += 1) {
    const answer = await fetch(next, { redirect: 'manual' });
    await answer.text();
    const location = answer.headers.get('location');
    next = location && new URL(location, next).href;
  }
}

createInterface({ input: line.stderr }).on('line', (text) => {
  console.error(text);
  const address = /: open (\S+) in a browser/.exec(text)?.[1];
  if (address) open(address).catch((why) => console.error(`the browser failed: ${why}`));
});

const waiting = new Map();
let changes = 0;
let onChange = () => {};
createInterface({ input: line.stdout }).on('line', (text) => {
  const message = JSON.parse(text);
  if (message.method?.endsWith('/list_changed')) {
    changes += 1;
    onChange();
  }
  waiting.get(message.id)?.(message);
  waiting.delete(message.id);
});

let nextId = 1;
const write = (message) => line.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
function ask(method, params = {}) {
  const id = nextId++;
  write({ id, method, params: isModern ? { ...params, _meta: meta } : params });
  return new Promise((done) => waiting.set(id, done));
}

// Asks again when the client is told that the person has signed in.
async function askSignedIn(method, params) {
  for (let tries = 0; ; tries += 1) {
    const seen = changes;
    const { result, error } = await ask(method, params);
    if (!error) return result;
    if (error.code !== SIGN_IN || tries === 3) throw new Error(`${method}: ${error.message}`);
    // A client that has not begun is told nothing.
    if (changes === seen) {
      await new Promise((done) => {
        onChange = done;
        setTimeout(done, isModern ? 500 : PATIENCE).unref();
      });
    }
  }
}

let failed = false;
try {
  if (isModern) {
    await askSignedIn('server/discover');
  } else {
    await askSignedIn('initialize', { protocolVersion: version, capabilities, clientInfo });
    write({ method: 'notifications/initialized' });
  }
  const { tools } = await askSignedIn('tools/list');
  for (const { name } of tools) await askSignedIn('tools/call', { name, arguments: {} });
} catch (why) {
  console.error(String(why));
  failed = true;
}
line.stdin.end();
line.on('exit', (code) => {
  rmSync(state, { recursive: true, force: true });
  process.exit(failed ? 1 : (code ?? 1));
});
