"""Programs on inputs: what comes back, and that one test of a program knows nothing of another."""

import pytest

from promptcot.sandbox import Limits
from promptcot.sandbox.programs import Language, Program, Session, Status, guess, run
from promptcot.sandbox.values import encode
from tests.sandbox.leftovers import Traces, back_to

LIMITS = Limits(cpu_s=1.0, wall_s=20, memory_mb=128, files_mb=8)
ROOMY = Limits(cpu_s=20, wall_s=120, memory_mb=512)


def python(source: str, *inputs: bytes, limits: Limits = ROOMY):
    return list(run(Program(source, Language.PYTHON), inputs or [b""], limits))


def call(source: str, *positional: object, **named: object):
    (ran,) = run(Program(source, Language.PYTHON, "f"), [encode((positional, named))], LIMITS)
    return ran


def test_a_program_reads_its_input_and_prints():
    first, second = python("print(int(input()) * 2)", b"3\n", b"4\n")
    assert (first.status, first.stdout, second.stdout) == (Status.EXITED, b"6\n", b"8\n")
    assert 0 < first.cpu_s < ROOMY.cpu_s
    assert 0 < first.wall_s < ROOMY.wall_s


def test_it_runs_as_the_main_module_with_its_own_argument_list():
    (ran,) = python("import sys\nprint(__name__, len(sys.argv), sys.modules['__main__'].__dict__ is globals())")
    assert ran.stdout == b"__main__ 1 True\n"


def test_the_order_of_a_set_repeats_from_sandbox_to_sandbox():
    source = "print({str(n) for n in range(50)})"
    assert python(source)[0].stdout == python(source)[0].stdout != b""


@pytest.mark.parametrize(
    ("source", "status", "code"),
    [
        ("raise SystemExit(3)", Status.RUNTIME_ERROR, 3),
        ("raise SystemExit('why')", Status.RUNTIME_ERROR, 1),
        ("1 / 0", Status.RUNTIME_ERROR, 1),
        ("import os; os._exit(7)", Status.RUNTIME_ERROR, 7),
        ("import os; os.kill(os.getpid(), 11)", Status.RUNTIME_ERROR, -11),
        ("def f(:", Status.COMPILE_ERROR, 1),
        ("x = '\0'", Status.COMPILE_ERROR, 1),
        ("print('surrogate \\ud800')", Status.RUNTIME_ERROR, 1),
        ("", Status.EXITED, 0),
    ],
)
def test_ends_are_told_apart(source, status, code):
    (ran,) = python(source, limits=LIMITS)
    assert (ran.status, ran.code) == (status, code)


def test_the_end_of_a_traceback_comes_back():
    (ran,) = python("def g(): raise KeyError('here')\ng()")
    assert b"KeyError: 'here'" in ran.stderr


def test_a_long_input_that_nobody_reads_is_no_deadlock():
    (ran,) = python("print('x' * 500_000)", b"y" * (8 << 20))
    assert (ran.status, len(ran.stdout)) == (Status.EXITED, 500_001)


def test_a_long_input_arrives_whole():
    (ran,) = python("import sys; print(len(sys.stdin.read()))", b"y" * (8 << 20))
    assert ran.stdout == b"%d\n" % (8 << 20)


def test_a_test_leaves_nothing_for_the_next():
    source = """
import ctypes, os, sys, time
def shared():
    libc = ctypes.CDLL(None)
    return libc.shmget(4242, 4096, 0o1666 if word == "plant" else 0)
word = sys.stdin.read()
if word == "plant":
    for place in ("/tmp", "/dev/shm"):
        open(place + "/left", "w").write(word)
    assert shared() >= 0
    if os.fork() == 0:
        os.setsid()
        time.sleep(100)
    print("planted", flush=True)
    os._exit(0)
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) > 2]
print(os.listdir("/tmp"), os.listdir("/dev/shm"), others, shared())
"""
    planted, found = python(source, b"plant", b"look")
    assert planted.stdout == b"planted\n"
    assert found.stdout == b"[] [] [] -1\n"


def test_nothing_that_an_earlier_test_read_or_said_is_in_a_later_ones_memory():
    source = """
import re
word = input()
if word != "look":
    print(word[::-1])
else:  # neither this text nor the pattern may find itself
    letters = [f"[{chr(65 + n)}]" for n in range(20)]
    wanted = re.compile("".join(letters).encode() + b"|" + "".join(letters[::-1]).encode())
    looked = found = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.read().splitlines():
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if " rw" in line:
                memory.seek(start)
                looked += 1
                found += len(wanted.findall(memory.read(end - start)))
    print(looked > 9, found)
"""
    word = b"ABCDEFGHIJKLMNOPQRST"
    planted, looked = python(source, word + b"\n", b"look\n")
    assert planted.stdout == word[::-1] + b"\n"
    assert looked.stdout == b"True 0\n"


def test_modules_that_are_loaded_once_are_not_shared_with_what_a_test_makes_of_them():
    source = "import math, random\nfrom collections import deque\nprint(math.pi, random.random())\nmath.pi, deque.x = 3, 1\n"
    (first, one), (second, other) = (ran.stdout.split() for ran in python(source.replace("deque.x", "random.x"), b"", b""))
    assert first == second == b"3.141592653589793"
    assert one != other


def test_a_test_that_says_too_much_at_its_end_does_not_end_the_next():
    limits = Limits(output_mb=1, wall_s=60, cpu_s=20)
    source = "import os\nfor _ in range(int(input())): os.write(1, b'x' * (1 << 16))"
    found = python(source, *[b"17\n", b"1\n"] * 5, limits=limits)
    assert [ran.status for ran in found] == [Status.OUTPUT_LIMIT, Status.EXITED] * 5
    assert all(len(ran.stdout) <= 1 << 20 for ran in found)


