#!/usr/bin/env python3
"""Make the table of function names for the kernel's backtraces.

gen_symbols.py --empty          prints an empty table, for the first link
nm -n KERNEL | gen_symbols.py   prints the table of that link, for the second

The table stands behind everything whose address is in it, so the second link moves nothing.
"""
import sys


def read_symbols(lines):
    """The text symbols that lie between __text_start and __text_end, by address."""
    start = end = None
    found = {}
    for line in lines:
        words = line.split()
        if len(words) != 3:
            continue
        address, kind, name = int(words[0], 16), words[1], words[2]
        if name == "__text_start":
            start = address
        elif name == "__text_end":
            end = address
        elif kind in "tTwW" and (address not in found or found[address].startswith(".")):
            found[address] = name
    if start is None or end is None:
        sys.exit("gen_symbols.py: no __text_start and __text_end in the input of nm")
    return [(address - start, name) for address, name in sorted(found.items())
            if start <= address < end]


def print_table(symbols):
    print('    .section .symbols, "a"')
    print("    .balign 8")
    print("    .globl kernel_symbol_count, kernel_symbols, kernel_symbol_names")
    print(f"kernel_symbol_count:\n    .long {len(symbols)}")
    print("kernel_symbols:")
    position = 0
    for offset, name in symbols:
        print(f"    .long {offset:#x}, {position}")
        position += len(name) + 1
    print("kernel_symbol_names:")
    for _, name in symbols:
        print(f'    .asciz "{name}"')
    print('    .section .note.GNU-stack, "", @progbits')


print_table([] if sys.argv[1:] == ["--empty"] else read_symbols(sys.stdin))
