// What a client of the official TypeScript SDK does in each cell.
//
// A scenario gets the cell (see main.mjs) and what expected/*.json holds under its name. One that
// is about mcpline itself, rather than about what passes through it, says `throughOnly`.

import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";

import { deferred, expectSame, expectThat, matches, until, within } from "./expect.mjs";
import { fill } from "./template.mjs";

const AT_ONCE = 50;

/** What a server sent as its answer to the last request of this kind, before any SDK read it. */
function rawResult(session, method) {
  const request = session.trace.sent(method).at(-1);
  return session.trace.responsesTo(request.id)[0].result;
}

function pick(object, like) {
  return Object.fromEntries(Object.keys(like).map((key) => [key, object[key]]));
}

async function handshake(cell, expected) {
  await cell.session(async (session) => {
    const result = rawResult(session, "initialize");
    expectSame("the result of initialize", expected, result);
    expectSame("server info", expected.serverInfo, session.client.getServerVersion());
    await cell.directSession(async (direct) => {
      expectSame("the result without mcpline", rawResult(direct, "initialize"), result);
    });
  });
}

async function lists(cell, expected) {
  const read = async ({ client }) => ({
    tools: (await client.listTools()).tools,
    resources: (await client.listResources()).resources,
    resourceTemplates: (await client.listResourceTemplates()).resourceTemplates,
    prompts: (await client.listPrompts()).prompts,
  });
  const methods = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];
  await cell.session(async (session) => {
    for (const [kind, items] of Object.entries(await read(session))) {
      expectSame(
        `names of ${kind}`,
        expected[kind],
        items.map(({ name }) => name),
      );
    }
    await cell.directSession(async (direct) => {
      await read(direct);
      for (const method of methods) {
        expectSame(
          `${method} compared to without mcpline`,
          rawResult(direct, method),
          rawResult(session, method),
        );
      }
    });
  });
}

async function values(cell, expected) {
  await cell.session(async (session) => {
    for (const call of expected.calls) {
      await session.callAndCompare(call, JSON.stringify(call.arguments));
    }
    for (const request of expected.requests) {
      expectSame(JSON.stringify(request), request.result, await session.request(request));
    }
    await cell.directSession(async (direct) => {
      for (const request of expected.asWithoutMcpline) {
        expectSame(
          `${JSON.stringify(request)} compared to without mcpline`,
          await direct.outcome(request),
          await session.outcome(request),
        );
      }
    });
  });
}

async function progress(cell, expected) {
  const expectProgress = (session, token) => {
    const request = session.trace
      .sent("tools/call")
      .find(({ params }) => params._meta?.progressToken === token);
    const [response] = session.trace.responsesTo(request.id);
    const before = session.trace
      .received("notifications/progress")
      .filter((message) => session.trace.place(message) < session.trace.place(response));
    expectSame(
      `progress with the token ${JSON.stringify(token)} before the result`,
      expected.progress.map((step) => ({ ...step, progressToken: token })),
      before.map(({ params }) => params).filter(({ progressToken }) => progressToken === token),
    );
  };
  await cell.session(async (session) => {
    // Two calls at once, one with the SDK's own token and one with another: their notifications
    // must not get mixed up. The SDK's callback is no witness of what arrived: it is not told of
    // a notification that is read together with the result.
    const token = "ход-α/1";
    const results = await Promise.all([
      session.call(expected, { onprogress: () => {} }),
      session.call(expected, { meta: { progressToken: token } }),
    ]);
    for (const result of results) expectSame("the result", expected.result, result);
    const [own] = session.trace.sent("tools/call");
    expectProgress(session, own.params._meta.progressToken);
    expectProgress(session, token);
  });
}

async function sampling(cell, expected) {
  await cell.session(async (session) => {
    session.client.setRequestHandler(CreateMessageRequestSchema, () => expected.answer);
    await session.callAndCompare(expected);
    const [{ params }] = session.trace.received("sampling/createMessage");
    expectSame("what the model was asked", expected.asked, pick(params, expected.asked));
  });
}

async function elicitation(cell, cases) {
  await cell.session(async (session) => {
    for (const { answer, asked, ...call } of cases) {
      session.client.setRequestHandler(ElicitRequestSchema, () => answer);
      await session.callAndCompare(call, `${call.tool} and the answer ${answer.action}`);
      const { params } = session.trace.received("elicitation/create").at(-1);
      expectSame("what the user was asked", asked, pick(params, asked));
    }
  });
}

