"""Shrink a sequence on which the systems differ to one of which no part can be left out.

Many candidates run in one boot of each guest: a boot takes longer than a sequence.
"""
BATCH = 24


def simpler_steps(step):
    """Variants of one step that are easier to read."""
    slot, name, args = step
    if name in ("write", "read") and args[1] > 1:
        yield (slot, name, [args[0], 1, *args[2:]])
        yield (slot, name, [args[0] & ~4095, 1, *args[2:]])
    elif name in ("mmap", "munmap", "mprotect", "madvise", "mlock", "munlock", "msync", "mincore"):
        for pages in (1, 2, 4):
            if args[1] > pages * 4096:
                yield (slot, name, [args[0], pages * 4096, *args[2:]])


def on_fewer_slots(steps):
    """The sequence with the steps of one process done by another one."""
    slots = sorted({slot for slot, _, _ in steps} | {0})
    for gone in reversed(slots):
        for other in slots:
            if other < gone:
                yield [(other if slot == gone else slot, name, args) for slot, name, args in steps
                       if (name, args[:1]) != ("fork", [gone])]


def without(steps, start, end):
    return steps[:start] + steps[end:]


class Shrinker:
    def __init__(self, systems, log):
        self.systems = systems
        self.log = log

    def first_failing(self, mode, candidates):
        """The first candidate on which the systems differ, cut behind the difference, or None."""
        for start in range(0, len(candidates), BATCH):
            batch = {f"c{index}": (mode, candidates[index])
                     for index in range(start, min(start + BATCH, len(candidates)))}
            while batch:
                found = self.systems.compare(batch)
                for name, difference in found.items():
                    if difference and not difference.reason:
                        return batch[name][1][:difference.step + 1]
                batch = {name: value for name, value in batch.items() if name not in found}
        return None

    def remove_parts(self, mode, steps):
        size = max(1, len(steps) // 2)
        while True:
            candidates = [without(steps, start, start + size)
                          for start in range(0, len(steps) - 1, size)]
            smaller = self.first_failing(mode, [c for c in candidates if c])
            if smaller is not None:
                steps = smaller
                self.log(f"  {len(steps)} steps")
                size = min(size, max(1, len(steps) // 2))
            elif size == 1:
                return steps
            else:
                size = max(1, size // 2)

    def simplify(self, mode, steps):
        candidates = [steps[:index] + [variant] + steps[index + 1:]
                      for index, step in enumerate(steps) for variant in simpler_steps(step)]
        smaller = self.first_failing(mode, candidates)
        return smaller

    def shrink(self, mode, steps):
        """`steps` ends with the step that differs. Return the minimal sequence."""
        if mode == "lazy" and self.first_failing("eager", [steps]):
            mode = "eager"
        steps = self.remove_parts(mode, steps)
        steps = self.first_failing(mode, list(on_fewer_slots(steps))) or steps
        for _ in range(12):
            simpler = self.simplify(mode, steps)
            if simpler is None:
                break
            steps = simpler
        return mode, self.remove_parts(mode, steps)
