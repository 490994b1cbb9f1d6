"""The system-call filter of the sandbox, assembled here: a deny list of what an ordinary program never needs.

Two strengths. `STRICT` is what untrusted code runs under. `SUPERVISOR` leaves out what the supervisor inside needs to give each test
namespaces of its own (`unshare`, `mount`, namespace flags of `clone`); it puts the strict one on top before a program loads.

A denied call answers EPERM. `clone3` answers ENOSYS, because its flags lie in memory where no filter sees them; C libraries then use
`clone`. So do calls newer than the list, which is how a kernel without them answers. Foreign instruction sets (32-bit on x86_64) kill the
process.

Unlike an allow list this trusts the kernel with every call an ordinary program makes; see docs/threat-model.md. Numbers: Linux 6.10,
`arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`.
"""

from __future__ import annotations

import errno
import functools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from promptcot.errors import MissingHere


class Strength(Enum):
    """Who is filtered."""

    STRICT = "strict"
    SUPERVISOR = "supervisor"


@dataclass(frozen=True)
class Machine:
    """An instruction set: its audit number, where its calls end, and the numbers of the calls that matter here."""

    audit: int
    x32_bit: int  # numbers from here on belong to another ABI; 0 where there is none
    denied: dict[str, int]
    numbers: dict[str, int]


# From 424 on every architecture numbers alike.
_ALIKE = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "pidfd_getfd": 438,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "set_mempolicy_home_node": 450,
    "statmount": 457,
    "listmount": 458,
    "lsm_get_self_attr": 459,
    "lsm_set_self_attr": 460,
    "lsm_list_modules": 461,
}
_NEWEST = 462
_CLONE3 = 435

_X86_64 = Machine(
    audit=0xC000003E,
    x32_bit=0x40000000,
    denied={
        "ptrace": 101,
        "syslog": 103,
        "ustat": 136,
        "uselib": 134,
        "vhangup": 153,
        "modify_ldt": 154,
        "pivot_root": 155,
        "_sysctl": 156,
        "adjtimex": 159,
        "chroot": 161,
        "acct": 163,
        "settimeofday": 164,
        "mount": 165,
        "umount2": 166,
        "swapon": 167,
        "swapoff": 168,
        "reboot": 169,
        "sethostname": 170,
        "setdomainname": 171,
        "iopl": 172,
        "ioperm": 173,
        "create_module": 174,
        "init_module": 175,
        "delete_module": 176,
        "get_kernel_syms": 177,
        "query_module": 178,
        "quotactl": 179,
        "nfsservctl": 180,
        "lookup_dcookie": 212,
        "clock_settime": 227,
        "kexec_load": 246,
        "add_key": 248,
        "request_key": 249,
        "keyctl": 250,
        "migrate_pages": 256,
        "unshare": 272,
        "move_pages": 279,
        "perf_event_open": 298,
        "fanotify_init": 300,
        "name_to_handle_at": 303,
        "open_by_handle_at": 304,
        "clock_adjtime": 305,
        "setns": 308,
        "process_vm_readv": 310,
        "process_vm_writev": 311,
        "kcmp": 312,
        "finit_module": 313,
        "kexec_file_load": 320,
        "bpf": 321,
        "userfaultfd": 323,
        **_ALIKE,
    },
    numbers={"ioctl": 16, "socket": 41, "socketpair": 53, "clone": 56, "personality": 135, "prlimit64": 302},
)

_AARCH64 = Machine(
    audit=0xC00000B7,
    x32_bit=0,
    denied={
        "lookup_dcookie": 18,
        "umount2": 39,
        "mount": 40,
        "pivot_root": 41,
        "nfsservctl": 42,
        "chroot": 51,
        "vhangup": 58,
        "quotactl": 60,
        "acct": 89,
        "unshare": 97,
        "kexec_load": 104,
        "init_module": 105,
        "delete_module": 106,
        "clock_settime": 112,
        "syslog": 116,
        "ptrace": 117,
        "reboot": 142,
        "sethostname": 161,
        "setdomainname": 162,
        "settimeofday": 170,
        "adjtimex": 171,
        "add_key": 217,
        "request_key": 218,
        "keyctl": 219,
        "swapon": 224,
        "swapoff": 225,
        "migrate_pages": 238,
        "move_pages": 239,
        "perf_event_open": 241,
        "fanotify_init": 262,
        "name_to_handle_at": 264,
        "open_by_handle_at": 265,
        "clock_adjtime": 266,
        "setns": 268,
        "process_vm_readv": 270,
        "process_vm_writev": 271,
        "kcmp": 272,
        "finit_module": 273,
        "bpf": 280,
        "userfaultfd": 282,
        "kexec_file_load": 294,
        **_ALIKE,
    },
    numbers={"ioctl": 29, "socket": 198, "socketpair": 199, "clone": 220, "personality": 92, "prlimit64": 261},
)

