"""The system calls that a student's process may not make, as a seccomp filter.

The jail's namespaces already take away files, network and other processes. The filter takes away
what could outlive a session or reach past the namespaces, and kernel parts that a notebook never
needs, where most of the known ways out of a container begin. It is a list of refusals: what it
does not name is allowed, except for calls that are newer than the list.
"""

import ctypes
import errno
import platform
import socket
import struct

# Number on x86-64, number on arm64 (None: the machine has no such call).
REFUSED = {
    # other processes' memory
    **{"ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271)},
    **{"kcmp": (312, 272), "pidfd_getfd": (438, 438), "process_madvise": (440, 440)},
    **{"move_pages": (279, 239), "migrate_pages": (256, 238)},
    # messages and memory that outlive a process
    **{"shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "shmdt": (67, 197)},
    **{"semget": (64, 190), "semop": (65, 193), "semtimedop": (220, 192), "semctl": (66, 191)},
    **{"msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187)},
    **{"mq_open": (240, 180), "mq_unlink": (241, 181), "mq_timedsend": (242, 182)},
    **{"mq_timedreceive": (243, 183), "mq_notify": (244, 184), "mq_getsetattr": (245, 185)},
    **{"add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219)},
    # namespaces and mounts
    **{"unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39)},
    **{"pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428)},
    **{"move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431)},
    **{"fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442)},
    **{"name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265)},
    # parts of the kernel
    **{"bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282)},
    **{"io_uring_setup": (425, 425), "io_uring_enter": (426, 426)},
    **{"io_uring_register": (427, 427), "fanotify_init": (300, 262), "fanotify_mark": (301, 263)},
    **{"kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105)},
    **{"finit_module": (313, 273), "delete_module": (176, 106), "memfd_secret": (447, 447)},
    **{"personality": (135, 92), "modify_ldt": (154, None), "uselib": (134, None)},
    **{"syslog": (103, 116), "lookup_dcookie": (212, 18), "nfsservctl": (180, 42)},
    **{"vhangup": (153, 58), "_sysctl": (156, None), "sysfs": (139, None), "ustat": (136, None)},
    # the machine
    **{"swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "acct": (163, 89)},
    **{"quotactl": (179, 60), "quotactl_fd": (443, 443), "iopl": (172, None)},
    **{"ioperm": (173, None), "settimeofday": (164, 170), "clock_settime": (227, 112)},
    **{"clock_adjtime": (305, 266), "adjtimex": (159, 171), "sethostname": (170, 161)},
    "setdomainname": (171, 162),
}
# Calls that the C library does without: clone3 hides its flags from a filter, and memory files
# escape the limit on the size of folders.
ABSENT = {"clone3": (435, 435), "memfd_create": (319, 279)}
CLONE, IOCTL = (56, 220), (16, 29)
SOCKETS = ((41, 198), (53, 199))  # one, and a pair
NEWEST = 462

ARCHITECTURES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
X32 = 0x40000000
NEW_NAMESPACE = 0x7E020000
TERMINAL_INPUT = (0x5412, 0x541C)

LOAD, EQUAL, GREATER, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x06
ALLOW, KILL, ERROR = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER, ARCHITECTURE, ARGUMENTS = 0, 4, 16
PR_SET_SECCOMP, FILTER_MODE = 22, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def build_filter(machine=None):
    """Return the filter as the kernel reads it: eight bytes an instruction.

    Parameters
    ----------
    machine : str, optional
        `"x86_64"` or `"aarch64"`; this machine's by default.

    Raises
    ------
    ValueError
        If there is no list of calls for the machine.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        known = " or ".join(ARCHITECTURES)
        raise ValueError(f"machine must be {known}, and is {machine!r}")
    architecture, column = ARCHITECTURES[machine]
    steps = [(LOAD, 0, 0, ARCHITECTURE), *_refuse(EQUAL, architecture, KILL, unless=True)]
    steps += [(LOAD, 0, 0, NUMBER)]
    if machine == "x86_64":
        steps += _refuse(AT_LEAST, X32, KILL)
    steps += _refuse(GREATER, NEWEST, ERROR | errno.ENOSYS)
    for calls, code in ((REFUSED, errno.EPERM), (ABSENT, errno.ENOSYS)):
        for numbers in calls.values():
            if numbers[column] is not None:
                steps += _refuse(EQUAL, numbers[column], ERROR | code)
    steps += _argument(CLONE[column], 0, _refuse(ANY_BIT, NEW_NAMESPACE, ERROR | errno.EPERM))
    unreachable = _refuse(EQUAL, socket.AF_UNIX, ERROR | errno.ENETUNREACH, unless=True)
    for numbers in SOCKETS:
        steps += _argument(numbers[column], 0, unreachable)
    forged = [step for n in TERMINAL_INPUT for step in _refuse(EQUAL, n, ERROR | errno.EPERM)]
    steps += _argument(IOCTL[column], 1, forged)
    steps += [(RETURN, 0, 0, ALLOW)]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def _refuse(test, value, action, unless=False):
    """Return the steps that act if the loaded word meets the test, or unless it does."""
    return [(test, int(unless), int(not unless), value), (RETURN, 0, 0, action)]


def _argument(number, position, steps):
    """Return the steps that look at the low word of an argument of one call."""
    steps = [(LOAD, 0, 0, ARGUMENTS + 8 * position), *steps, (RETURN, 0, 0, ALLOW)]
    return [(EQUAL, 0, len(steps), number), *steps]


def install(program):
    """Put a filter on this process and all that it starts, for good.

    The process must have given up new privileges before.

    Raises
    ------
    OSError
        If the kernel does not take it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    holder = _Program(len(program) // 8, program)
    if libc.prctl(PR_SET_SECCOMP, FILTER_MODE, ctypes.byref(holder), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "the kernel refuses the seccomp filter")
