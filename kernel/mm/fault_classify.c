/*
 * The names of the kinds of faults. What decides between them is in mm/fault_classify.h.
 */
#include <lib/types.h>
#include <mm/fault_classify.h>

const char *fault_kind_name(enum fault_kind kind)
{
    static const char *const names[] = {
        [FAULT_KIND_BAD_ADDRESS] = "bad address",
        [FAULT_KIND_BAD_ACCESS] = "bad access",
        [FAULT_KIND_ANON_ZERO] = "anon zero",
        [FAULT_KIND_ANON_ZERO_READ] = "anon zero read",
        [FAULT_KIND_FILE_MAP] = "file map",
        [FAULT_KIND_FILE_COPY] = "file copy",
        [FAULT_KIND_FILE_SHARED] = "file shared",
        [FAULT_KIND_MARKER_WP] = "marker wp",
        [FAULT_KIND_MARKER_POISON] = "marker poison",
        [FAULT_KIND_MARKER_GUARD] = "marker guard",
        [FAULT_KIND_MARKER_STALE] = "marker stale",
        [FAULT_KIND_SWAP_IN] = "swap in",
        [FAULT_KIND_MIGRATION_WAIT] = "migration wait",
        [FAULT_KIND_PAGER_MISSING] = "pager missing",
        [FAULT_KIND_PAGER_WP] = "pager wp",
        [FAULT_KIND_SPURIOUS] = "spurious",
        [FAULT_KIND_ACCESS] = "access",
        [FAULT_KIND_FILE_DIRTY] = "file dirty",
        [FAULT_KIND_FILE_HOLE] = "file hole",
        [FAULT_KIND_ANON_REUSE] = "anon reuse",
        [FAULT_KIND_ANON_COPY] = "anon copy",
        [FAULT_KIND_UNSHARE_REUSE] = "unshare reuse",
        [FAULT_KIND_UNSHARE_COPY] = "unshare copy",
        [FAULT_KIND_CORRUPT] = "corrupt",
    };

    _Static_assert(ARRAY_SIZE(names) == FAULT_KIND_NR, "every kind has a name");
    return kind < FAULT_KIND_NR ? names[kind] : "?";
}
