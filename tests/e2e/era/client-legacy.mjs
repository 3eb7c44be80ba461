// The official TypeScript SDK 1.x before mcpline. Arguments: the binary, the URL.
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import * as types from '@modelcontextprotocol/sdk/types.js';
import { heard, run } from './operations.mjs';

const [mcpline, url] = process.argv.slice(2);

await run(async () => {
  const client = new Client(
    { name: 'legacy-client', version: '1.0.0' },
    { capabilities: { elicitation: {}, sampling: {}, roots: { listChanged: true } } },
  );
  client.setRequestHandler(types.ElicitRequestSchema, async () => ({ action: 'accept', content: { name: 'anna' } }));
  client.setRequestHandler(types.CreateMessageRequestSchema, async () => ({ role: 'assistant', model: 'm', content: { type: 'text', text: 'hello' } }));
  client.setRequestHandler(types.ListRootsRequestSchema, async () => ({ roots: [{ uri: 'file:///work' }] }));
  const args = [...(process.env.MCPLINE_ARGS?.split(' ') ?? []), url];
  const transport = new StdioClientTransport({ command: mcpline, args, env: { ...process.env }, stderr: 'inherit' });
  await client.connect(transport);
  const text = (result) => result.content[0].text;
  return {
    tools: async () => (await client.listTools()).tools.map((tool) => tool.name),
    call: async (name, args, options) => text(await client.callTool({ name, arguments: args }, undefined, options)),
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
    noResource: -32002,
    async subscribe(uri) {
      const { put, next } = heard();
      client.setNotificationHandler(types.ResourceUpdatedNotificationSchema, async ({ params }) => put(params.uri));
      await client.subscribeResource({ uri });
      return { next, stop: () => client.unsubscribeResource({ uri }) };
    },
    async toolsChanged() {
      const { put, next } = heard();
      client.setNotificationHandler(types.ToolListChangedNotificationSchema, async () => put(true));
      await new Promise((done) => setTimeout(done, 500));
      return { next, stop: () => {} };
    },
    async logs(level, act) {
      const seen = [];
      client.setNotificationHandler(types.LoggingMessageNotificationSchema, async ({ params }) => { seen.push(params.data); });
      await client.setLoggingLevel(level);
      await act();
      await new Promise((done) => setTimeout(done, 500));
      return seen;
    },
    prompt: async (name, args) => (await client.getPrompt({ name, arguments: args })).messages[0].content.text,
    complete: async (name, argument, value) => (await client.complete({ ref: { type: 'ref/prompt', name }, argument: { name: argument, value } })).completion.values,
    close: () => client.close(),
  };
});
