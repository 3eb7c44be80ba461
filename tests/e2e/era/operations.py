"""What each Python client does, in terms of a small session that the two SDKs provide."""

import json
import os

import anyio


def same(seen, wanted):
    if seen != wanted:
        raise AssertionError(f"{seen!r} instead of {wanted!r}")


async def list_and_call(session):
    names = await session.tools()
    if "echo" not in names:
        raise AssertionError(f"tools: {names}")
    same(await session.call("echo", {"text": "ж 1.0"}), "ж 1.0")
    same(await session.read("test://one"), "first")


async def progress(session):
    seen = []

    async def note(progress, total, message):
        seen.append(progress)

    same(await session.call("count", {"to": 3}, progress=note), "counted")
    await anyio.sleep(0.3)
    same(seen, [1, 2, 3])


async def cancellation(session):
    before = int(await session.call("cancelled", {}))
    await session.cancelled_call("slow", {"ms": 20000}, after=0.5)
    for _ in range(50):
        if int(await session.call("cancelled", {})) == before + 1:
            return
        await anyio.sleep(0.1)
    raise AssertionError("the server has not noticed")


async def elicitation(session):
    same(await session.call("elicit", {}), "hello anna")


async def sampling(session):
    same(await session.call("sample", {}), "model says hello")


async def roots(session):
    same((await session.call("roots", {})).rstrip("/"), "file:///work")


async def subscriptions(session):
    async with session.subscribed("test://one") as updates:
        await session.call("touch", {})
        with anyio.fail_after(8):
            same(await updates(), "test://one")


async def list_changed(session):
    async with session.tools_changed() as changes:
        await session.call("grow", {})
        with anyio.fail_after(8):
            await changes()
        names = await session.tools()
        if "extra" not in names:
            raise AssertionError(f"tools: {names}")


async def logging(session):
    same(await session.logs("warning", "log"), ["high"])


async def prompts(session):
    same(await session.prompt("greet", {"who": "anna"}), "greet anna")


async def completion(session):
    same(await session.complete("greet", "who", "b"), ["boris"])


async def resources(session):
    if "test://one" not in await session.resources():
        raise AssertionError("the resource is not listed")
    same(await session.templates(), ["test://item/{id}"])
    same(await session.read("test://item/7"), "item 7")


async def structured(session):
    same(await session.structured("add", {"a": 2, "b": 3}), {"sum": 5})


async def big(session):
    same(len(await session.call("big", {"size": 500_000})), 500_000)


async def errors(session):
    text = await session.failed_call("fail", {})
    if "out of paper" not in text:
        raise AssertionError(f"the tool's own words are lost: {text}")
    text = await session.failed_call("nothing", {})
    if "nothing" not in text:
        raise AssertionError(f"an unknown tool: {text}")
    code = await session.failed_read("test://nothing")
    # What the revision calls it; some servers have always had a code of their own.
    if code not in (0, -32603, session.NO_RESOURCE, -32602):
        raise AssertionError(f"a resource that is not there: {code}")


async def fifty(session):
    seen = {}

    async def one(at):
        seen[at] = await session.call("echo", {"text": f"call {at}"})

    async with anyio.create_task_group() as group:
        for at in range(50):
            group.start_soon(one, at)
    same(seen, {at: f"call {at}" for at in range(50)})


OPERATIONS = {
    "list and call": list_and_call,
    "progress": progress,
    "cancellation": cancellation,
    "elicitation": elicitation,
    "sampling": sampling,
    "roots": roots,
    "subscriptions": subscriptions,
    "list-changed": list_changed,
    "logging": logging,
    "prompts": prompts,
    "completion": completion,
    "50 calls at once": fifty,
    "resources": resources,
    "structured output": structured,
    "big result": big,
    "errors": errors,
}


def first_cause(error):
    while getattr(error, "exceptions", None):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"


async def run(opened):
    only = os.environ.get("ONLY")
    for operation, act in OPERATIONS.items():
        if only and only != operation:
            continue
        why = None
        try:
            with anyio.fail_after(40):
                async with opened(operation) as session:
                    await act(session)
        except BaseException as error:
            why = first_cause(error)[:300]
        print(json.dumps({"operation": operation, "why": why}), flush=True)
