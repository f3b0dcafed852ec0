"""gdb commands that know Cowbell's structures; loaded by `make debug`.

  cb threads              every thread, with the backtrace of its kernel stack
  cb ps                   every process
  cb vmas [PID]           the VMAs of an address space (the current thread's without PID)
  cb walk ADDRESS [PID]   one address through the four levels, each entry decoded
  cb frame PFN            the struct page of a frame, and every entry that maps it
"""
import gdb

DIRECT_MAP = 0xffff800000000000
VMEMMAP = 0xffffe00000000000
ADDRESS_MASK = 0x000ffffffffff000
PAGE = 4096
TASK_SIZE = 0x7ffffffff000
PRESENT, HUGE = 1 << 0, 1 << 7
PTE_FLAGS = [(1 << 0, "present"), (1 << 1, "write"), (1 << 2, "user"), (1 << 3, "write-through"),
             (1 << 4, "uncached"), (1 << 5, "accessed"), (1 << 6, "dirty"), (1 << 7, "huge"),
             (1 << 8, "global"), (1 << 9, "special"), (1 << 10, "uffd-wp"),
             (1 << 11, "soft-dirty"), (1 << 63, "nx")]
VM_FLAGS = [(0, "r"), (1, "w"), (2, "x"), (3, "shared"), (8, "growsdown"), (9, "uffd-missing"),
            (12, "uffd-wp"), (13, "locked"), (17, "dontcopy"), (20, "account"), (21, "noreserve"),
            (25, "wipeonfork"), (27, "softdirty"), (38, "uffd-minor")]


def number(value):
    return int(value) & 0xffffffffffffffff


def read_u64(address):
    memory = gdb.selected_inferior().read_memory(address, 8)
    return int.from_bytes(bytes(memory), "little")


def flag_names(value, table):
    return " ".join(name for bit, name in table if value & bit) or "-"


