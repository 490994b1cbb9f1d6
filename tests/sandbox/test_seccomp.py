"""The filter, by a small machine that runs it, for both instruction sets: a call's number and arguments to the kernel's answer."""

import errno
import struct

import pytest

from promptcot.errors import MissingHere
from promptcot.sandbox.seccomp import MACHINES, Strength, assemble

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


def answer(program: bytes, number: int, *arguments: int, arch: int) -> int:
    data = struct.pack("<IIQ6Q", number, arch, 0, *(arguments + (0,) * 6)[:6])
    register = at = 0
    instructions = list(struct.iter_unpack("<HBBI", program))
    while True:
        code, yes, no, k = instructions[at]
        at += 1
        if code == 0x20:
            (register,) = struct.unpack_from("<I", data, k)
        elif code == 0x06:
            return int(k)
        else:
            holds = {0x15: register == k, 0x35: register >= k, 0x45: bool(register & k)}[code]
            at += yes if holds else no


@pytest.fixture(params=sorted(MACHINES))
def machine(request):
    return MACHINES[request.param]


@pytest.fixture
def strict(machine, request):
    program = assemble(next(name for name, found in MACHINES.items() if found is machine), Strength.STRICT)
    return lambda number, *arguments: answer(program, number, *arguments, arch=machine.audit)


@pytest.fixture
def supervisor(machine):
    program = assemble(next(name for name, found in MACHINES.items() if found is machine), Strength.SUPERVISOR)
    return lambda number, *arguments: answer(program, number, *arguments, arch=machine.audit)


def test_what_is_named_is_denied(machine, strict):
    assert {name: strict(number) for name, number in machine.denied.items()} == dict.fromkeys(machine.denied, ERRNO | errno.EPERM)


def test_clone3_and_calls_to_come_look_absent(strict):
    assert strict(435) == strict(463) == strict(9000) == ERRNO | errno.ENOSYS


def test_foreign_instruction_sets_are_killed(machine):
    name = next(name for name, found in MACHINES.items() if found is machine)
    assert answer(assemble(name, Strength.STRICT), 1, arch=0x40000003) == KILL


def test_x32_is_denied():
    machine = MACHINES["x86_64"]
    assert answer(assemble("x86_64", Strength.STRICT), 0x40000000 + 1, arch=machine.audit) == ERRNO | errno.EPERM


def test_arguments_count(machine, strict, supervisor):
    n = machine.numbers
    assert strict(n["socket"], 1, 1) == strict(n["socket"], 2, 1) == strict(n["socket"], 10, 2) == ALLOW
    assert {strict(n["socket"], family) for family in (0, 16, 17, 38, 40)} == {ERRNO | errno.EAFNOSUPPORT}
    assert strict(n["socketpair"], 1) == ALLOW
    assert strict(n["ioctl"], 0, 0x5412) == strict(n["ioctl"], 0, 0x541C) == ERRNO | errno.EPERM
    assert strict(n["ioctl"], 0, 0x5401) == ALLOW
    assert strict(n["personality"], 0xFFFFFFFF) == ALLOW
    assert strict(n["personality"], 0x0040000) == ERRNO | errno.EPERM
    assert strict(n["prlimit64"], 0) == ALLOW
    assert strict(n["prlimit64"], 1) == ERRNO | errno.EPERM
    assert strict(n["clone"], 0x1200011) == ALLOW
    for flag in (0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert strict(n["clone"], flag | 17) == ERRNO | errno.EPERM
        assert supervisor(n["clone"], flag | 17) == ALLOW


def test_the_supervisor_may_make_namespaces_and_nothing_more(machine, supervisor):
    allowed = {name for name, number in machine.denied.items() if supervisor(number) == ALLOW}
    assert allowed == {"mount", "umount2", "unshare"}


def test_ordinary_calls_pass(strict):
    for number in (0, 1, 2, 3, 63, 64, 257):
        assert strict(number) == ALLOW or number in (18, 40)


def test_an_unknown_machine_is_refused():
    with pytest.raises(MissingHere, match="riscv64"):
        assemble("riscv64", Strength.STRICT)
