"""What a client of the official Python SDK does in each cell.

A scenario gets the cell (see sdk.py) and what expected/*.json holds under its name. THROUGH_ONLY
lists those that are about mcpline itself, rather than about what passes through it.
"""

from contextlib import asynccontextmanager
from functools import partial

import anyio
from mcp import McpError, types

from expect import Unexpected, expect_same, expect_that, matches, until, within
from session import Session
from template import fill

AT_ONCE = 50


def raw_result(session: Session, method: str) -> dict:
    """What a server sent as its answer to the last request of this kind, before any SDK read it."""
    request = session.trace.sent(method)[-1]
    return session.trace.responses_to(request["id"])[0]["result"]


def pick(whole: dict, like: dict) -> dict:
    return {key: whole.get(key) for key in like}


@asynccontextmanager
async def in_background(work, *arguments):
    """Runs `work` beside the block, and both to their end. A failure comes out as it is."""
    failure = None

    async def run() -> None:
        nonlocal failure
        try:
            await work(*arguments)
        except Exception as error:
            failure = error
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield
        except Exception as error:
            failure = error
            tasks.cancel_scope.cancel()
    if failure:
        raise failure


async def handshake(cell, expected):
    async with cell.session() as session:
        result = raw_result(session, "initialize")
        expect_same("the result of initialize", expected, result)
        async with cell.direct_session() as direct:
            expect_same("the result without mcpline", raw_result(direct, "initialize"), result)


async def lists(cell, expected):
    async def read(client):
        return {
            "tools": (await client.list_tools()).tools,
            "resources": (await client.list_resources()).resources,
            "resourceTemplates": (await client.list_resource_templates()).resourceTemplates,
            "prompts": (await client.list_prompts()).prompts,
        }

    async with cell.session() as session:
        for kind, items in (await read(session.client)).items():
            expect_same(f"names of {kind}", expected[kind], [item.name for item in items])
        async with cell.direct_session() as direct:
            await read(direct.client)
            for method in "tools/list resources/list resources/templates/list prompts/list".split():
                expect_same(
                    f"{method} compared to without mcpline",
                    raw_result(direct, method),
                    raw_result(session, method),
                )


async def values(cell, expected):
    async with cell.session() as session:
        for call in expected["calls"]:
            await session.call_and_compare(call, str(call["arguments"]))
        for request in expected["requests"]:
            expect_same(str(request), request["result"], await session.request(request))
        async with cell.direct_session() as direct:
            for request in expected["asWithoutMcpline"]:
                expect_same(
                    f"{request} compared to without mcpline",
                    await direct.outcome(request),
                    await session.outcome(request),
                )


async def progress(cell, expected):
    def expect_progress(session, token):
        trace = session.trace
        request = next(
            message
            for message in trace.sent("tools/call")
            if message["params"].get("_meta", {}).get("progressToken") == token
        )
        [response] = trace.responses_to(request["id"])
        before = [
            message["params"]
            for message in trace.received("notifications/progress")
            if trace.place(message) < trace.place(response)
        ]
        expect_same(
            f"progress with the token {token!r} before the result",
            [step | {"progressToken": token} for step in expected["progress"]],
            [step for step in before if step["progressToken"] == token],
        )

    heard = []

    async def hear(*step):
        heard.append(step)

    async with cell.session() as session:
        # Two calls at once, one with the SDK's own token and one with another: their
        # notifications must not get mixed up.
        token = "ход-α/1"
        with_token = partial(session.call_and_compare, meta={"progressToken": token})
        async with in_background(with_token, expected):
            await session.call_and_compare(expected, on_progress=hear)
        own_token = next(
            message["params"]["_meta"]["progressToken"]
            for message in session.trace.sent("tools/call")
            if message["params"]["_meta"]["progressToken"] != token
        )
        expect_progress(session, own_token)
        expect_progress(session, token)
        expect_same("what the SDK heard", len(expected["progress"]), len(heard))


async def sampling(cell, expected):
    async with cell.session() as session:
        session.model_answer = expected["answer"]
        await session.call_and_compare(expected)
        [request] = session.trace.received("sampling/createMessage")
        asked = pick(request["params"], expected["asked"])
        expect_same("what the model was asked", expected["asked"], asked)


async def elicitation(cell, cases):
    async with cell.session() as session:
        for case in cases:
            session.user_answer = case["answer"]
            what = f"{case['tool']} and the answer {case['answer']['action']}"
            await session.call_and_compare(case, what)
            request = session.trace.received("elicitation/create")[-1]
            asked = pick(request["params"], case["asked"])
            expect_same("what the user was asked", case["asked"], asked)


