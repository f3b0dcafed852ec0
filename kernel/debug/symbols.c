/*
 * Names for addresses of the kernel's text. The table is made by tools/gen_symbols.py from the
 * first link of the kernel and linked into the second.
 */
#include <arch/layout.h>
#include <debug/backtrace.h>
#include <lib/string.h>

/* Sorted by offset, which counts from __text_start. */
struct symbol {
    u32 offset;
    u32 name; /* where it begins in kernel_symbol_names */
};

extern const u32 kernel_symbol_count;
extern const struct symbol kernel_symbols[];
extern const char kernel_symbol_names[];

const char *symbol_lookup(u64 address, u64 *offset)
{
    u32 low = 0;
    u32 high = kernel_symbol_count;
    u32 wanted;

    if (!is_kernel_text(address)) {
        return NULL;
    }
    wanted = (u32)(address - (u64)__text_start);
    /* The last symbol that is not above the address stands at low - 1 in the end. */
    while (low < high) {
        u32 middle = low + (high - low) / 2;

        if (kernel_symbols[middle].offset <= wanted) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) {
        return NULL;
    }
    *offset = wanted - kernel_symbols[low - 1].offset;
    return kernel_symbol_names + kernel_symbols[low - 1].name;
}

u64 symbol_address(const char *name)
{
    for (u32 i = 0; i < kernel_symbol_count; i++) {
        if (strcmp(kernel_symbol_names + kernel_symbols[i].name, name) == 0) {
            return (u64)__text_start + kernel_symbols[i].offset;
        }
    }
    return 0;
}
