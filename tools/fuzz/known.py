"""Differences that are meant, each with its reason. A sequence ends where one is met: behind it the
systems are in different states."""
from .generate import (CLEAR_SOFT_DIRTY, FALLOC_KEEP_SIZE, MREMAP_FIXED, PAGE, PRESENT, SOFT_DIRTY,
                       ZERO)

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


# Where the range stands among the arguments; at the front where nothing is said.
RANGE_AT = {"pread": 1, "pwrite": 1, "vm_read": 1, "vm_write": 1}
# What may take pages out of mappings without naming an address; after `check` memory is compared.
MAY_SHOW_ALL = {"check", "ftruncate", "fallocate"}
WITHOUT_RANGE = MAY_SHOW_ALL | {"fork", "exit", "call", "brk", "clear_refs", "pin_read", "pipe_read", "unpin",
                                "uffd_open", "uffd_close"}


def ranges_of(step):
    """The ranges [offset, bytes] of the arena that a step names."""
    _, name, args = step
    if name in WITHOUT_RANGE:
        return []
    if name == "pagemap":
        return [[args[0] * PAGE, args[1] * PAGE]]
    if name == "mremap":
        return [args[:2], [args[4], args[2]]]
    if name == "uffd_move":
        return [args[:2], [args[3], args[1]]]
    at = RANGE_AT.get(name, 0)
    return [args[at:at + 2]]


def moved_into_registered(steps, difference):
    """Linux's userfaultfd has lost memory that Cowbell's watches: does the step show such memory?"""
    registered, lost = {}, []
    for slot, name, args in steps:
        ranges = registered.setdefault(slot, [])
        if name == "uffd_register":
            ranges.append(args[:2])
        elif name == "fork":
            registered.pop(args[0], None)
        elif name == "mremap" and args[3] & MREMAP_FIXED:
            source, target = args[:2], [args[4], args[2]]
            met = [range_ for range_ in ranges + lost if touches(source, range_)]
            into = [range_ for range_ in ranges if touches(target, range_)]
            if met and into:
                lost += [source, target, *met, *into]
    if steps[-1][1] in MAY_SHOW_ALL:
        return bool(lost) and difference.cowbell.split(" |")[0] == difference.linux.split(" |")[0]
    return any(touches(range_, other) for range_ in ranges_of(steps[-1]) for other in lost)


# Calls that may make a mapping that is new, and calls after which a mapping may become one with its
# neighbour that were two before.
MAKES_NEW = {"mmap", "mremap"}
JOINS = {"mprotect", "madvise", "mlock", "munlock", "mremap", "fork", "uffd_wait"}
JOINS_OTHERS = {"uffd_register", "uffd_unregister", "uffd_close"}   # by a child's descriptor


def names_since_clearing(steps, slot):
    """What a process and its ancestors did since the soft-dirty bits of its memory were cleared."""
    histories = {0: []}
    for actor, name, args in steps:
        if name == "clear_refs" and args[1] == CLEAR_SOFT_DIRTY:
            histories[args[0]] = ["cleared"]
            continue
        for one in list(histories) if name in JOINS_OTHERS else [actor]:
            histories.setdefault(one, []).append(name)
        if name == "fork":
            histories[args[0]] = list(histories[actor])
    return set(histories.get(slot, []))


def pages_that_differ(steps, difference, pairs, categories):
    """The pages of the arena whose letters here and there are among the pairs, if all that differ are
    and nothing else differs but what a scan tells of these categories."""
    _, name, args = steps[-1]
    if name not in ("pagemap", "pagemap_scan"):
        return set()
    ours, theirs = (line.split(" |") for line in (difference.cowbell, difference.linux))
    our_words, their_words = ours[0].split(), theirs[0].split()
    if len(our_words) != 6 or len(their_words) != 6 or ours[1:] != theirs[1:] or \
            len(our_words[5]) != len(their_words[5]):
        return set()
    is_told = name == "pagemap_scan" and args[3] & (categories * 0x01010101)
    found = [index for index, pair in enumerate(zip(our_words[5], their_words[5])) if pair[0] != pair[1]]
    if our_words[:5] != their_words[:5] and not is_told or \
            any(our_words[5][index] + their_words[5][index] not in pairs for index in found):
        return set()
    first = args[0] // PAGE if name == "pagemap_scan" else args[0]
    return {first + index for index in found}


def only_soft_dirty_here(steps, difference):
    return pages_that_differ(steps, difference, ("d-", "Dp"), SOFT_DIRTY)


def copied_from_a_joined_mapping(steps, difference):
    slot = steps[-1][0]
    names = {name for _, name, _ in steps}
    return bool(pages_that_differ(steps, difference, ("p-", "Dd"), PRESENT | ZERO)) and \
        any(name == "fork" and args[0] == slot for _, name, args in steps) and \
        bool(names & (JOINS | JOINS_OTHERS))


def joined_with_new(steps, difference):
    names = names_since_clearing(steps, steps[-1][0])
    return bool(only_soft_dirty_here(steps, difference)) and "cleared" in names and \
        bool(names & MAKES_NEW) and bool(names & (JOINS | JOINS_OTHERS))


def pinned_and_read_only(steps, difference):
    pages = only_soft_dirty_here(steps, difference)
    pinned = set()
    for slot, name, args in steps:
        if slot == steps[-1][0] and name == "pin":
            pinned |= set(range(args[0] // PAGE, (args[0] + args[1]) // PAGE))
        if name == "mremap" and pinned:
            pinned |= set(range(args[4] // PAGE, (args[4] + args[2]) // PAGE))
    return bool(pages) and pages <= pinned


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
    (joined_with_new,
     "when a mapping becomes one with a new one, Linux may forget that this is new; to Cowbell all of "
     "it counts as written then"),
    (pinned_and_read_only,
     "Linux forgets that a pinned page is soft-dirty if its entry is read-only; who pinned it may "
     "write all the same, and Cowbell does not forget it"),
    (copied_from_a_joined_mapping,
     "Linux 6.12 keeps a mapping that was written apart from one that was not, though they are alike "
     "again; Cowbell joins them (I9), and fork copies the zero pages of both"),
]


def reason_for(steps, difference):
    """Why the systems may differ at this step, or None."""
    steps = steps[:difference.step + 1]
    return next((reason for is_met, reason in KNOWN if is_met(steps, difference)), None)