async def roots(cell, expected):
    async def check(session, step):
        # A server that keeps the roots says in its log when it has them.
        if settled := step.get("settled"):
            await session.received(
                "notifications/message",
                lambda params: params["data"] == settled,
                f'the log message "{settled}" arrives',
            )
        call = expected | {"result": step["result"]}
        await session.call_and_compare(call, f"the {len(step['roots'])} roots")

    first, *later = expected["steps"]
    async with cell.session(roots=first["roots"]) as session:
        await check(session, first)
        for step in later:
            session.roots = step["roots"]
            await session.client.send_roots_list_changed()
            await check(session, step)


async def provoke_update(session, expected):
    """Has the server say that a resource changed, and waits until the client hears it. What a
    server says before the client's stream of notifications stands is lost, so it is made to say
    it again, unless it does so of its own accord."""

    async def trigger():
        for call in expected["triggers"]:
            await session.call(call)

    async def heard():
        if expected["repeat"]:
            await trigger()
        updates = session.trace.received("notifications/resources/updated")
        return any(matches(expected["update"], update["params"]) for update in updates)

    if not expected["repeat"]:
        await trigger()
    await until(heard, f"resources/updated {expected['update']} arrives", every=0.1)


async def subscription(cell, expected):
    async with cell.session() as session:
        # The resource that is unsubscribed from comes first, so that an update for it, if there
        # wrongly was one, would have come before the one that is waited for.
        await session.client.subscribe_resource(expected["unsubscribed"])
        await session.client.subscribe_resource(expected["uri"])
        await session.client.unsubscribe_resource(expected["unsubscribed"])
        await provoke_update(session, expected)
        updates = session.trace.received("notifications/resources/updated")
        uris = {update["params"]["uri"] for update in updates}
        expect_same("resources that were updated", [expected["uri"]], sorted(uris))


async def logging(cell, expected):
    quiet, loud = expected["quiet"], expected["loud"]
    async with cell.session() as session:

        def heard(message):
            return any(
                matches(message["data"], seen["params"]["data"])
                for seen in session.trace.received("notifications/message")
            )

        async def provoked():
            await session.request(loud["request"])
            return heard(loud)

        await session.client.set_logging_level(quiet["level"])
        await session.request(quiet["request"])
        await session.client.set_logging_level(loud["level"])
        await until(provoked, f"the log message {loud['data']} arrives", every=0.2)
        expect_that(not heard(quiet), f"a message below {quiet['level']} was delivered")


async def cancellation(cell, expected):
    async with cell.session() as session:
        trace = session.trace
        running = anyio.Event()

        async def on_progress(*_):
            running.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(session.call, expected, on_progress=on_progress))
            with within("the call runs"):
                await running.wait()
            tasks.cancel_scope.cancel()
        # This SDK leaves it to its user to tell the server.
        call_id = trace.sent("tools/call")[0]["id"]
        params = types.CancelledNotificationParams(requestId=call_id, reason="changed my mind")
        await session.client.send_notification(
            types.ClientNotification(types.CancelledNotification(params=params))
        )
        if told := expected.get("told"):

            async def knows():
                return matches(told["result"], await session.call(told))

            await until(knows, "the server learns of the cancellation")
        await session.call_and_compare(expected["next"], "the next call")
        # Some servers answer a cancelled request all the same; mcpline does not pass that on.
        if session.mcpline:
            expect_same("answers to the cancelled call", [], trace.responses_to(call_id))


async def at_once(cell, expected):
    async with cell.session() as session:

        async def call_all():
            async with anyio.create_task_group() as tasks:
                for n in range(AT_ONCE):
                    call = fill(expected, {"n": str(n)})
                    tasks.start_soon(session.call_and_compare, call, f"call {n}")

        try:
            await call_all()
        except* Unexpected as failures:
            raise failures.exceptions[0] from None
        for request in session.trace.sent("tools/call"):
            answers = session.trace.responses_to(request["id"])
            expect_same(f"number of answers to {request['id']}", 1, len(answers))


