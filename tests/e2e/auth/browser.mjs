// The page on which the browser ends, in Chromium: what it shows, keeps and asks for.
//
//   browser.mjs [NAME…]       only the scenarios of these names (MCPLINE is the binary, CHROMIUM the
//                             browser)
import assert from 'node:assert/strict';

import { chromium } from 'playwright-core';

import { address, runAll, setUp, works } from './scenario.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

/** A person with a browser of this language and width, and what the browser has asked for and said. */
async function open(locale, width) {
  const context = await browser.newContext({ locale, viewport: { width, height: 800 } });
  const page = await context.newPage();
  const seen = { requests: [], complaints: [] };
  page.on('request', (request) => seen.requests.push(request.url()));
  const complain = (text) => seen.complaints.push({ url: page.url(), text });
  page.on('console', (message) => complain(message.text()));
  page.on('pageerror', (why) => complain(String(why)));
  return { page, seen, context };
}

/** Goes through the pages of the authorization server, and gives the port that the browser came back to. */
async function signIn(page, url, refuses = false) {
  await page.goto(url);
  if (refuses) {
    await page.click('a[href$="/abort"]');
  } else {
    await page.fill('input[name=login]', 'anna');
    await page.fill('input[name=password]', 'any');
    await page.click('button[type=submit]');
    await page.click('button[type=submit]');
  }
  await page.waitForURL(/\/done$/);
  return new URL(page.url()).origin;
}

/** What holds for every last page. */
async function check({ page, seen }, origin, width) {
  assert.equal(page.url(), `${origin}/done`);
  const own = seen.requests.slice(seen.requests.findIndex((url) => url.startsWith(origin)));
  assert.equal(own.length, 2, `the redirect and the page, and no more: ${own}`);
  assert.deepEqual(seen.complaints.filter(({ url }) => url.startsWith(origin)), []);
  const { scroll, scripts, history } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    scripts: document.scripts.length,
    history: performance.getEntriesByType('navigation').map((entry) => entry.name),
  }));
  assert.ok(scroll <= width, `it is ${scroll} pixels wide`);
  assert.equal(scripts, 0);
  assert.ok(history.every((entry) => !entry.includes('code=')), String(history));
}

const WORDS = {
  'en-US': { done: 'You are signed in', refused: 'You are not signed in' },
  'ru-RU': { done: 'Вход выполнен', refused: 'Войти не удалось' },
};

const SCENARIOS = {};
for (const [locale, words] of Object.entries(WORDS)) {
  for (const width of [360, 1280]) {
    SCENARIOS[`signed in, ${locale}, ${width} pixels`] = async () => {
      const it = await setUp();
      const line = await it.begin();
      const person = await open(locale, width);
      const origin = await signIn(person.page, await address(line));
      await check(person, origin, width);
      assert.equal(await person.page.textContent('h1'), words.done);
      assert.equal(await person.page.getAttribute('html', 'lang'), locale.slice(0, 2));
      await line.signedIn();
      // Loading it again spends nothing.
      const tokens = it.count('/token');
      await person.page.reload();
      assert.equal(await person.page.textContent('h1'), words.done);
      assert.equal(it.count('/token'), tokens);
      await works(line);
      await person.context.close();
      return it;
    };
    SCENARIOS[`refused, ${locale}, ${width} pixels`] = async () => {
      const it = await setUp();
      const person = await open(locale, width);
      const origin = await signIn(person.page, await address(await it.begin()), true);
      await check(person, origin, width);
      assert.equal(await person.page.textContent('h1'), words.refused);
      assert.match(await person.page.textContent('p'), /access_denied/);
      await person.context.close();
      return it;
    };
  }
}

Object.assign(SCENARIOS, {
  async 'what an authorization server says is shown as text'() {
    const it = await setUp();
    const url = new URL(await address(await it.begin()));
    const back = new URL(url.searchParams.get('redirect_uri'));
    back.searchParams.set('state', url.searchParams.get('state'));
    back.searchParams.set('iss', it.issuer);
    back.searchParams.set('error', 'server_error');
    back.searchParams.set('error_description', '<img src=x onerror=document.title=1><b>bold</b>');
    const person = await open('en-US', 1280);
    await person.page.goto(back.href);
    await check(person, back.origin, 1280);
    assert.equal(await person.page.locator('img, b').count(), 0);
    assert.match(await person.page.textContent('p'), /<b>bold<\/b>/);
    await person.context.close();
    return it;
  },

  async 'a connection that the browser opens ahead holds nothing up'() {
    const it = await setUp();
    const line = await it.begin();
    const url = await address(line);
    const { port } = new URL(new URL(url).searchParams.get('redirect_uri'));
    const { connect } = await import('node:net');
    const idle = Array.from({ length: 6 }, () => connect(port, '127.0.0.1').on('error', () => {}));
    const person = await open('en-US', 1280);
    await signIn(person.page, url);
    assert.equal(await person.page.textContent('h1'), WORDS['en-US'].done);
    for (const socket of idle) socket.destroy();
    await person.context.close();
    return it;
  },

  async 'a page elsewhere cannot end the sign-in'() {
    const it = await setUp();
    const line = await it.begin();
    const url = await address(line);
    const redirect = new URL(url).searchParams.get('redirect_uri');
    const person = await open('en-US', 1280);
    // A page of another origin, which knows the port and not the state.
    await person.page.goto(`${it.issuer}/.well-known/openid-configuration`);
    await person.page.evaluate(async (target) => {
      await fetch(target, { mode: 'no-cors' }).catch(() => {});
      await fetch(target, { mode: 'no-cors', method: 'POST', body: 'code=x' }).catch(() => {});
    }, `${redirect}?code=stolen&state=guessed`);
    await signIn(person.page, url);
    assert.equal(await person.page.textContent('h1'), WORDS['en-US'].done);
    await person.context.close();
    return it;
  },
});

await runAll(SCENARIOS);
