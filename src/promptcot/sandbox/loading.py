"""The last step inside a sandbox: a process of its own, without rights, becomes the program.

The supervisor calls `ready` before it forks: it makes all that the program finds there, of which nothing is the program's own. What `ready`
returns runs after the fork, under the strict filter: it looks at the program for the first time.
"""

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import CodeType, ModuleType
    from typing import Any, NoReturn

PROGRAM, BINARY = "/program/main.py", "/program/main"


def ready(kind: str, function: str, modules: Iterable[str]) -> Callable[[], int]:
    """What turns a process into the program. From here on `sys` is as a program expects it that was started alone."""
    if kind == "binary":
        return run_binary
    import _sitebuiltins

    from promptcot.sandbox import values

    builtins.exit = _sitebuiltins.Quitter("exit", "Ctrl-D")
    builtins.quit = _sitebuiltins.Quitter("quit", "Ctrl-D")
    for name in modules:  # of the standard library
        __import__(name)
    compile("", PROGRAM, "exec")  # the first time makes some hundred types
    for own in [own for own in sys.modules if own.partition(".")[0] == "promptcot"]:
        del sys.modules[own]
    module = type(sys)("solution" if function else "__main__")
    sys.modules[module.__name__] = module
    names = module.__dict__
    names.update(__builtins__=builtins, __file__=PROGRAM)
    sys.argv[:] = [PROGRAM]
    sys.path[:] = ["/program", *(path for path in sys.path if path != "/sandbox")]
    if kind == "script":
        return lambda: run_script(names)
    names.update(prelude())
    return lambda: run_function(module, function, values)


def run_binary() -> NoReturn:
    """A compiled program."""
    os.execve(BINARY, [BINARY], dict(os.environ))


def compiled() -> CodeType | None:
    """The program's code, or None where it is not Python; then a word of it is said where returned values go."""
    with open(PROGRAM, "rb") as file:
        source = file.read()
    try:
        return compile(source, PROGRAM, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        sys.excepthook(*sys.exc_info())
        os.write(3, b"syntax")
        return None


def run_script(names: dict[str, Any]) -> int:
    """A Python program on stdin and stdout, in the module `__main__`."""
    code = compiled()
    os.close(3)
    if code is None:
        return 1
    return ending(lambda: exec(code, names))


def run_function(module: ModuleType, function: str, values: Any) -> int:
    """A function of a Python module, called once; stdin has the arguments, and its value leaves as data."""
    encode, say, leave = values.encode, write, os._exit
    code = compiled()
    if code is None:
        return 1
    os.dup2(3, 200, inheritable=False)
    os.close(3)
    with open(0, "rb", closefd=False) as file:
        positional, named = values.decode(file.read())

    def call() -> None:
        exec(code, module.__dict__)
        say(200, encode(found(module, function)(*positional, **named)))
        leave(0)

    return ending(call) or 1


def write(fd: int, data: bytes) -> None:
    """All of it."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def prelude() -> dict[str, Any]:
    """Names that statements of such problems take for granted."""
    import bisect
    import collections
    import functools
    import heapq
    import itertools
    import math
    import string
    import typing

    names = {name: getattr(typing, name) for name in ("Any", "Dict", "List", "Optional", "Set", "Tuple", "Union")}
    for module in (bisect, collections, functools, heapq, itertools, math, string):
        names[module.__name__] = module
    for module, wanted in ((collections, "Counter OrderedDict defaultdict deque"), (functools, "cache lru_cache reduce")):
        names.update({name: getattr(module, name) for name in wanted.split()})
    return names


def found(module: Any, name: str) -> Any:
    """A function of the module, or a method of its class `Solution`."""
    if hasattr(module, name):
        return getattr(module, name)
    return getattr(module.Solution(), name)


def ending(body: Callable[[], object]) -> int:
    """Run, and end as an interpreter does: a traceback for what is raised, threads joined, exit functions called, output flushed."""
    code = 0
    try:
        body()
    except SystemExit as stop:
        code = stop.code if type(stop.code) is int else 0 if stop.code is None else 1
        if code == 1 and type(stop.code) is str:
            sys.stderr.write(stop.code + "\n")
    except BaseException:  # noqa: BLE001  it is the program's
        sys.excepthook(*sys.exc_info())
        code = 1
    for name, function in (("threading", "_shutdown"), ("atexit", "_run_exitfuncs")):
        if name in sys.modules:
            getattr(sys.modules[name], function)()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 120
    return code & 0xFF
