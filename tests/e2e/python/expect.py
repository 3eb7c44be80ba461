"""What is compared with what, and how long anything may take."""

from collections.abc import Awaitable, Callable
from contextlib import contextmanager
from pprint import pformat

import anyio

PATIENCE = 20.0


class Unexpected(Exception):
    pass


def matches(expected, seen) -> bool:
    """Whether `seen` is as `expected`, which may hold `{"$any": true}` for a value that does not
    matter and `{"$startsWith": "…"}` for a text of which only the beginning does."""
    if isinstance(expected, list):
        return (
            isinstance(seen, list)
            and len(expected) == len(seen)
            and all(map(matches, expected, seen))
        )
    if not isinstance(expected, dict):
        # Python takes True for 1, JSON does not.
        return expected == seen and isinstance(expected, bool) == isinstance(seen, bool)
    if "$any" in expected:
        return seen is not None
    if "$startsWith" in expected:
        return isinstance(seen, str) and seen.startswith(expected["$startsWith"])
    return (
        isinstance(seen, dict)
        and expected.keys() == seen.keys()
        and all(matches(value, seen[key]) for key, value in expected.items())
    )


def expect_same(what: str, expected, seen) -> None:
    if not matches(expected, seen):
        shown = [pformat(value, width=100) for value in (expected, seen)]
        raise Unexpected(f"{what}\nexpected: {shown[0]}\nseen: {shown[1]}")


def expect_that(truth: bool, what: str) -> None:
    if not truth:
        raise Unexpected(what)


@contextmanager
def within(what: str, patience: float = PATIENCE):
    try:
        with anyio.fail_after(patience):
            yield
    except TimeoutError:
        raise Unexpected(f"not within {patience} s: {what}") from None


async def until(
    ask: Callable[[], Awaitable], what: str, *, patience: float = PATIENCE, every: float = 0.02
):
    """Asks again and again until the answer is truthy, and returns it."""
    with within(what, patience):
        while not (answer := await ask()):
            await anyio.sleep(every)
        return answer
