"""Differences that are meant, each with its reason. A sequence ends where one is met: behind it the
systems are in different states."""
from .generate import FALLOC_KEEP_SIZE, MREMAP_FIXED, PAGE

ENOENT, EFAULT, EINVAL = 2, 14, 22
# What a call says to a range that lies in more than one mapping.
REFUSALS = {"mremap": EFAULT, "uffd_move": EINVAL, "uffd_copy": ENOENT, "uffd_zero": ENOENT,
            "uffd_continue": ENOENT, "uffd_poison": ENOENT}


def error_of(line):
    words = line.split()
    return int(words[2]) if len(words) > 2 and words[1] == "-1" else 0


def names_of(steps):
    return [name for _, name, _ in steps]


def is_refused_by_linux(steps, difference):
    """Does the range lie in one mapping in Cowbell alone?"""
    refusal = REFUSALS.get(steps[-1][1])
    return refusal is not None and \
        error_of(difference.linux) == refusal != error_of(difference.cowbell)


def locked_before_fork(steps, difference):
    names = names_of(steps)
    return steps[-1][1] == "mremap" and is_refused_by_linux(steps, difference) and \
        "mlock" in names and "fork" in names


def refused_by_a_seal(steps, difference):
    return is_refused_by_linux(steps, difference) and "mseal" in names_of(steps)


def allocated_behind_the_end(steps, _):
    return steps[-1][1] in ("mincore", "pagemap", "pagemap_scan") and \
        any(name == "fallocate" and args[1] == FALLOC_KEEP_SIZE for _, name, args in steps)


def touches(one, other):
    """May the ranges [offset, bytes], in whole pages, overlap or be neighbours?"""
    return one[0] < other[0] + other[1] + PAGE and other[0] < one[0] + one[1] + PAGE


def moved_into_registered(steps, _):
    registered = {}
    for slot, name, args in steps:
        ranges = registered.setdefault(slot, [])
        if name == "uffd_register":
            ranges.append(args[:2])
        elif name == "fork":
            registered.pop(args[0], None)
        elif name == "mremap" and args[3] & MREMAP_FIXED and \
                any(touches(args[:2], range_) for range_ in ranges) and \
                any(touches([args[4], args[2]], range_) for range_ in ranges):
            return True
    return False


KNOWN = [
    (locked_before_fork,
     "a child is not locked: Cowbell merges what only the lock kept apart (I9), Linux does not, and "
     "mremap refuses a range of two mappings"),
    (refused_by_a_seal,
     "Linux leaves a mapping split that it split for a call which a seal then refused, Cowbell does "
     "not (I9), and some calls refuse a range of two mappings"),
    (allocated_behind_the_end,
     "Linux does not count pages as resident, nor maps them around others, that fallocate made until "
     "somebody has looked; behind the end of the file the interpreter cannot"),
    (moved_into_registered,
     "Linux unregisters also what the moved mapping merges with: docs/userfaultfd.md"),
]


def reason_for(steps, difference):
    """Why the systems may differ at this step, or None."""
    steps = steps[:difference.step + 1]
    return next((reason for is_met, reason in KNOWN if is_met(steps, difference)), None)