async function roots(cell, expected) {
  const [first, ...later] = expected.steps;
  const check = async (session, { roots, settled, result }) => {
    // A server that keeps the roots says in its log when it has them.
    if (settled) {
      await session.received("notifications/message", ({ data }) => data === settled, {
        what: `the log message "${settled}" arrives`,
      });
    }
    await session.callAndCompare({ ...expected, result }, `the ${roots.length} roots`);
  };
  await cell.session(
    async (session) => {
      await check(session, first);
      for (const step of later) {
        session.roots = step.roots;
        await session.client.sendRootsListChanged();
        await check(session, step);
      }
    },
    { roots: first.roots },
  );
}

/**
 * Has the server say that a resource changed, and waits until the client hears it. What a server
 * says before the client's stream of notifications stands is lost, so it is made to say it again,
 * unless it does so of its own accord.
 */
async function provokeUpdate(session, { triggers, repeat, update }) {
  const heard = () =>
    session.trace
      .received("notifications/resources/updated")
      .some(({ params }) => matches(update, params));
  const trigger = async () => {
    for (const call of triggers) await session.call(call);
  };
  if (!repeat) await trigger();
  await until(
    async () => {
      if (repeat) await trigger();
      return heard();
    },
    `resources/updated ${JSON.stringify(update)} arrives`,
    { every: 100 },
  );
}

async function subscription(cell, expected) {
  await cell.session(async (session) => {
    const { client, trace } = session;
    // The resource that is unsubscribed from comes first, so that an update for it, if there
    // wrongly was one, would have come before the one that is waited for.
    await client.subscribeResource({ uri: expected.unsubscribed });
    await client.subscribeResource({ uri: expected.uri });
    await client.unsubscribeResource({ uri: expected.unsubscribed });
    await provokeUpdate(session, expected);
    const updates = trace.received("notifications/resources/updated");
    const uris = new Set(updates.map(({ params }) => params.uri));
    expectSame("resources that were updated", [expected.uri], [...uris]);
  });
}

async function logging(cell, expected) {
  await cell.session(async (session) => {
    const { client, trace } = session;
    const heard = ({ data }) =>
      trace.received("notifications/message").some(({ params }) => matches(data, params.data));
    await client.setLoggingLevel(expected.quiet.level);
    await session.request(expected.quiet.request);
    await client.setLoggingLevel(expected.loud.level);
    await until(
      async () => {
        await session.request(expected.loud.request);
        return heard(expected.loud);
      },
      `the log message ${JSON.stringify(expected.loud.data)} arrives`,
      { every: 200 },
    );
    expectThat(!heard(expected.quiet), `a message below ${expected.quiet.level} was delivered`);
  });
}

async function cancellation(cell, expected) {
  await cell.session(async (session) => {
    const { trace } = session;
    const abort = new AbortController();
    const call = session.call(expected, { signal: abort.signal, onprogress: () => abort.abort() });
    const outcome = await within(
      call.then(
        () => "a result",
        () => "rejected",
      ),
      "the cancelled call ends",
    );
    expectSame("the cancelled call", "rejected", outcome);
    const [{ id }] = trace.sent("tools/call");
    const cancelled = trace.sent("notifications/cancelled").map(({ params }) => params.requestId);
    expectSame("what the client cancelled", [id], cancelled);
    if (expected.told) {
      const told = async () => matches(expected.told.result, await session.call(expected.told));
      await until(told, "the server learns of the cancellation");
    }
    await session.callAndCompare(expected.next, "the next call");
    // Some servers answer a cancelled request all the same; mcpline does not pass that on.
    if (session.mcpline) expectSame("answers to the cancelled call", [], trace.responsesTo(id));
  });
}

async function atOnce(cell, expected) {
  await cell.session(async (session) => {
    const numbers = Array.from({ length: AT_ONCE }, (_, n) => n);
    const calls = numbers.map((n) => fill(expected, { n: String(n) }));
    await Promise.all(calls.map((call, n) => session.callAndCompare(call, `call ${n}`)));
    for (const { id } of session.trace.sent("tools/call")) {
      expectSame(`number of answers to ${id}`, 1, session.trace.responsesTo(id).length);
    }
  });
}

async function overtaking(cell, { slow, fast, release }) {
  await cell.session(async (session) => {
    const { promise: runs, resolve: onprogress } = deferred();
    const slowCall = session.callAndCompare(slow, "the slow call", { onprogress });
    await within(Promise.race([runs, slowCall]), "the slow call runs");
    const rest = async () => {
      await session.callAndCompare(fast, "the fast call");
      if (release) await session.callAndCompare(release);
    };
    await Promise.all([slowCall, rest()]);
    const { trace } = session;
    const [slowPlace, fastPlace] = trace
      .sent("tools/call")
      .map(({ id }) => trace.place(trace.responsesTo(id)[0]));
    expectThat(fastPlace < slowPlace, "the fast call was not answered before the slow one");
  });
}

