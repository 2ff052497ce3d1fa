"""Runs a program that may have threads and no child processes: the kernel kills it at the first
fork, vfork or clone of more than a thread. `WRAPPER` stands before a command."""

import ctypes
import os
import platform
import struct
import sys

WRAPPER = [sys.executable, __file__]

# linux/audit.h, linux/seccomp.h, linux/bpf_common.h, and x86-64's numbers of system calls
AUDIT_ARCH_X86_64 = 0xC000003E
FORK, VFORK, CLONE, CLONE3 = 57, 58, 56, 435
CLONE_THREAD = 0x10000
KILL, ALLOW, NO_SUCH_CALL = 0x80000000, 0x7FFF0000, 0x00050000 | 38  # ENOSYS
LOAD, EQUAL, HAS_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
NR, ARCH, ARGUMENT0 = 0, 4, 16  # struct seccomp_data
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, FILTER = 38, 22, 2

# code, jump where it holds, jump where not, value
RULES = [
    (LOAD, 0, 0, ARCH),
    (EQUAL, 0, 8, AUDIT_ARCH_X86_64),
    (LOAD, 0, 0, NR),
    (EQUAL, 6, 0, FORK),
    (EQUAL, 5, 0, VFORK),
    (EQUAL, 3, 0, CLONE3),  # the C library then takes clone, whose flags can be seen
    (EQUAL, 0, 4, CLONE),
    (LOAD, 0, 0, ARGUMENT0),
    (HAS_BIT, 2, 1, CLONE_THREAD),
    (RETURN, 0, 0, NO_SUCH_CALL),
    (RETURN, 0, 0, KILL),
    (RETURN, 0, 0, ALLOW),
]


def forbid():
    if platform.machine() != "x86_64":
        sys.exit("the filter is for x86-64 alone")
    libc = ctypes.CDLL(None, use_errno=True)
    rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in RULES))
    program = struct.pack("HxxxxxxP", len(RULES), ctypes.addressof(rules))
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or \
            libc.prctl(PR_SET_SECCOMP, FILTER, ctypes.c_char_p(program), 0, 0):
        sys.exit(f"no filter: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
