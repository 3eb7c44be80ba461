// The client that the official conformance suite tests: mcpline, with this program on its stdin and
// stdout. The suite adds the URL, and says in its variables which scenario and which revision it is.
// MCPLINE is the binary.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const url = process.argv.at(-1);
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const version = process.env.DRIVER_VERSION ?? process.env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? '2025-11-25';
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');
const isModern = (process.env.DRIVER_VERSION ?? version) >= '2026';
const capabilities = { roots: {}, sampling: {}, elicitation: {} };
const clientInfo = { name: 'conformance-driver', version: '1.0.0' };
const meta = {
  'io.modelcontextprotocol/protocolVersion': version,
  'io.modelcontextprotocol/clientInfo': clientInfo,
  'io.modelcontextprotocol/clientCapabilities': capabilities,
};

const line = spawn(process.env.MCPLINE, [url], { stdio: ['pipe', 'pipe', 'inherit'] });
const waiting = new Map();
let nextId = 1;
const write = (message) => line.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

// What a client of these scenarios answers: it accepts, and leaves what has a default to that.
function answer({ method, params }) {
  if (method === 'elicitation/create') {
    const content = {};
    for (const [name, property] of Object.entries(params.requestedSchema?.properties ?? {})) {
      if (property.default !== undefined) content[name] = property.default;
      else if (property.type === 'boolean') content[name] = true;
    }
    return { action: 'accept', content };
  }
  if (method === 'roots/list') return { roots: [] };
  return { role: 'assistant', model: 'none', content: { type: 'text', text: 'hello' } };
}

createInterface({ input: line.stdout }).on('line', (text) => {
  const message = JSON.parse(text);
  if (message.method !== undefined) {
    if (message.id !== undefined) write({ id: message.id, result: answer(message) });
  } else {
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  }
});

function ask(method, params = {}) {
  const id = nextId++;
  write({ id, method, params: isModern ? { ...params, _meta: meta } : params });
  return new Promise((done) => waiting.set(id, done));
}

const responsesTo = (requests) => Object.fromEntries(
  Object.entries(requests ?? {}).map(([key, request]) => [key, answer(request)]),
);

// Calls a tool, in as many rounds as it takes; `between` comes before the second.
async function call(name, args = {}, between = async () => {}) {
  let params = { name, arguments: args };
  for (;;) {
    const { result, error } = await ask('tools/call', params);
    if (error) throw new Error(`${name}: ${error.code} ${error.message}`);
    if (result.resultType !== 'input_required') return result;
    await between();
    params = { name, arguments: args, inputResponses: responsesTo(result.inputRequests) };
    if (result.requestState !== undefined) params.requestState = result.requestState;
  }
}

const scenarios = {
  async 'request-metadata'() {
    // The first version is refused; a client names one of those that the server offers.
    const { error } = await ask('server/discover');
    if (error?.code === -32022) await ask('server/discover');
    await ask('tools/list');
  },
  async 'http-standard-headers'() {
    const { result: { tools } } = await ask('tools/list');
    for (const { name } of tools) await call(name);
    const { result: { resources } } = await ask('resources/list');
    for (const { uri } of resources) await ask('resources/read', { uri });
    const { result: { prompts } } = await ask('prompts/list');
    for (const { name } of prompts) await ask('prompts/get', { name });
  },
  async 'http-custom-headers'() {
    await ask('tools/list');
    for (const { name, arguments: args } of context.toolCalls ?? []) await call(name, args);
  },
  async 'http-invalid-tool-headers'() {
    const { result: { tools } } = await ask('tools/list');
    for (const { name, inputSchema } of tools) {
      const names = Object.keys(inputSchema.properties ?? {});
      await call(name, Object.fromEntries(names.map((property) => [property, 'x']))).catch(() => {});
    }
  },
  async 'sep-2322-client-request-state'() {
    await ask('tools/list');
    await call('test_mrtr_echo_state', {}, () => call('test_mrtr_unrelated'));
    await call('test_mrtr_no_state');
    await call('test_mrtr_no_result_type');
  },
  'json-schema-ref-no-deref': () => ask('tools/list'),
  async 'json-schema-2020-12-preservation'() {
    const { result: { tools } } = await ask('tools/list');
    const { inputSchema } = tools.find(({ name }) => name === 'json_schema_2020_12_tool');
    await call('json_schema_echo', { schema: inputSchema });
  },
  async 'elicitation-sep1034-client-defaults'() {
    const { result: { tools } } = await ask('tools/list');
    for (const { name } of tools) await call(name);
  },
  async default() {
    const { result: { tools } } = await ask('tools/list');
    for (const { name } of tools) await call(name, { a: 5, b: 3 });
  },
};

if (!isModern) {
  await ask('initialize', { protocolVersion: version, capabilities, clientInfo });
  write({ method: 'notifications/initialized' });
}
await (scenarios[scenario] ?? scenarios.default)();
line.stdin.end();
line.on('exit', (code) => process.exit(code ?? 1));
