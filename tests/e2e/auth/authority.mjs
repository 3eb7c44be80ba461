// A real authorization server (oidc-provider of npm), and an MCP server that takes its tokens. Both
// are on this machine.
import { createServer } from 'node:http';
import { once } from 'node:events';

import { Provider } from 'oidc-provider';

// The library's remarks on its own settings; stdout is for results.
console.info = console.error;

export const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

async function listen(handler) {
  const server = createServer(handler);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `http://127.0.0.1:${server.address().port}` };
}

/** The settings of the library: everything that a client may have to deal with. */
function configuration({ life, resource, registers, clients }) {
  const scopes = ['openid', 'offline_access', 'read', 'write'];
  return {
    clients,
    scopes,
    clientAuthMethods: ['none', 'client_secret_basic', 'client_secret_post', 'private_key_jwt'],
    clientDefaults: { id_token_signed_response_alg: 'RS256' },
    features: {
      devInteractions: { enabled: true },
      registration: { enabled: registers },
      revocation: { enabled: true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'read write',
          audience: resource(),
          accessTokenTTL: life(),
          accessTokenFormat: 'opaque',
        }),
        useGrantedResource: () => true,
      },
    },
    pkce: { required: () => true },
    rotateRefreshToken: true,
    ttl: { RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600, ClientCredentials: () => life() },
    cookies: { keys: ['a key of a test'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
  };
}

/** Starts both; `life` is how many seconds an access token lives. */
export async function start({ life = 3600, registers = true, clients = [] } = {}) {
  const state = {
    life,
    /** The scope that `tools/call` needs. */
    needed: 'read',
    /** Requests to each path of the authorization server. */
    counts: {},
    /** Waits before a token request is looked at; a client that is gone meanwhile has sent none. */
    tokenDelay: 0,
    url: undefined,
  };
  let provider;
  const authority = await listen(async (request, response) => {
    const path = new URL(request.url, 'http://h').pathname;
    state.counts[path] = (state.counts[path] ?? 0) + 1;
    if (path === '/token' && state.tokenDelay) {
      await new Promise((done) => setTimeout(done, state.tokenDelay));
      if (request.socket.destroyed) return;
    }
    provider.callback()(request, response);
  });
  provider = new Provider(
    authority.url,
    configuration({ life: () => state.life, resource: () => state.url, registers, clients }),
  );
  provider.on('server_error', (_, why) => console.error('the authorization server failed:', why));

  const resource = await listen((request, response) => serve(request, response, provider, state, authority.url));
  state.url = `${resource.url}/mcp`;
  return {
    state,
    url: state.url,
    issuer: authority.url,
    count: (path) => state.counts[path] ?? 0,
    /** Ends all that belongs to sign-ins so far, as an administrator would. */
    async revokeAll() {
      for (const grant of state.grants ?? []) await provider.Grant.adapter.revokeByGrantId(grant);
      for (const kind of ['AccessToken', 'RefreshToken']) {
        for (const grant of state.grants ?? []) await provider[kind].revokeByGrantId(grant);
      }
    },
    stop() {
      for (const { server } of [authority, resource]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** One request to the MCP server. */
async function serve(request, response, provider, state, issuer) {
  const path = new URL(request.url, state.url).pathname;
  const metadata = `${new URL(state.url).origin}/.well-known/oauth-protected-resource/mcp`;
  const json = (status, body, headers = {}) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
  if (path === '/.well-known/oauth-protected-resource/mcp') {
    return json(200, { resource: state.url, authorization_servers: [issuer], scopes_supported: ['read'] });
  }
  if (path !== '/mcp') return json(404, {});
  const value = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  const token =
    value && ((await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value)));
  if (!token || token.isExpired || ![token.aud].flat().includes(state.url)) {
    return json(401, {}, { 'www-authenticate': `Bearer resource_metadata="${metadata}"` });
  }
  state.grants = (state.grants ?? new Set()).add(token.grantId);
  if (request.method !== 'POST') return json(405, {});
  let body = '';
  for await (const chunk of request) body += chunk;
  const { id, method, params } = JSON.parse(body);
  if (id === undefined) return response.writeHead(202).end();
  if (method === 'tools/call' && !(token.scope ?? '').split(' ').includes(state.needed)) {
    const challenge = `Bearer error="insufficient_scope", scope="${state.needed}", resource_metadata="${metadata}"`;
    return json(403, {}, { 'www-authenticate': challenge });
  }
  const results = {
    initialize: {
      protocolVersion: params?.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'signed in', version: '1' },
    },
    'tools/list': { tools: [{ name: 'work', inputSchema: { type: 'object' } }] },
    'tools/call': { content: [{ type: 'text', text: token.accountId ?? token.clientId }] },
  };
  return json(200, { jsonrpc: '2.0', id, result: results[method] ?? {} });
}
