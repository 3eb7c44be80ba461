// The official TypeScript SDK 2.x, at revision 2026-07-28 alone, before mcpline. Arguments: the binary,
// the URL.
import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { heard, run } from './operations.mjs';

const [mcpline, url] = process.argv.slice(2);

await run(async () => {
  const client = new Client(
    { name: 'modern-client', version: '1.0.0' },
    {
      capabilities: { elicitation: {}, sampling: {}, roots: {} },
      versionNegotiation: { mode: process.env.MODE ?? { pin: '2026-07-28' } },
    },
  );
  client.setRequestHandler('elicitation/create', async () => ({ action: 'accept', content: { name: 'anna' } }));
  client.setRequestHandler('sampling/createMessage', async () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'hello' } }));
  client.setRequestHandler('roots/list', async () => ({ roots: [{ uri: 'file:///work' }] }));
  const args = [...(process.env.MCPLINE_ARGS?.split(' ') ?? []), url];
  const transport = new StdioClientTransport({ command: mcpline, args, env: { ...process.env }, stderr: 'inherit' });
  await client.connect(transport);
  const text = (result) => result.content[0].text;
  return {
    tools: async () => (await client.listTools(undefined, { cacheMode: 'bypass' })).tools.map((tool) => tool.name),
    call: async (name, args, options) => text(await client.callTool({ name, arguments: args }, options)),
    read: async (uri) => (await client.readResource({ uri })).contents[0].text,
    resources: async () => (await client.listResources()).resources.map((resource) => resource.uri),
    templates: async () => (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate),
    structured: async (name, args) => (await client.callTool({ name, arguments: args })).structuredContent,
    failedCall: async (name, args) => {
      try {
        const result = await client.callTool({ name, arguments: args });
        return result.isError ? text(result) : 'no error';
      } catch (error) {
        return error.message;
      }
    },
    failedRead: (uri) => client.readResource({ uri }).then(() => 'no error', (error) => error.code),
    noResource: -32602,
    async subscribe(uri) {
      const { put, next } = heard();
      client.setNotificationHandler('notifications/resources/updated', async ({ params }) => put(params.uri));
      const subscription = await client.listen({ resourceSubscriptions: [uri] });
      return { next, stop: () => subscription.close() };
    },
    async toolsChanged() {
      const { put, next } = heard();
      client.setNotificationHandler('notifications/tools/list_changed', async () => put(true));
      const subscription = await client.listen({ toolsListChanged: true });
      return { next, stop: () => subscription.close() };
    },
    async logs(level) {
      const seen = [];
      client.setNotificationHandler('notifications/message', async ({ params }) => { seen.push(params.data); });
      await client.callTool({ name: 'log', arguments: {}, _meta: { 'io.modelcontextprotocol/logLevel': level } });
      await new Promise((done) => setTimeout(done, 500));
      return seen;
    },
    prompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages[0].content.text,
    complete: async (name, argument, value) => (await client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion.values,
    close: () => client.close(),
  };
});
