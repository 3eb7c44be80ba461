// The person: follows an address through the pages of an authorization server, with a browser's
// cookies, and presses the buttons.

/** The forms of a page. */
function forms(page, base) {
  return [...page.matchAll(/<form([^>]*)>(.*?)<\/form>/gs)].map(([, head, body]) => {
    const attribute = (text, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(text)?.[1];
    const fields = [...body.matchAll(/<input([^>]*)>/g)]
      .map(([, input]) => [attribute(input, 'name'), attribute(input, 'value') ?? ''])
      .filter(([name]) => name);
    const action = attribute(head, 'action')?.replaceAll('&amp;', '&') ?? base;
    return { action: new URL(action, base).href, fields: Object.fromEntries(fields) };
  });
}

/** Signs in as `name` at `address`; `refuses` presses "Cancel" instead. Gives the last page. */
export async function signIn(address, { name = 'anna', refuses = false } = {}) {
  const cookies = new Map();
  let next = { url: address, init: {} };
  for (let steps = 0; steps < 30; steps += 1) {
    const { origin } = new URL(next.url);
    const jar = [...(cookies.get(origin) ?? [])].map(([key, value]) => `${key}=${value}`).join('; ');
    const headers = { ...next.init.headers, ...(jar && { cookie: jar }) };
    const answer = await fetch(next.url, { ...next.init, headers, redirect: 'manual' });
    for (const line of answer.headers.getSetCookie()) {
      const [, key, value] = /^([^=]+)=([^;]*)/.exec(line);
      if (!cookies.has(origin)) cookies.set(origin, new Map());
      cookies.get(origin).set(key, value);
    }
    const page = await answer.text();
    const location = answer.headers.get('location');
    if (location) {
      next = { url: new URL(location, next.url).href, init: {} };
      continue;
    }
    const cancel = /href="([^"]*\/abort)"/.exec(page)?.[1];
    if (refuses && cancel) {
      next = { url: new URL(cancel, next.url).href, init: {} };
      continue;
    }
    const form = forms(page, next.url).find(({ fields }) => fields.abort === undefined);
    if (!form) return { url: next.url, status: answer.status, page };
    if ('login' in form.fields) Object.assign(form.fields, { login: name, password: 'any' });
    next = {
      url: form.action,
      init: {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form.fields).toString(),
      },
    };
  }
  throw new Error(`the pages come to no end: ${next.url}`);
}