async function resumption(cell, expected) {
  await cell.session(async (session) => {
    await session.callAndCompare(expected, "a call whose stream the server dropped");
  });
}

async function restart(cell, { before, after }) {
  await cell.session(async (session) => {
    await session.callAndCompare(before, "the call before the restart");
    await cell.upstream.kill();
    await cell.upstream.start();
    for (const call of after) await session.callAndCompare(call, `${call.tool} after the restart`);
  });
}

async function callWhileDown(cell, { before, after: [during, ...after] }) {
  await cell.session(async (session) => {
    await session.callAndCompare(before, "the call before the server went down");
    await cell.upstream.kill();
    await Promise.all([
      session.callAndCompare(during, "the call while the server was down"),
      cell.upstream.start(),
    ]);
    for (const call of after) await session.callAndCompare(call, `${call.tool} after it was back`);
  });
}

async function settingsSurvive(cell, expected) {
  await cell.session(async (session) => {
    await session.client.setLoggingLevel(expected.level);
    await session.client.subscribeResource({ uri: expected.subscribed });
    await cell.upstream.kill();
    await cell.upstream.start();
    await session.callAndCompare(expected.quiet);
    await provokeUpdate(session, expected);
    expectSame("log messages", [], session.trace.received("notifications/message"));
  });
}

async function cutOff(cell, { unsafe, unsafeRuns, safe, safeRuns }) {
  await cell.session(async (session) => {
    // What may be repeated is known from the list of tools.
    await session.client.listTools();
    const killDuring = async (call) => {
      const { promise: running, resolve } = deferred();
      const outcome = session.call(call, { onprogress: resolve }).then(
        (result) => ({ result }),
        (error) => ({ error: error.message }),
      );
      await within(running, `${call.tool} runs`);
      await cell.upstream.kill();
      await cell.upstream.start();
      return within(outcome, `${call.tool} is answered`, 60_000);
    };
    const outcome = await killDuring(unsafe);
    expectThat("error" in outcome, `${unsafe.tool} was answered with ${JSON.stringify(outcome)}`);
    await session.callAndCompare(unsafeRuns, "runs of the call that must not be repeated");
    expectSame("the call that may be repeated", { result: safe.result }, await killDuring(safe));
    await session.callAndCompare(safeRuns, "runs of the call that may be repeated");
  });
}

async function lateServer(cell, expected) {
  await cell.upstream.kill();
  await Promise.all([
    cell.session((session) => session.callAndCompare(expected)),
    cell.upstream.start(),
  ]);
}

async function ending(cell, expected) {
  const { upstream } = cell;
  const [opened, ended] = [upstream.sessionsOpened, upstream.sessionsEnded];
  await cell.session((session) => session.callAndCompare(expected));
  await until(
    async () => upstream.sessionsEnded > ended,
    `the server's log says once more "${upstream.spec.sessionEnded}"`,
    { patience: 2_000 },
  );
  // Once the server has opened another session, it has also dealt with all that came before.
  await cell.directSession(async () => {});
  expectSame("sessions opened by mcpline", 1, upstream.sessionsOpened - opened - 1);
}

async function endingAlone(cell, expected) {
  await cell.session(async (session) => {
    await session.callAndCompare(expected);
    await cell.upstream.kill();
  });
}

export const SCENARIOS = [
  { name: "handshake", run: handshake },
  { name: "lists", run: lists },
  { name: "values", run: values },
  { name: "progress", run: progress },
  { name: "sampling", run: sampling },
  { name: "elicitation", run: elicitation },
  { name: "roots", run: roots },
  { name: "subscription", run: subscription },
  { name: "logging", run: logging },
  { name: "cancellation", run: cancellation },
  { name: "at once", run: atOnce },
  { name: "overtaking", run: overtaking },
  { name: "resumption", run: resumption },
  { name: "restart", run: restart, throughOnly: true },
  { name: "call while down", run: callWhileDown, throughOnly: true },
  { name: "settings survive", run: settingsSurvive, throughOnly: true },
  { name: "cut off", run: cutOff, throughOnly: true },
  { name: "late server", run: lateServer, throughOnly: true },
  { name: "ending", run: ending, throughOnly: true },
  { name: "ending alone", run: endingAlone, throughOnly: true },
];
