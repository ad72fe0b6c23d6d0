"""Runs a function's body inside a scope, whatever kind of function it is.

For coroutines and generators the scope covers each step, not the waiting between steps: it never
limits other tasks or the consumer.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])
Scope = Callable[[], AbstractContextManager[Any]]

# From inspect, which takes long to import.
_GENERATOR = 0x20
_COROUTINE = 0x80
_ASYNC_GENERATOR = 0x200


def _steps(body: Any, scope: Scope) -> Any:
    """Drives a generator or coroutine, each step in a scope of its own."""
    step, argument = body.send, None
    while True:
        try:
            with scope():
                produced = step(argument)
        except StopIteration as end:
            return end.value
        try:
            argument, step = (yield produced), body.send
        except GeneratorExit:
            with scope():
                body.close()
            raise
        except BaseException as error:
            argument, step = error, body.throw


class _Awaited:
    __slots__ = ("body", "scope")

    def __init__(self, body: Any, scope: Scope) -> None:
        self.body = body
        self.scope = scope

    def __await__(self) -> Any:
        return _steps(self.body, self.scope)


def decorate(function: Function, scope: Scope) -> Function:
    """Returns the function with a fresh scope around its body at each call."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    call: Any
    if flags & _COROUTINE:

        @wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await _Awaited(function(*args, **kwargs), scope)

    elif flags & _ASYNC_GENERATOR:

        @wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            body = function(*args, **kwargs)
            step, argument = body.asend, None
            while True:
                try:
                    produced = await _Awaited(step(argument), scope)
                except StopAsyncIteration:
                    return
                try:
                    argument, step = (yield produced), body.asend
                except GeneratorExit:
                    await _Awaited(body.aclose(), scope)
                    raise
                except BaseException as error:
                    argument, step = error, body.athrow

    elif flags & _GENERATOR:

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            return (yield from _steps(function(*args, **kwargs), scope))

    else:

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with scope():
                return function(*args, **kwargs)

    return call  # type: ignore[no-any-return]
