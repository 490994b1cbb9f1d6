"""Freed memory is kept while a model works, and given back when it is closed. Each case is a process of its own: the settings stay."""

import json
import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's settings")

BLOCK = 48 << 20
"""Bytes: more than glibc keeps by itself."""

PROGRAM = f"""
import ctypes, json, resource
from promptcot.engines import host_memory

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
libc.free.argtypes = (ctypes.c_void_p,)

def use():
    block = libc.malloc({BLOCK})
    ctypes.memset(block, 1, {BLOCK})
    libc.free(block)

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

kept = host_memory.keep_freed_memory()
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
pages = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize() / (10 * {BLOCK})
held = resident()
host_memory.release_freed_memory()
print(json.dumps(dict(kept=kept, mapped_again=pages, given_back=held - resident())))
"""


def measure(**environment: str):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env={**clean, **environment}, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def test_a_freed_block_serves_the_next_one_and_goes_back_when_asked():
    found = measure()
    assert found["kept"]
    assert found["mapped_again"] < 0.01
    assert found["given_back"] > 0.9 * BLOCK


def test_settings_of_the_environment_stand():
    found = measure(MALLOC_MMAP_THRESHOLD_="1000000")
    assert not found["kept"]
    assert found["mapped_again"] > 0.9
