// A server with sessions, with the official TypeScript SDK 1.x. Argument: the port.
import http from 'node:http';
import { randomUUID } from 'node:crypto';
import { McpServer, ResourceTemplate } from '@modelcontextprotocol/sdk/server/mcp.js';
import { completable } from '@modelcontextprotocol/sdk/server/completable.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { SubscribeRequestSchema, UnsubscribeRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { z } from 'zod';

const port = Number(process.argv[2]);
const text = (text) => ({ content: [{ type: 'text', text }] });
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
let cancelled = 0;

function build() {
  const server = new McpServer(
    { name: 'legacy', version: '1.0.0' },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true }, tools: { listChanged: true }, prompts: { listChanged: true } } },
  );
  const subscribed = new Set();
  server.server.setRequestHandler(SubscribeRequestSchema, async ({ params }) => (subscribed.add(params.uri), {}));
  server.server.setRequestHandler(UnsubscribeRequestSchema, async ({ params }) => (subscribed.delete(params.uri), {}));
  const tool = (name, inputSchema, run) => server.registerTool(name, { inputSchema }, run);
  tool('echo', { text: z.string() }, async ({ text: said }) => text(said));
  tool('slow', { ms: z.number() }, async ({ ms }, extra) => {
    for (let waited = 0; waited < ms; waited += 50) {
      if (extra.signal.aborted) break;
      await sleep(50);
    }
    if (extra.signal.aborted) cancelled += 1;
    return text('slept');
  });
  tool('cancelled', {}, async () => text(String(cancelled)));
  tool('count', { to: z.number() }, async ({ to }, extra) => {
    const progressToken = extra._meta?.progressToken;
    for (let at = 1; at <= to; at += 1) {
      if (progressToken !== undefined) {
        await extra.sendNotification({ method: 'notifications/progress', params: { progressToken, progress: at, total: to } });
      }
      await sleep(10);
    }
    return text('counted');
  });
  tool('log', {}, async (_, extra) => {
    await server.server.sendLoggingMessage({ level: 'debug', data: 'low' }, extra.sessionId);
    await server.server.sendLoggingMessage({ level: 'warning', data: 'high' }, extra.sessionId);
    await sleep(100);
    return text('logged');
  });
  tool('elicit', {}, async () => {
    const answer = await server.server.elicitInput({
      message: 'Your name?',
      requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
    });
    return text(`hello ${answer.content?.name}`);
  });
  tool('sample', {}, async () => {
    const answer = await server.server.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 5 });
    return text(`model says ${answer.content.text}`);
  });
  tool('roots', {}, async () => text((await server.server.listRoots()).roots.map((root) => root.uri).join(' ')));
  tool('touch', {}, async () => {
    if (subscribed.has('test://one')) await server.server.sendResourceUpdated({ uri: 'test://one' });
    return text('touched');
  });
  let extra;
  tool('grow', {}, async () => {
    extra ??= server.registerTool('extra', { inputSchema: {} }, async () => text('extra'));
    return text('grown');
  });
  server.registerResource('one', 'test://one', { mimeType: 'text/plain' }, async (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'first' }],
  }));
  server.registerResource('item', new ResourceTemplate('test://item/{id}', { list: undefined }), { mimeType: 'text/plain' }, async (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: `item ${id}` }],
  }));
  tool('big', { size: z.number() }, async ({ size }) => text('ж'.repeat(size)));
  server.registerTool('add', { inputSchema: { a: z.number(), b: z.number() }, outputSchema: { sum: z.number() } }, async ({ a, b }) => ({
    ...text(String(a + b)), structuredContent: { sum: a + b },
  }));
  tool('fail', {}, async () => { throw new Error('out of paper'); });
  server.registerPrompt('greet', { argsSchema: { who: completable(z.string(), (typed) => ['anna', 'boris'].filter((name) => name.startsWith(typed))) } }, async ({ who }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `greet ${who}` } }],
  }));
  return server;
}

const transports = new Map();
http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (process.env.TRACE) console.error(request.method, request.url, request.headers['mcp-session-id'], Buffer.concat(chunks).toString());
  const id = request.headers['mcp-session-id'];
  let transport = transports.get(id);
  if (!transport) {
    const body = chunks.length ? JSON.parse(Buffer.concat(chunks)) : {};
    if (id || body.method !== 'initialize') {
      response.writeHead(id ? 404 : 400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ jsonrpc: '2.0', id: null, error: { code: -32000, message: id ? 'Session not found' : 'Bad Request: No valid session ID provided' } }));
      return;
    }
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      onsessioninitialized: (own) => transports.set(own, transport),
    });
    transport.onclose = () => transports.delete(transport.sessionId);
    await build().connect(transport);
  }
  await transport.handleRequest(request, response, chunks.length ? JSON.parse(Buffer.concat(chunks)) : undefined);
}).listen(port, '127.0.0.1', () => console.log('ready'));