def container(node, type_name, field):
    """The structure of `type_name` in which `node` is `field`."""
    kind = gdb.lookup_type(type_name)
    member = next(f for f in kind.fields() if f.name == field)
    return gdb.Value(number(node) - member.bitpos // 8).cast(kind.pointer())


def each(head, type_name, field):
    """Follow a struct list_node ring; `head` is the node that stands for the list."""
    first = number(head.address)
    node = head["next"]
    while number(node) != first:
        yield container(node, type_name, field)
        node = node["next"]


def symbol(name):
    found = gdb.lookup_static_symbol(name) or gdb.lookup_global_symbol(name)
    if found is None:
        raise gdb.GdbError(f"this kernel has no symbol {name}")
    return found.value()


def threads():
    return each(symbol("all_threads"), "struct thread", "all_link")


def current_thread():
    base = number(gdb.parse_and_eval("$gs_base"))
    if base < DIRECT_MAP:
        base = number(gdb.parse_and_eval("$k_gs_base"))
    return gdb.Value(read_u64(base + 8)).cast(gdb.lookup_type("struct thread").pointer())


def thread_of_pid(pid):
    for thread in threads():
        if number(thread["process"]) and int(thread["process"]["pid"]) == pid:
            return thread
    raise gdb.GdbError(f"no process {pid}")


def mm_of(words):
    thread = thread_of_pid(int(words[0], 0)) if words else current_thread()
    mm = thread["mm"]
    if number(mm) == 0:
        raise gdb.GdbError("a kernel thread has no user address space")
    return mm


def name_of(thread):
    return thread["comm"].string()


def describe(address):
    """The function that holds a return address, and the line of the call before it."""
    name = gdb.execute(f"info symbol {address:#x}", to_string=True).split(" in section")[0].strip()
    line = gdb.find_pc_line(address - 1)
    where = f"{line.symtab.filename}:{line.line}" if line.symtab else ""
    return f"{name} {where}"


def backtrace(thread):
    """Follow the frame pointers of a thread that does not run, from its saved stack pointer."""
    stack = number(thread["arch"]["rsp"])
    low = number(thread["arch"]["kernel_stack_base"])
    high = number(thread["arch"]["kernel_stack_top"])
    frame, address = read_u64(stack + 40), read_u64(stack + 48)
    for depth in range(32):
        print(f"      #{depth} {address:#x} {describe(address)}")
        if not low <= frame < high - 16:
            return
        frame, address = read_u64(frame), read_u64(frame + 8)
        if address < DIRECT_MAP:
            return


class Cowbell(gdb.Command):
    """cb threads | ps | vmas [PID] | walk ADDRESS [PID] | frame PFN"""

    def __init__(self):
        super().__init__("cb", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        words = gdb.string_to_argv(argument)
        actions = {"threads": self.threads, "ps": self.ps, "vmas": self.vmas, "walk": self.walk,
                   "frame": self.frame}
        if not words or words[0] not in actions:
            raise gdb.GdbError(__doc__)
        actions[words[0]](words[1:])

    def threads(self, words):
        for thread in threads():
            process = thread["process"]
            pid = int(process["pid"]) if number(process) else 0
            running = bool(thread["sched"]["is_current"])
            print(f"tid {int(thread['tid'])} pid {pid} cpu {int(thread['cpu'])} "
                  f"{name_of(thread)} {'running' if running else 'state ' + str(int(thread['state']))}"
                  f"  (struct thread *) {number(thread):#x}")
            if not running:
                backtrace(thread)

    def ps(self, words):
        seen = set()
        for thread in threads():
            process = thread["process"]
            if number(process) and number(process) not in seen:
                seen.add(number(process))
                print(f"pid {int(process['pid'])} parent {int(process['parent_pid'])} "
                      f"threads {int(process['nr_threads'])} {process['comm'].string()}"
                      f"  (struct process *) {number(process):#x}")

    def vmas(self, words):
        mm = mm_of(words)
        print(f"(struct mm *) {number(mm):#x}: {int(mm['map_count'])} VMAs, "
              f"{int(mm['total_vm'])} pages")
        for vma in each(mm["vma_list"], "struct vma", "link"):
            flags = number(vma["flags"])
            print(f"{number(vma['start']):012x}-{number(vma['end']):012x} "
                  f"{flag_names(flags, [(1 << bit, name) for bit, name in VM_FLAGS])} "
                  f"pgoff {number(vma['pgoff']):#x} object {number(vma['object']):#x}"
                  f"  (struct vma *) {number(vma):#x}")

    def walk(self, words):
        if not words:
            raise gdb.GdbError("cb walk ADDRESS [PID]")
        address = number(gdb.parse_and_eval(words[0]))
        table = number(mm_of(words[1:])["pgd"])
        for level in (3, 2, 1, 0):
            index = (address >> (12 + 9 * level)) & 511
            entry = read_u64(DIRECT_MAP + table + 8 * index)
            print(f"level {level}: table {table:#x} entry {index:3} = {entry:#018x}  "
                  f"{flag_names(entry, PTE_FLAGS) if entry & PRESENT else 'not present'}")
            if not entry & PRESENT:
                return
            table = entry & ADDRESS_MASK
            if level == 0 or entry & HUGE:
                size = PAGE << (9 * level)
                print(f"physical {(table & ~(size - 1)) + address % size:#x}, "
                      f"frame {table // PAGE:#x}")
                return

    def frame(self, words):
        if not words:
            raise gdb.GdbError("cb frame PFN")
        pfn = number(gdb.parse_and_eval(words[0]))
        page = gdb.Value(VMEMMAP + pfn * 64).cast(gdb.lookup_type("struct page").pointer())
        print(f"(struct page *) {number(page):#x}: flags {int(page['flags']['value']):#x} "
              f"refcount {int(page['refcount']['value'])} mapcount {int(page['mapcount']['value'])}"
              f" pincount {int(page['pincount']['value'])}")
        seen = set()
        for thread in threads():
            mm = thread["mm"]
            if number(mm) and number(mm) not in seen:
                seen.add(number(mm))
                for address, entry in leaves(number(mm["pgd"]), 3, 0, 256):
                    if (entry & ADDRESS_MASK) // PAGE == pfn:
                        print(f"  mapped by {name_of(thread)} (mm {number(mm):#x}) at "
                              f"{address:#x}: {flag_names(entry, PTE_FLAGS)}")


def leaves(table, level, base, entries):
    """Every present leaf entry below a table, with its address; the kernel's half is left out."""
    memory = bytes(gdb.selected_inferior().read_memory(DIRECT_MAP + table, PAGE))
    for index in range(entries):
        entry = int.from_bytes(memory[8 * index:8 * index + 8], "little")
        if not entry & PRESENT:
            continue
        address = base + (index << (12 + 9 * level))
        if level == 0 or entry & HUGE:
            yield address, entry
        else:
            yield from leaves(entry & ADDRESS_MASK, level - 1, address, 512)


Cowbell()
print("Cowbell's commands: cb threads | ps | vmas [PID] | walk ADDRESS [PID] | frame PFN")
