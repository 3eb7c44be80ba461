// Signs in at a real authorization server, as people, programs and administrators do, and looks at what
// both sides have seen.
//
//   real.mjs [NAME…]          only the scenarios of these names (MCPLINE is the binary)
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import * as authority from './authority.mjs';
import { within } from './line.mjs';
import { signIn } from './person.mjs';
import { address, pause, runAll, setUp, signedIn, works } from './scenario.mjs';

const NATIVE = {
  client_id: 'mine',
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types: ['authorization_code', 'refresh_token', authority.DEVICE],
  response_types: ['code'],
  token_endpoint_auth_method: 'none',
};
const ROBOT = {
  client_id: 'robot',
  grant_types: ['client_credentials'],
  response_types: [],
  redirect_uris: [],
  scope: 'read write',
};

const SCENARIOS = {
  async 'a person signs in, with registration'() {
    const it = await setUp();
    const line = await signedIn(it);
    assert.equal(it.count('/reg'), 1);
    assert.equal(await line.end(), 0);
    // The next process asks nobody.
    const before = { ...it.state.counts };
    await works(await it.begin());
    assert.deepEqual(it.state.counts, before);
    return it;
  },

  async 'a person signs in with a client that was registered by hand'() {
    const it = await setUp({
      registers: false,
      clients: [NATIVE],
      settings: { MCPLINE_OAUTH_CLIENT_ID: 'mine' },
    });
    await signedIn(it);
    return it;
  },

  async 'without registration and client the person is told what to do'() {
    const it = await setUp({ registers: false });
    const line = it.run([it.url]);
    const { error } = await line.ask('initialize', {
      protocolVersion: '2025-11-25',
      capabilities: {},
      clientInfo: { name: 'e2e', version: '1' },
    });
    assert.match(error.message, /MCPLINE_OAUTH_CLIENT_ID/);
    return it;
  },

  async 'a person refuses'() {
    const it = await setUp();
    const line = await it.begin();
    const { page } = await signIn(await address(line), { refuses: true });
    assert.match(page, /You are not signed in/);
    const { error } = await line.call();
    assert.match(error.message, /access was refused/);
    return it;
  },

  async 'a token ends in the middle of 50 calls at once'() {
    const it = await setUp({ life: 4 });
    const line = await signedIn(it);
    const until = Date.now() + 9_000;
    let answered = 0;
    const calls = Array.from({ length: 50 }, async (_, number) => {
      while (Date.now() < until) {
        await works(line);
        answered += 1;
        await pause(20 + number);
      }
    });
    await Promise.all(calls);
    const refreshed = it.count('/token') - 1;
    assert.ok(answered > 500, `${answered} calls`);
    assert.ok(refreshed >= 2 && refreshed <= 8, `${refreshed} times renewed in nine seconds`);
    return it;
  },

  async 'five processes with one ended token renew it once'() {
    const it = await setUp({ life: 2 });
    assert.equal(await (await signedIn(it)).end(), 0);
    await pause(2_500);
    it.state.life = 3600;
    const before = it.count('/token');
    await Promise.all(Array.from({ length: 5 }, async () => works(await it.begin())));
    assert.equal(it.count('/token'), before + 1);
    return it;
  },

  async 'two processes share one sign-in'() {
    const it = await setUp();
    const lines = [await it.begin(), await it.begin()];
    const addresses = await Promise.all(lines.map((line) => address(line)));
    assert.equal(addresses[0], addresses[1]);
    await signIn(addresses[0]);
    for (const line of lines) {
      await line.signedIn();
      await works(line);
    }
    assert.equal(it.count('/reg'), 1);
    return it;
  },

  async 'a process that is killed while it waits for the person hands over'() {
    const it = await setUp();
    const host = await it.begin();
    const url = await address(host);
    const other = await it.begin();
    assert.equal(await address(other), url);
    await host.kill();
    // The other one takes over the port within a moment.
    const { port } = new URL(new URL(url).searchParams.get('redirect_uri'));
    const listens = async () => {
      for (;;) {
        const answer = await fetch(`http://127.0.0.1:${port}/callback`).catch(() => undefined);
        if (answer) return;
        await pause(50);
      }
    };
    await within('the port in the hands of the other process', listens());
    const { page } = await signIn(url);
    assert.match(page, /You are signed in/);
    await other.signedIn();
    await works(other);
    return it;
  },

  async 'a process that is killed while it renews leaves no lock behind'() {
    const it = await setUp({ life: 2 });
    assert.equal(await (await signedIn(it)).end(), 0);
    await pause(2_500);
    it.state.life = 3600;
    it.state.tokenDelay = 1_500;
    const before = it.count('/token');
    const killed = it.run([it.url]);
    void killed.begin().catch(() => {});
    while (it.count('/token') === before) await pause(20);
    await killed.kill();
    it.state.tokenDelay = 0;
    const began = Date.now();
    await works(await it.begin());
    assert.ok(Date.now() - began < 10_000, 'the lock was free');
    return it;
  },

  async 'logging out gives the tokens back'() {
    const it = await setUp();
    const line = await signedIn(it);
    assert.equal(await line.end(), 0);
    const out = it.run(['logout', it.url]);
    assert.equal(await out.ended(), 0, out.stderr);
    assert.match(out.stderr, /Signed out/);
    assert.equal(it.count('/token/revocation'), 2);
    await address(await it.begin());
    return it;
  },

  async 'a sign-in that the administrator ends asks the person again'() {
    const it = await setUp();
    const line = await signedIn(it);
    await it.revokeAll();
    await signIn(await address(line));
    await line.signedIn();
    await works(line);
    assert.equal(it.count('/reg'), 1);
    return it;
  },

  async 'a call that needs more asks for all scopes together'() {
    const it = await setUp();
    const line = await signedIn(it);
    it.state.needed = 'write';
    const url = await address(line);
    const scopes = new URL(url).searchParams.get('scope').split(' ');
    assert.ok(scopes.includes('read') && scopes.includes('write'), url);
    await signIn(url);
    await line.signedIn();
    await works(line);
    it.state.needed = 'read';
    await works(line);
    return it;
  },

  async 'a person signs in on another device'() {
    const it = await setUp({ settings: { MCPLINE_OAUTH_GRANT: 'device' } });
    const line = await it.begin();
    const url = await address(line);
    assert.match(url, /user_code=/);
    await signIn(url);
    await line.signedIn();
    await works(line);
    return it;
  },

  async 'a person signs in ahead, in a terminal'() {
    const it = await setUp();
    const login = it.run(['login', it.url]);
    const [, url] = await login.said(/\n {2}(http\S+)\n/);
    await signIn(url);
    assert.equal(await login.ended(), 0, login.stderr);
    await works(await it.begin());
    return it;
  },

  async 'a program signs in by its secret'() {
    const it = await setUp({
      clients: [{ ...ROBOT, client_secret: 'client-s3cret' }],
      settings: {
        MCPLINE_OAUTH_GRANT: 'client-credentials',
        MCPLINE_OAUTH_CLIENT_ID: 'robot',
        MCPLINE_OAUTH_CLIENT_SECRET: 'client-s3cret',
        MCPLINE_OAUTH_SCOPE: 'read',
      },
    });
    await works(await it.begin(), 'robot');
    return it;
  },

  async 'a program signs in by its key'() {
    for (const kind of [
      ['ec', { namedCurve: 'P-256' }],
      ['rsa', { modulusLength: 2048 }],
      ['ed25519', {}],
    ]) {
      const { publicKey, privateKey } = generateKeyPairSync(...kind);
      const keys = [publicKey.export({ format: 'jwk' })];
      const robot = { ...ROBOT, token_endpoint_auth_method: 'private_key_jwt', jwks: { keys } };
      const it = await setUp({
        clients: [robot],
        settings: {
          MCPLINE_OAUTH_GRANT: 'client-credentials',
          MCPLINE_OAUTH_CLIENT_ID: 'robot',
          MCPLINE_OAUTH_SCOPE: 'read',
        },
      });
      const file = join(it.folder, 'key.pem');
      writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
      await works(await it.begin({ MCPLINE_OAUTH_CLIENT_KEY_FILE: file }), 'robot');
      await it.end();
    }
    return undefined;
  },

  async '`check` tells the sign-in and signs nobody in'() {
    const it = await setUp();
    const check = it.run(['check', '--json', it.url]);
    assert.equal(await check.ended(), 1);
    const steps = Object.fromEntries(JSON.parse(check.stdout).steps.map((step) => [step.step, step]));
    assert.equal(steps['authorization-server'].facts.issuer, it.issuer);
    assert.equal(steps.client.outcome, 'ok');
    assert.equal(steps['sign-in'].outcome, 'failed');
    assert.equal(it.count('/reg') + it.count('/auth') + it.count('/token'), 0);
    return it;
  },
};

await runAll(SCENARIOS);