async def overtaking(cell, expected):
    slow, fast = expected["slow"], expected["fast"]
    async with cell.session() as session:
        running = anyio.Event()

        async def on_progress(*_):
            running.set()

        slow_call = partial(session.call_and_compare, slow, "the slow call")
        async with in_background(partial(slow_call, on_progress=on_progress)):
            with within("the slow call runs"):
                await running.wait()
            await session.call_and_compare(fast, "the fast call")
            if release := expected.get("release"):
                await session.call_and_compare(release)
        trace = session.trace
        place = {
            request["params"]["name"]: trace.place(trace.responses_to(request["id"])[0])
            for request in trace.sent("tools/call")
        }
        expect_that(
            place[fast["tool"]] < place[slow["tool"]],
            "the fast call was not answered before the slow one",
        )


async def resumption(cell, expected):
    async with cell.session() as session:
        await session.call_and_compare(expected, "a call whose stream the server dropped")


async def restart(cell, expected):
    async with cell.session() as session:
        await session.call_and_compare(expected["before"], "the call before the restart")
        cell.upstream.kill()
        await cell.upstream.start()
        for call in expected["after"]:
            await session.call_and_compare(call, f"{call['tool']} after the restart")


async def call_while_down(cell, expected):
    during, *after = expected["after"]
    async with cell.session() as session:
        await session.call_and_compare(expected["before"], "the call before the server went down")
        cell.upstream.kill()
        while_down = "the call while the server was down"
        async with in_background(session.call_and_compare, during, while_down):
            await cell.upstream.start()
        for call in after:
            await session.call_and_compare(call, f"{call['tool']} after it was back")


async def settings_survive(cell, expected):
    async with cell.session() as session:
        await session.client.set_logging_level(expected["level"])
        await session.client.subscribe_resource(expected["subscribed"])
        cell.upstream.kill()
        await cell.upstream.start()
        await session.call_and_compare(expected["quiet"])
        await provoke_update(session, expected)
        expect_same("log messages", [], session.trace.received("notifications/message"))


async def cut_off(cell, expected):
    async with cell.session() as session:

        async def kill_during(call) -> dict:
            running = anyio.Event()
            outcome = {}

            async def on_progress(*_):
                running.set()

            async def work():
                try:
                    outcome["result"] = await session.call(call, on_progress=on_progress)
                except McpError as error:
                    outcome["error"] = error.error.message

            async with in_background(work):
                with within(f"{call['tool']} runs"):
                    await running.wait()
                cell.upstream.kill()
                await cell.upstream.start()
            return outcome

        # What may be repeated is known from the list of tools.
        await session.client.list_tools()
        unsafe, safe = expected["unsafe"], expected["safe"]
        outcome = await kill_during(unsafe)
        expect_that("error" in outcome, f"{unsafe['tool']} was answered with {outcome}")
        await session.call_and_compare(
            expected["unsafeRuns"], "runs of the call that must not be repeated"
        )
        expect_same(
            "the call that may be repeated", {"result": safe["result"]}, await kill_during(safe)
        )
        await session.call_and_compare(
            expected["safeRuns"], "runs of the call that may be repeated"
        )


async def late_server(cell, expected):
    async def served():
        async with cell.session() as session:
            await session.call_and_compare(expected)

    cell.upstream.kill()
    async with in_background(served):
        await cell.upstream.start()


async def ending(cell, expected):
    upstream = cell.upstream
    opened, ended = upstream.sessions_opened, upstream.sessions_ended
    async with cell.session() as session:
        await session.call_and_compare(expected)

    async def noticed():
        return upstream.sessions_ended > ended

    said = upstream.spec["sessionEnded"]
    await until(noticed, f'the server\'s log says once more "{said}"', patience=2)
    # Once the server has opened another session, it has also dealt with all that came before.
    async with cell.direct_session():
        pass
    expect_same("sessions opened by mcpline", 1, upstream.sessions_opened - opened - 1)


async def ending_alone(cell, expected):
    async with cell.session() as session:
        await session.call_and_compare(expected)
        cell.upstream.kill()


SCENARIOS = {
    "handshake": handshake,
    "lists": lists,
    "values": values,
    "progress": progress,
    "sampling": sampling,
    "elicitation": elicitation,
    "roots": roots,
    "subscription": subscription,
    "logging": logging,
    "cancellation": cancellation,
    "at once": at_once,
    "overtaking": overtaking,
    "resumption": resumption,
    "restart": restart,
    "call while down": call_while_down,
    "settings survive": settings_survive,
    "cut off": cut_off,
    "late server": late_server,
    "ending": ending,
    "ending alone": ending_alone,
}
THROUGH_ONLY = {
    "restart",
    "call while down",
    "settings survive",
    "cut off",
    "late server",
    "ending",
    "ending alone",
}
