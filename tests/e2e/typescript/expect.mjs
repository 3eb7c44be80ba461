// What is compared with what, and how long anything may take.

import { isDeepStrictEqual, inspect } from "node:util";

const PATIENCE = 20_000;

export class Unexpected extends Error {}

/**
 * Whether `seen` is as `expected`, which may hold `{"$any": true}` for a value that does not
 * matter and `{"$startsWith": "…"}` for a text of which only the beginning does.
 */
export function matches(expected, seen) {
  if (Array.isArray(expected)) {
    return (
      Array.isArray(seen) &&
      expected.length === seen.length &&
      expected.every((item, index) => matches(item, seen[index]))
    );
  }
  if (expected === null || typeof expected !== "object") return isDeepStrictEqual(expected, seen);
  if ("$any" in expected) return seen !== undefined;
  if ("$startsWith" in expected) {
    return typeof seen === "string" && seen.startsWith(expected.$startsWith);
  }
  return (
    seen !== null &&
    typeof seen === "object" &&
    isDeepStrictEqual(Object.keys(expected).sort(), Object.keys(seen).sort()) &&
    Object.keys(expected).every((key) => matches(expected[key], seen[key]))
  );
}

export function expectSame(what, expected, seen) {
  if (matches(expected, seen)) return;
  const show = (value) => inspect(value, { depth: null, breakLength: 100 });
  throw new Unexpected(`${what}\nexpected: ${show(expected)}\nseen: ${show(seen)}`);
}

export function expectThat(truth, what) {
  if (!truth) throw new Unexpected(what);
}

export async function within(promise, what, patience = PATIENCE) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(
      () => reject(new Unexpected(`not within ${patience} ms: ${what}`)),
      patience,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again until the answer is truthy, and returns it. */
export async function until(ask, what, { patience = PATIENCE, every = 20 } = {}) {
  const end = performance.now() + patience;
  for (;;) {
    const answer = await within(ask(), what, patience);
    if (answer) return answer;
    if (performance.now() > end) throw new Unexpected(`not within ${patience} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** A promise together with what resolves it. */
export function deferred() {
  let resolve;
  const promise = new Promise((settle) => (resolve = settle));
  return { promise, resolve };
}
