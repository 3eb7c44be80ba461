// A server of the stateless revision alone, with the official TypeScript SDK 2.x. Argument: the port.
import http from 'node:http';
import { createMcpHandler, McpServer, inputRequired, inputResponse, ResourceTemplate, completable } from '@modelcontextprotocol/server';
import { z } from 'zod';

const port = Number(process.argv[2]);
const text = (text) => ({ content: [{ type: 'text', text }] });
const state = { cancelled: 0, extra: false };
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

let handler;
function build() {
  const server = new McpServer(
    { name: 'modern', version: '1.0.0' },
    { capabilities: { logging: {}, resources: { subscribe: true, listChanged: true }, tools: { listChanged: true }, prompts: { listChanged: true } } },
  );
  const tool = (name, inputSchema, run) => server.registerTool(name, { inputSchema: z.object(inputSchema) }, run);
  tool('echo', { text: z.string() }, async ({ text: said }) => text(said));
  tool('slow', { ms: z.number() }, async ({ ms }, ctx) => {
    for (let waited = 0; waited < ms; waited += 50) {
      if (ctx.mcpReq.signal.aborted) break;
      await sleep(50);
    }
    if (ctx.mcpReq.signal.aborted) state.cancelled += 1;
    return text('slept');
  });
  tool('cancelled', {}, async () => text(String(state.cancelled)));
  tool('count', { to: z.number() }, async ({ to }, ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (let at = 1; at <= to; at += 1) {
      if (progressToken !== undefined) {
        await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: at, total: to } });
      }
      await sleep(10);
    }
    return text('counted');
  });
  tool('log', {}, async (_, ctx) => {
    await ctx.mcpReq.log('debug', 'low');
    await ctx.mcpReq.log('warning', 'high');
    return text('logged');
  });
  tool('elicit', {}, async (_, ctx) => {
    const answer = inputResponse(ctx.mcpReq.inputResponses, 'name');
    if (answer.kind !== 'elicit') {
      return inputRequired({
        inputRequests: {
          name: inputRequired.elicit({
            message: 'Your name?',
            requestedSchema: { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] },
          }),
        },
        requestState: 'state ☃ "quoted" / + =',
      });
    }
    if (String(ctx.mcpReq.requestState()) !== 'state ☃ "quoted" / + =') return text('state changed');
    return text(`hello ${answer.content?.name}`);
  });
  tool('sample', {}, async (_, ctx) => {
    const answer = ctx.mcpReq.inputResponses?.model;
    if (!answer) {
      return inputRequired({
        inputRequests: {
          model: inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: 'hi' } }], maxTokens: 5 }),
        },
      });
    }
    return text(`model says ${answer.content.text}`);
  });
  tool('roots', {}, async (_, ctx) => {
    const answer = ctx.mcpReq.inputResponses?.roots;
    if (!answer) return inputRequired({ inputRequests: { roots: inputRequired.listRoots() } });
    return text(answer.roots.map((root) => root.uri).join(' '));
  });
  tool('touch', {}, async () => {
    handler.notify.resourceUpdated('test://one');
    return text('touched');
  });
  tool('grow', {}, async () => {
    state.extra = true;
    handler.notify.toolsChanged();
    return text('grown');
  });
  if (state.extra) tool('extra', {}, async () => text('extra'));
  server.registerResource('one', 'test://one', { mimeType: 'text/plain' }, async (uri) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: 'first' }],
  }));
  server.registerResource('item', new ResourceTemplate('test://item/{id}', { list: undefined }), { mimeType: 'text/plain' }, async (uri, { id }) => ({
    contents: [{ uri: uri.href, mimeType: 'text/plain', text: `item ${id}` }],
  }));
  tool('big', { size: z.number() }, async ({ size }) => text('ж'.repeat(size)));
  server.registerTool('add', { inputSchema: z.object({ a: z.number(), b: z.number() }), outputSchema: z.object({ sum: z.number() }) }, async ({ a, b }) => ({
    ...text(String(a + b)), structuredContent: { sum: a + b },
  }));
  tool('fail', {}, async () => { throw new Error('out of paper'); });
  server.registerPrompt('greet', { argsSchema: z.object({ who: completable(z.string(), (typed) => ['anna', 'boris'].filter((name) => name.startsWith(typed))) }) }, async ({ who }) => ({
    messages: [{ role: 'user', content: { type: 'text', text: `greet ${who}` } }],
  }));
  return server;
}

handler = createMcpHandler(() => build(), { legacy: 'reject' });

http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const answer = await handler.fetch(new Request(`http://127.0.0.1:${port}${request.url}`, {
    method: request.method,
    headers: Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    body: ['GET', 'HEAD', 'DELETE'].includes(request.method) ? undefined : Buffer.concat(chunks),
    signal: gone.signal,
  }));
  if (process.env.TRACE) console.error(request.method, request.url, JSON.stringify(request.headers), Buffer.concat(chunks).toString(), '->', answer.status);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.flushHeaders();
  if (answer.body) {
    const reader = answer.body.getReader();
    gone.signal.addEventListener('abort', () => reader.cancel().catch(() => {}));
    for (;;) {
      const { done, value } = await reader.read().catch(() => ({ done: true }));
      if (done) break;
      response.write(value);
    }
  }
  response.end();
}).listen(port, '127.0.0.1', () => console.log('ready'));