MACHINES = {"x86_64": _X86_64, "aarch64": _AARCH64}

_SUPERVISOR_NEEDS = frozenset(["mount", "umount2", "unshare"])
_NAMESPACE_FLAGS = 0x7E020000  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6, all of an empty network namespace
_TERMINAL_INPUT = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX: put words into a terminal's mouth
_PERSONALITIES = (0, 0xFFFFFFFF)  # plain, and the question which one is set

# struct seccomp_data: nr at 0, arch at 4, args from 16 on, 8 bytes each, little-endian on both machines
_NR, _ARCH = 0, 4
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000


@functools.cache
def assemble(machine: str, strength: Strength) -> bytes:
    """The filter as an array of `struct sock_filter`, which `bwrap --seccomp` and `prctl(PR_SET_SECCOMP)` take. `machine` as `uname -m`."""
    if machine not in MACHINES:
        raise MissingHere(
            f"the sandbox knows no system calls of {machine}",
            remedy=f"run programs on one of {', '.join(sorted(MACHINES))}, or give the address of a remote runner",
        )
    return b"".join(_program(MACHINES[machine], strength))


def _argument(index: int) -> int:
    return 16 + 8 * index


def _program(machine: Machine, strength: Strength) -> Iterator[bytes]:
    deny, missing = _answer(_ERRNO | errno.EPERM), _answer(_ERRNO | errno.ENOSYS)
    yield _instruction(_LOAD, _ARCH)
    yield _instruction(_EQUAL, machine.audit, 1, 0)
    yield _answer(_KILL)
    yield _instruction(_LOAD, _NR)
    if machine.x32_bit:
        yield from _if(_AT_LEAST, machine.x32_bit, deny)
    yield from _if(_AT_LEAST, _NEWEST + 1, missing)
    yield from _if(_EQUAL, _CLONE3, missing)
    for name, number in machine.denied.items():
        if strength is Strength.STRICT or name not in _SUPERVISOR_NEEDS:
            yield from _if(_EQUAL, number, deny)
    numbers = machine.numbers
    for name in ("socket", "socketpair"):
        yield from _call(numbers[name], 0, _unless(_FAMILIES, _answer(_ERRNO | errno.EAFNOSUPPORT)))
    yield from _call(numbers["ioctl"], 1, [part for code in _TERMINAL_INPUT for part in _if(_EQUAL, code, deny)])
    yield from _call(numbers["personality"], 0, _unless(_PERSONALITIES, deny))
    if strength is Strength.STRICT:
        yield from _call(numbers["clone"], 0, list(_if(_ANY_BIT, _NAMESPACE_FLAGS, deny)))
        yield from _call(numbers["prlimit64"], 0, _unless((0,), deny))
    yield _answer(_ALLOW)


def _call(number: int, argument: int, body: list[bytes]) -> Iterator[bytes]:
    """`body`, on the low half of an argument, for one call; the call's number is in the register before and after."""
    inner = [_instruction(_LOAD, _argument(argument)), *body, _instruction(_LOAD, _NR)]
    yield _instruction(_EQUAL, number, 0, len(inner))
    yield from inner


def _unless(allowed: tuple[int, ...], answer: bytes) -> list[bytes]:
    """Answer unless the register holds one of `allowed`."""
    left = range(len(allowed), 0, -1)
    return [*(_instruction(_EQUAL, value, n, 0) for value, n in zip(allowed, left, strict=True)), answer]


def _if(test: int, value: int, answer: bytes) -> tuple[bytes, bytes]:
    return _instruction(test, value, 0, 1), answer


def _answer(value: int) -> bytes:
    return _instruction(_RETURN, value)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """struct sock_filter: u16 code, u8 jt, u8 jf, u32 k."""
    return struct.pack("<HBBI", code, if_true, if_false, value)