def test_a_test_that_breaks_a_limit_does_not_harm_the_next():
    source = (
        "import sys\nword = sys.stdin.read()\nx = [bytearray(b'x') * (1 << 20) for _ in range(900 if word == 'much' else 1)]\nprint('done')"
    )
    much, little = python(source, b"much", b"little", limits=LIMITS)
    assert (much.status, little.status) == (Status.MEMORY_LIMIT, Status.EXITED)


def test_without_nested_namespaces_each_test_gets_a_sandbox(monkeypatch):
    monkeypatch.setattr(Session, "nested", False)
    source = """
import os, signal
if os.path.exists("/tmp/left"): print("THROUGH")
open("/tmp/left", "w")
if os.fork() == 0: signal.pause()
print(input())
"""
    with Session(Program(source, Language.PYTHON), LIMITS) as session:
        assert [session.run(word).stdout for word in (b"a\n", b"b\n")] == [b"a\n", b"b\n"]
    kill = "import os, signal\nos.kill(-1, signal.SIGKILL)"
    with Session(Program(kill, Language.PYTHON), LIMITS) as session:
        assert session.run(b"").status is Status.RUNTIME_ERROR


def test_a_lost_supervisor_is_replaced():
    with Session(Program("print(input())", Language.PYTHON), LIMITS) as session:
        assert session.run(b"a\n").stdout == b"a\n"
        assert session._process is not None
        session._process.kill()
        assert session.run(b"b\n").stdout == b"b\n"


def test_nothing_is_left_behind():
    python("print(1)")
    before = Traces.now()
    python("import os, time\nif os.fork() == 0: time.sleep(100)\nprint(1)", b"", b"")
    python("while True: print('x' * 4096)", limits=LIMITS)
    assert back_to(before)


# functions


def test_a_function_is_called_with_data_and_its_value_comes_back():
    ran = call("def f(a, b=2):\n    print('noise')\n    return {'sum': a + b, 'all': [a, (b, None)]}", 40, b=2)
    assert ran.value == encode({"sum": 42, "all": [40, (2, None)]})


def test_names_that_statements_take_for_granted_are_there_and_methods_are_found():
    ran = call("class Solution:\n    def f(self, x: List[int]) -> Optional[int]:\n        return heapq.nsmallest(1, x)[0]", [3, 1, 2])
    assert ran.value == encode(1)


@pytest.mark.parametrize(
    "source",
    [
        "class I(int):\n    def __eq__(self, other): return True\n    def __hash__(self): return 3\ndef f(): return I(3)",
        "class S(str): pass\ndef f(): return S('3')",
        "def f(): return iter([3])",
        "class R:\n    def __repr__(self):\n        while True: pass\n    __str__ = __len__ = __iter__ = __repr__\ndef f(): return R()",
        "import json\njson.dumps = json.loads = lambda *a, **k: '3'\ndef f(): return -3",
        "import builtins\nbuiltins.type = lambda x: int\nclass I(int): pass\ndef f(): return I(-3)",
    ],
)
def test_an_impostor_is_not_the_value(source):
    assert call(source).value != encode(3)


@pytest.mark.parametrize(
    "source",
    [
        "def f(): raise SystemExit(0)",
        "import os\ndef f(): os._exit(0)",
        "def g(): return 3",
        "def f(): return f()",
        "import os\ndef f():\n  for fd in range(1, 300):\n    try: os.write(fd, b'forged')\n    except OSError: pass\n  os._exit(1)",
        "import atexit, os\natexit.register(os.write, 1, b'3')\ndef f(): raise ValueError",
        "def f():\n    x = []\n    for _ in range(500): x = [x]\n    return x",
    ],
)
def test_a_function_without_a_value_is_a_runtime_error(source):
    assert call(source).status is Status.RUNTIME_ERROR


# languages


@pytest.mark.parametrize(
    ("source", "language"),
    [
        ("print(1)", Language.PYTHON),
        ("#include <cstdio>\nint main() {}", Language.CPP17),
        ("using namespace std;\nint main(){}", Language.CPP17),
        ("# include me\nmain = 1", Language.PYTHON),
        ("def main():\n    pass", Language.PYTHON),
        ("", Language.PYTHON),
    ],
)
def test_the_language_is_guessed(source, language):
    assert guess(source) is language


@pytest.mark.slow
def test_cpp_compiles_and_runs_inside():
    double = "#include <iostream>\nint main() { long long x; std::cin >> x; std::cout << 2 * x << std::endl; }"
    first, second = run(Program(double, Language.CPP17), [b"3", b"4"], LIMITS)
    assert (first.stdout, second.stdout, first.status) == (b"6\n", b"8\n", Status.EXITED)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status"),
    [
        ('#include "/etc/hostname"\nint main() {}', Status.COMPILE_ERROR),
        ('#include "/etc/passwd"\nint main() {}', Status.COMPILE_ERROR),
        ("int main() { return }", Status.COMPILE_ERROR),
        ("int main() { for (volatile int x = 0;; x++); }", Status.TIME_LIMIT),
        ("int main() { volatile int *p = 0; return *p; }", Status.RUNTIME_ERROR),
        ("#include <vector>\nint main() { std::vector<char> x; for (;;) x.resize(x.size() + (1 << 20), 1); }", Status.MEMORY_LIMIT),
        ("int f(int n) { volatile char x[1000] = {}; return n ? f(n - 1) + x[0] : 0; }\nint main() { return f(50000); }", Status.EXITED),
        ("#include <cstdlib>\nint main() { abort(); }", Status.RUNTIME_ERROR),
    ],
)
def test_cpp_ends_are_told_apart(source, status):
    (ran,) = run(Program(source, Language.CPP17), [b""], LIMITS)
    assert ran.status is status, ran
