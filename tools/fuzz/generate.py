"""Make random sequences of memory calls. The same seed gives the same sequence.

A step is (slot, operation, arguments); tests/user/fuzz_ops.c says what each operation does.
Addresses are byte offsets into the arena. Most steps aim at what is likely to be mapped.
"""
import random

PAGE = 4096
ARENA_PAGES = 256       # the interpreter's arena is larger: a range may end behind this
ZONE = 16               # pages; most ranges start and end near a zone's start
HEAP_PAGES = 16
NR_SLOTS = 4
NR_FILES = 2

PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 1, 2, 0x10, 0x20
MAP_LOCKED, MAP_NORESERVE, MAP_POPULATE, MAP_FIXED_NOREPLACE = 0x2000, 0x4000, 0x8000, 0x100000
MREMAP_MAYMOVE, MREMAP_FIXED, MREMAP_DONTUNMAP = 1, 2, 4

PROTECTIONS = [0, PROT_READ, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
               PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC, PROT_WRITE]
# NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED FREE REMOVE DONTFORK DOFORK MERGEABLE UNMERGEABLE HUGEPAGE
# NOHUGEPAGE DONTDUMP DODUMP WIPEONFORK KEEPONFORK COLD PAGEOUT POPULATE_READ POPULATE_WRITE
# DONTNEED_LOCKED COLLAPSE, and none. No huge page has room in the arena.
ADVICE = [0, 1, 2, 3, 4, 4, 4, 4, 4, 8, 9, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 18, 19, 20, 21, 22, 22,
          23, 23, 24, 25, 77]
PAGEOUT = 21
PM_SCAN_WP_MATCHING, PM_SCAN_CHECK_WPASYNC = 1, 2
# What a page is: write-protection allowed, written, file, present, swapped, zero, huge, soft-dirty.
CATEGORIES = [1 << bit for bit in range(8)]
WRITTEN, PRESENT, ZERO, SOFT_DIRTY = (CATEGORIES[bit] for bit in (1, 3, 5, 7))
# Of clear_refs: forget what is used (all, anonymous, of files), what is written, the peak; and none.
CLEAR_REFS = [1, 2, 3, 4, 4, 4, 4, 4, 4, 5, 0, 6, 44]
CLEAR_SOFT_DIRTY = 4
FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE = 1, 2
# SIGBUS instead of a handler's answer, write-protect, poison and move; and one of them with markers on
# anonymous memory, one asynchronous.
UFFD_BASE = (1 << 0) | (1 << 7) | (1 << 14) | (1 << 16)
UFFD_ASYNC = UFFD_BASE | (1 << 15)
UFFD_FEATURES = [UFFD_BASE, UFFD_BASE, UFFD_BASE | (1 << 13), UFFD_ASYNC]

WEIGHTS = {
    "mmap": 14, "munmap": 5, "mprotect": 10, "madvise": 12, "mremap": 8, "write": 18, "read": 5,
    "fork": 4, "exit": 2, "msync": 2, "mincore": 4, "mlock": 3, "munlock": 2, "mseal": 1,
    "pread": 3, "pwrite": 3, "ftruncate": 2, "fallocate": 2, "brk": 3, "check": 4, "pipe_hold": 3, "pipe_read": 3,
}
FEATURE_WEIGHTS = {
    "process_vm": {"vm_read": 3, "vm_write": 3},
    "pagemap": {"pagemap": 5, "pagemap_scan": 6, "clear_refs": 4},
    "pins": {"pin": 3, "pin_read": 5, "unpin": 1},
    "uffd": {"uffd_open": 2, "uffd_register": 5, "uffd_unregister": 2, "uffd_copy": 6,
             "uffd_zero": 3, "uffd_protect": 6, "uffd_continue": 4, "uffd_poison": 1,
             "uffd_move": 3, "uffd_close": 1, "uffd_wake": 2, "uffd_wait": 4},
}
# What may write to a page, or change how it is mapped, behind the back of who tracks writes.
TRACKED = {"write": 8, "read": 3, "mprotect": 3, "madvise": 3, "mremap": 2, "pread": 2, "pwrite": 1, "mmap": 1,
           "mlock": 1, "ftruncate": 1}


