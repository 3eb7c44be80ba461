// What each TypeScript client does, in terms of a small session that the two SDKs provide.
const within = (promise, ms, what) => Promise.race([
  promise,
  new Promise((_, fail) => setTimeout(() => fail(new Error(`${what}: nothing within ${ms} ms`)), ms)),
]);
const same = (seen, wanted) => {
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) {
    throw new Error(`${JSON.stringify(seen)} instead of ${JSON.stringify(wanted)}`);
  }
};
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const operations = {
  async 'list and call'(session) {
    const names = await session.tools();
    if (!names.includes('echo')) throw new Error(`tools: ${names}`);
    same(await session.call('echo', { text: 'ж 1.0' }), 'ж 1.0');
    same(await session.read('test://one'), 'first');
  },
  async progress(session) {
    const seen = [];
    same(await session.call('count', { to: 3 }, { onprogress: ({ progress }) => seen.push(progress) }), 'counted');
    same(seen, [1, 2, 3]);
  },
  async cancellation(session) {
    const before = Number(await session.call('cancelled', {}));
    const stop = new AbortController();
    const call = session.call('slow', { ms: 20000 }, { signal: stop.signal }).then(() => 'answered', () => 'cancelled');
    await sleep(500);
    stop.abort();
    same(await call, 'cancelled');
    for (let tries = 0; tries < 50; tries += 1) {
      if (Number(await session.call('cancelled', {})) === before + 1) return;
      await sleep(100);
    }
    throw new Error('the server has not noticed');
  },
  elicitation: async (session) => same(await session.call('elicit', {}), 'hello anna'),
  sampling: async (session) => same(await session.call('sample', {}), 'model says hello'),
  roots: async (session) => same(await session.call('roots', {}), 'file:///work'),
  async subscriptions(session) {
    const updated = await session.subscribe('test://one');
    await session.call('touch', {});
    same(await within(updated.next(), 8000, 'update'), 'test://one');
    await updated.stop();
  },
  async 'list-changed'(session) {
    const changed = await session.toolsChanged();
    await session.call('grow', {});
    await within(changed.next(), 8000, 'list_changed');
    const names = await session.tools();
    if (!names.includes('extra')) throw new Error(`tools: ${names}`);
    await changed.stop();
  },
  async logging(session) {
    const seen = await session.logs('warning', () => session.call('log', {}));
    same(seen, ['high']);
  },
  prompts: async (session) => same(await session.prompt('greet', { who: 'anna' }), 'greet anna'),
  completion: async (session) => same(await session.complete('greet', 'who', 'b'), ['boris']),
  async resources(session) {
    const listed = await session.resources();
    if (!listed.includes('test://one')) throw new Error(`resources: ${listed}`);
    same(await session.templates(), ['test://item/{id}']);
    same(await session.read('test://item/7'), 'item 7');
  },
  'structured output': async (session) => same(await session.structured('add', { a: 2, b: 3 }), { sum: 5 }),
  'big result': async (session) => same((await session.call('big', { size: 500_000 })).length, 500_000),
  async errors(session) {
    const failed = await session.failedCall('fail', {});
    if (!failed.includes('out of paper')) throw new Error(`the tool's own words are lost: ${failed}`);
    const unknown = await session.failedCall('nothing', {});
    if (!unknown.includes('nothing')) throw new Error(`an unknown tool: ${unknown}`);
    const code = await session.failedRead('test://nothing');
    // What the revision calls it; some servers have always had a code of their own.
    if (![0, -32603, session.noResource, -32602].includes(code)) throw new Error(`a resource that is not there: ${code}`);
  },
  async '50 calls at once'(session) {
    const calls = Array.from({ length: 50 }, (_, at) => session.call('echo', { text: `call ${at}` }));
    same(await Promise.all(calls), Array.from({ length: 50 }, (_, at) => `call ${at}`));
  },
};

export async function run(open) {
  const only = process.env.ONLY;
  for (const [operation, act] of Object.entries(operations)) {
    if (only && only !== operation) continue;
    let why = null;
    let session;
    try {
      session = await within(open(), 15000, 'connect');
      await within(act(session), 25000, operation);
    } catch (error) {
      why = String(error?.message ?? error).slice(0, 300);
    }
    await within(Promise.resolve(session?.close()), 5000, 'close').catch(() => {});
    console.log(JSON.stringify({ operation, why }));
  }
  process.exit(0);
}

// A queue of what has been heard.
export function heard() {
  const seen = [];
  const waiting = [];
  return {
    put: (value) => (waiting.length ? waiting.shift()(value) : seen.push(value)),
    next: () => (seen.length ? Promise.resolve(seen.shift()) : new Promise((done) => waiting.push(done))),
  };
}