class Generator:
    def __init__(self, seed, features):
        self.random = random.Random(seed)
        self.alive = {0}
        self.mapped = []        # the last ranges [first page, pages] that were mapped
        self.opened = set()     # slots with a userfaultfd of their own
        self.tracking = set()   # slots whose userfaultfd lets writes through, and notes them
        self.watched = {}       # slot: the last ranges registered with it
        self.focus = None       # where most ranges of this step are
        weights = dict(WEIGHTS)
        for feature in features:
            weights.update(FEATURE_WEIGHTS.get(feature, {}))
        self.names, self.weights = list(weights), list(weights.values())
        # Pages that are not paged out may still leave the page tables, as pagemap shows.
        self.advice = [a for a in ADVICE if a != PAGEOUT or "pagemap" not in features]

    def choose_focus(self, slot):
        """Most steps of a program with a userfaultfd are about memory that it watches."""
        watched = self.watched.get(slot)
        dice = self.random.random()
        if watched and dice < 0.5:
            self.focus = self.random.choice(watched)
        else:
            self.focus = self.random.choice(self.mapped) if self.mapped and dice < 0.8 else None

    def page(self):
        if self.focus and self.random.random() < 0.8:
            first, count = self.focus
            return first + self.random.choice([0, 0, 1, 2, self.random.randrange(count)]) % count
        zone = self.random.randrange(ARENA_PAGES // ZONE) * ZONE
        return zone + self.random.choice([0, 0, 0, 1, 2, 4, 8, self.random.randrange(ZONE)])

    def length(self):
        """In pages."""
        return self.random.choice([1, 1, 2, 3, 4, 8, 12, 16, 16, self.random.randrange(1, 33)])

    def within(self, page):
        """In pages: a length that ends with the focus, if the page is in it."""
        length = self.length()
        if self.focus and self.focus[0] <= page < sum(self.focus):
            length = min(length, sum(self.focus) - page)
        return length

    def range(self, is_within=False):
        """[offset, bytes] of whole pages, rarely not quite."""
        page = self.page()
        offset = page * PAGE
        length = (self.within(page) if is_within else self.length()) * PAGE
        dice = self.random.random()
        if dice < 0.01:
            offset += self.random.choice([1, 8, 2048])
        elif dice < 0.02:
            length += self.random.choice([-1, 1, 2048])
        elif dice < 0.025:
            length = 0
        return [offset, length]

    def bytes(self):
        """[offset, bytes] of any place and size."""
        offset = self.page() * PAGE + self.random.choice([0, 0, 0, 8, 4090, 100])
        length = self.random.choice([1, 8, 64, PAGE, PAGE, 3 * PAGE, self.random.randrange(1, 20000)])
        return [offset, length]

    def file_offset(self):
        return self.random.randrange(0, 56) * PAGE

    def mmap(self):
        offset, length = self.range()
        flags = self.random.choice([MAP_FIXED] * 6 + [MAP_FIXED_NOREPLACE, 0])
        flags |= self.random.choice([MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED])
        flags |= self.random.choice([0] * 8 + [MAP_POPULATE, MAP_NORESERVE, MAP_LOCKED])
        if self.random.random() < 0.6:
            return [offset, length, self.random.choice(PROTECTIONS), flags | MAP_ANONYMOUS, -1, 0]
        return [offset, length, self.random.choice(PROTECTIONS), flags,
                self.random.randrange(NR_FILES), self.file_offset()]

    def mremap(self):
        offset, length = self.range()
        new = self.random.choice([length, length, self.length() * PAGE])
        flags = self.random.choice([0, MREMAP_MAYMOVE, MREMAP_MAYMOVE | MREMAP_FIXED,
                                    MREMAP_MAYMOVE | MREMAP_FIXED, MREMAP_FIXED,
                                    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP])
        if flags & MREMAP_DONTUNMAP and self.random.random() < 0.8:
            new = length
        if self.random.random() < 0.03:
            length = 0
        return [offset, length, new, flags, self.page() * PAGE]

    def fallocate(self):
        mode = self.random.choice([0, FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE,
                                   FALLOC_PUNCH_HOLE | FALLOC_KEEP_SIZE, FALLOC_PUNCH_HOLE])
        return [self.random.randrange(NR_FILES), mode, self.random.randrange(0, 48 * PAGE),
                self.random.choice([PAGE, 5000, 8 * PAGE, 0])]

    def categories(self, *likely):
        if self.random.random() < 0.8:
            return self.random.choice(likely)
        return self.random.choice([*CATEGORIES, self.random.randrange(256)])

    def scan(self):
        """A report of what matches, or only the protection of it."""
        flags = self.random.choice([0, 0, 0, PM_SCAN_CHECK_WPASYNC, *[PM_SCAN_WP_MATCHING] * 4,
                                    *[PM_SCAN_WP_MATCHING | PM_SCAN_CHECK_WPASYNC] * 2,
                                    self.random.choice([0, 4])])
        inverted = self.categories(0)
        required = self.categories(0, WRITTEN, WRITTEN, PRESENT, SOFT_DIRTY)
        any_of, returned = self.categories(0, 0, WRITTEN | PRESENT), self.categories(255, 255, WRITTEN)
        masks = inverted | required << 8 | any_of << 16 | returned << 24
        return self.range(is_within=True) + [flags, masks, self.random.choice([64, 64, 64, 1, 2, 0]),
                                             self.random.choice([0, 0, 0, 1, 3])]

    def scan_step(self, slot):
        """Mostly of memory whose writes are tracked."""
        steps = []
        if "uffd_open" in self.names and self.random.random() < 0.7:
            if slot not in self.tracking:
                steps.append(self.open(slot, UFFD_ASYNC))
            if not self.watched.get(slot):
                steps += self.map_and_register(slot)
            self.focus = self.random.choice(self.watched[slot])
        return steps + [(slot, "pagemap_scan", self.scan())]

    def track(self, slot):
        """What is soft-dirty of a process after a few steps of its own."""
        tracked = self.random.choice([slot, slot, *sorted(self.alive)])
        self.choose_focus(tracked)
        steps = [(slot, "clear_refs", [tracked, CLEAR_SOFT_DIRTY])]
        for name in self.random.choices(list(TRACKED), list(TRACKED.values()), k=self.random.randrange(5)):
            steps.append((tracked, name, self.arguments(name)))
            if name == "mmap":
                self.remember(self.mapped, steps[-1][2])
        first, count = self.focus or [self.page(), ZONE]
        return steps + [(tracked, "pagemap", [first, count])]

    def wake(self):
        """A range that UFFDIO_WAKE is to take, or not."""
        offset, length = self.range(is_within=True)
        dice = self.random.random()
        if dice < 0.1:
            length = self.random.choice([0, -PAGE, 1 << 47, 100])
        elif dice < 0.2:
            offset = self.random.choice([offset + 8, -(1 << 44), 1 << 46])
        return [offset, length]

    def wait(self):
        """A page of a range that somebody waits for, and what is woken."""
        offset, length = self.range(is_within=True)
        touched = offset + self.random.randrange(max(1, length)) if self.random.random() < 0.9 else \
            self.page() * PAGE
        wake = self.random.choice([[touched & -PAGE, PAGE], [offset, length], self.wake()])
        return [offset, length, touched, self.random.choice([0, 1, 1, 2, 3, 3]), *wake]

    def wait_step(self, slot):
        """Mostly in memory that no other userfaultfd watches."""
        if self.random.random() < 0.3:
            return [(slot, "uffd_wait", self.wait())]
        offset, length = self.random.randrange(ARENA_PAGES // ZONE) * ZONE * PAGE, 8 * PAGE
        kind = self.random.choice([MAP_PRIVATE | MAP_ANONYMOUS] * 3 + [MAP_SHARED | MAP_ANONYMOUS] * 2 +
                                  [MAP_SHARED, MAP_PRIVATE])
        file, at = (-1, 0) if kind & MAP_ANONYMOUS else (0, self.file_offset())
        steps = [(slot, "mmap", [offset, length, PROT_READ | PROT_WRITE, MAP_FIXED | kind, file, at])]
        self.remember(self.mapped, [offset, length])
        self.focus = self.mapped[-1]
        if self.random.random() < 0.5:
            steps.append((slot, self.random.choice(["write", "read"]), [offset, 2 * PAGE, 1]))
        return steps + [(slot, "uffd_wait", self.wait())]

    def uffd(self, name):
        if name == "uffd_close":
            return []
        if name == "uffd_wake":
            return self.wake()
        # A range that is registered already keeps its write protection: docs/userfaultfd.md says why.
        mode = {"uffd_register": [2, 2, 3, 3, 6, 7, 0], "uffd_copy": [0, 0, 0, 1, 2, 2],
                "uffd_zero": [0, 0, 1], "uffd_protect": [1, 1, 0, 3],
                "uffd_continue": [0, 0, 1, 2], "uffd_move": [0, 2, 2, 1]}.get(name, [0])
        last = {"uffd_copy": lambda: [self.random.randrange(256)],
                "uffd_move": lambda: [self.page() * PAGE]}.get(name, list)
        return self.range(is_within=True) + [self.random.choice(mode)] + last()

    def uffd_step(self, slot, name):
        """A command that has something to act on, mostly: a descriptor, a registered range."""
        is_likely = self.random.random() < 0.9
        if is_likely and slot not in self.opened:
            name = "uffd_open"
        elif is_likely and name != "uffd_close" and not self.watched.get(slot):
            name = "uffd_register"
        elif is_likely and self.watched.get(slot) and name not in ("uffd_open", "uffd_register"):
            self.focus = self.random.choice(self.watched[slot])
        if name == "uffd_register" and is_likely:
            return self.map_and_register(slot)
        if name == "uffd_open":
            return [self.open(slot, self.random.choice(UFFD_FEATURES))]
        if name == "uffd_close":
            self.forget(slot)
        return [(slot, name, self.uffd(name))]

    def open(self, slot, features):
        self.forget(slot)
        self.opened.add(slot)
        if features == UFFD_ASYNC:
            self.tracking.add(slot)
        return (slot, "uffd_open", [features])

    def forget(self, slot):
        """Its userfaultfd is gone, or stays open behind a new one."""
        self.opened.discard(slot)
        self.tracking.discard(slot)
        self.watched.pop(slot, None)

    def map_and_register(self, slot):
        """Memory whose kind and place a registration suits."""
        range_ = [self.random.randrange(ARENA_PAGES // ZONE) * ZONE * PAGE,
                  self.random.choice([4, 8, ZONE]) * PAGE]
        kind = self.random.choice([MAP_PRIVATE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS,
                                   MAP_SHARED | MAP_ANONYMOUS, MAP_SHARED, MAP_PRIVATE])
        file = -1 if kind & MAP_ANONYMOUS else 0
        offset = 0 if file < 0 else self.random.randrange(0, 40) * PAGE
        # Registered for MISSING alone, a file's pages are mapped around on Linux and not here.
        modes = [1, 2, 3, 3] if kind == MAP_PRIVATE | MAP_ANONYMOUS else [2, 3, 3, 4, 5, 6, 7]
        self.remember(self.watched.setdefault(slot, []), range_)
        steps = [(slot, "mmap", [*range_, PROT_READ | PROT_WRITE, MAP_FIXED | kind, file, offset])]
        if self.random.random() < 0.5:
            steps.append((slot, "write", [range_[0], range_[1] // 2, self.random.randrange(256)]))
        return steps + [(slot, "uffd_register", [*range_, self.random.choice(modes)])]

    @staticmethod
    def remember(ranges, arguments):
        ranges.append([arguments[0] // PAGE, max(1, arguments[1] // PAGE)])
        del ranges[:-4]

    def arguments(self, name):
        pick, below = self.random.choice, self.random.randrange
        if name in ("mmap", "mremap", "fallocate"):
            return getattr(self, name)()
        if name.startswith("uffd_"):
            return self.uffd(name)
        if name in ("munmap", "munlock", "mincore"):
            return self.range()
        if name == "mprotect":
            return self.range() + [pick(PROTECTIONS)]
        if name == "madvise":
            return self.range() + [pick(self.advice)]
        if name == "msync":
            return self.range() + [pick([1, 4, 4, 2, 6, 5, 0, 8])]
        if name == "mlock":
            return self.range() + [pick([0, 0, 1, 2])]
        if name == "mseal":
            return self.range() + [pick([0] * 8 + [1])]
        if name == "write":
            return self.bytes() + [below(256)]
        if name == "read":
            return self.bytes()
        if name == "pagemap":
            return [self.page(), self.length()]
        if name == "pin":
            page = self.page()
            return [page * PAGE, self.within(page) * PAGE]
        if name == "pipe_hold":
            return [self.page() * PAGE + pick([0, 0, 100]), pick([1, 100, PAGE, 2 * PAGE, 3 * PAGE])]
        if name == "pipe_read":
            return [below(NR_SLOTS), pick([1, 100, PAGE, 4 * PAGE])]
        if name in ("pread", "pwrite"):
            return [below(NR_FILES)] + self.bytes() + [self.file_offset() + pick([0, 0, 100])]
        if name == "ftruncate":
            return [below(NR_FILES), pick([below(64) * PAGE, below(64 * PAGE), 0])]
        if name == "brk":
            return [pick([below(HEAP_PAGES + 1) * PAGE, below(HEAP_PAGES * PAGE)])]
        if name == "clear_refs":
            return [pick(sorted(self.alive)), pick(CLEAR_REFS)]
        if name == "vm_read":
            return [pick(sorted(self.alive))] + self.bytes()
        if name == "vm_write":
            return [pick(sorted(self.alive))] + self.bytes() + [below(256)]
        return []

    def step(self):
        """One step, or a few that belong together."""
        slot = self.random.choice(sorted(self.alive))
        name = self.random.choices(self.names, self.weights)[0]
        self.choose_focus(slot)
        if name == "uffd_wait":
            return self.wait_step(slot)
        if name.startswith("uffd_"):
            return self.uffd_step(slot, name)
        if name == "pagemap_scan":
            return self.scan_step(slot)
        if name == "clear_refs" and self.random.random() < 0.7:
            return self.track(slot)
        if name == "fork":
            free = sorted(set(range(NR_SLOTS)) - self.alive)
            if not free:
                name = "exit"
            else:
                self.alive.add(free[0])
                return [(slot, "fork", [free[0]])]
        if name == "exit":
            if len(self.alive) == 1:
                return [(slot, "check", [])]
            self.alive.discard(slot)
            self.forget(slot)
            return [(slot, "exit", [])]
        arguments = self.arguments(name)
        if name == "mmap":
            self.remember(self.mapped, arguments)
        return [(slot, name, arguments)]


def make(seed, count, features):
    """Return (mode, steps): `count` of them, after some that map something, and a last check."""
    generator = Generator(seed, features)
    mode = generator.random.choice(["eager", "lazy"])
    flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS
    steps = [(0, "mmap", [zone * ZONE * PAGE, ZONE * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0])
             for zone in generator.random.sample(range(ARENA_PAGES // ZONE), 6)]
    for _, _, arguments in steps:
        generator.remember(generator.mapped, arguments)
    for _ in range(count):
        steps += generator.step()
    return mode, steps + [(min(generator.alive), "check", [])]


def to_text(name, mode, steps):
    lines = [f"sequence {name} {mode}"]
    lines += [" ".join([str(slot), operation, *map(str, args)]) for slot, operation, args in steps]
    return "\n".join(lines) + "\n"
