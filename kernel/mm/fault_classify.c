/*
 * What kind of fault is it? The one place that decides; see the order in fault_classify().
 *
 * Owns no state and calls nothing, so that tests/host/test_fault_classify.c can try every
 * combination of facts. Read fault.c next for who gathers the facts and acts on the answer.
 */
#include <lib/types.h>
#include <mm/fault.h>
#include <mm/fault_classify.h>
#include <mm/vma.h>

static bool access_is_permitted(const struct fault_facts *facts);
static enum fault_kind classify_none(const struct fault_facts *facts);
static enum fault_kind classify_marker(const struct fault_facts *facts);
static enum fault_kind classify_present(const struct fault_facts *facts);
static enum fault_kind classify_unshare(const struct fault_facts *facts);
static enum fault_kind classify_write(const struct fault_facts *facts);

enum fault_kind fault_classify(const struct fault_facts *facts)
{
    if (facts->vma_kind == FAULT_VMA_ABSENT) {
        return FAULT_KIND_BAD_ADDRESS;
    }
    if (!access_is_permitted(facts)) {
        return FAULT_KIND_BAD_ACCESS;
    }
    switch (pte_kind(facts->entry)) {
    case PTE_KIND_NONE:
        return classify_none(facts);
    case PTE_KIND_PRESENT:
        return classify_present(facts);
    case PTE_KIND_MARKER:
        return classify_marker(facts);
    case PTE_KIND_SWAP:
        return FAULT_KIND_SWAP_IN;
    case PTE_KIND_MIGRATION:
        return FAULT_KIND_MIGRATION_WAIT;
    case PTE_KIND_CORRUPT:
        break;
    }
    return FAULT_KIND_CORRUPT;
}

/*
 * x86 grants reading with any right, and a debugger (FORCE) what the mapping could be given, as
 * long as a forced write lands in a private copy.
 */
static bool access_is_permitted(const struct fault_facts *facts)
{
    u64 flags = facts->vm_flags;
    bool is_forced = facts->access & FAULT_FLAG_FORCE;

    if (facts->access & FAULT_FLAG_WRITE) {
        bool may_force = facts->vma_kind != FAULT_VMA_SHARED && (flags & VM_MAYWRITE);

        return (flags & VM_WRITE) || (is_forced && may_force);
    }
    if (facts->access & FAULT_FLAG_EXEC) {
        return flags & VM_EXEC;
    }
    return (flags & VM_ACCESS_FLAGS) || (is_forced && (flags & VM_MAYREAD));
}

static enum fault_kind classify_none(const struct fault_facts *facts)
{
    bool is_write = facts->access & FAULT_FLAG_WRITE;
    bool needs_own_page = facts->access & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE);

    if (facts->vma_kind == FAULT_VMA_ANON) {
        if (facts->vm_flags & VM_UFFD_MISSING) {
            return FAULT_KIND_PAGER_MISSING;
        }
        return needs_own_page ? FAULT_KIND_ANON_ZERO : FAULT_KIND_ANON_ZERO_READ;
    }
    if (facts->vma_kind == FAULT_VMA_PRIVATE) {
        return needs_own_page ? FAULT_KIND_FILE_COPY : FAULT_KIND_FILE_MAP;
    }
    return is_write ? FAULT_KIND_FILE_SHARED : FAULT_KIND_FILE_MAP;
}

/* Several reasons may stand in one marker; the worst one counts (F8). */
static enum fault_kind classify_marker(const struct fault_facts *facts)
{
    u32 markers = pte_markers(facts->entry);

    if (markers & PTE_MARKER_POISON) {
        return FAULT_KIND_MARKER_POISON;
    }
    if (markers & PTE_MARKER_GUARD) {
        return FAULT_KIND_MARKER_GUARD;
    }
    if (!(markers & PTE_MARKER_UFFD_WP)) {
        return FAULT_KIND_CORRUPT;
    }
    return facts->vm_flags & VM_UFFD_WP ? FAULT_KIND_MARKER_WP : FAULT_KIND_MARKER_STALE;
}

static enum fault_kind classify_present(const struct fault_facts *facts)
{
    bool is_shared = facts->vma_kind == FAULT_VMA_SHARED;

    if (facts->access & FAULT_FLAG_WRITE) {
        return classify_write(facts);
    }
    if ((facts->access & FAULT_FLAG_UNSHARE) && !is_shared) {
        return classify_unshare(facts);
    }
    if (!pte_is_accessible(facts->entry)) {
        return FAULT_KIND_ACCESS;
    }
    if ((facts->access & FAULT_FLAG_EXEC) && !pte_is_executable(facts->entry)) {
        return FAULT_KIND_ACCESS;
    }
    return FAULT_KIND_SPURIOUS;
}

/* A reader that needs the page for itself. Never a notification, never a writable entry (J10). */
static enum fault_kind classify_unshare(const struct fault_facts *facts)
{
    switch (facts->page) {
    case FAULT_PAGE_ANON_EXCLUSIVE:
        return FAULT_KIND_SPURIOUS;
    case FAULT_PAGE_ANON_SOLE:
        return FAULT_KIND_UNSHARE_REUSE;
    default:
        return FAULT_KIND_UNSHARE_COPY;
    }
}

/*
 * A forced write needs no more than exclusivity: the entry stays read-only (J7). But who tracks
 * writes must hear of it.
 */
static bool is_written_as_it_is(const struct fault_facts *facts)
{
    return !(facts->vm_flags & VM_WRITE) &&
           ((facts->vm_flags & VM_SOFTDIRTY) || pte_is_soft_dirty(facts->entry));
}

static enum fault_kind classify_write(const struct fault_facts *facts)
{
    if (pte_is_writable(facts->entry)) {
        return FAULT_KIND_SPURIOUS;
    }
    if (pte_is_uffd_wp(facts->entry) && (facts->vm_flags & VM_UFFD_WP)) {
        return FAULT_KIND_PAGER_WP;
    }
    if (facts->vma_kind == FAULT_VMA_SHARED) {
        return facts->page == FAULT_PAGE_ZERO ? FAULT_KIND_FILE_HOLE : FAULT_KIND_FILE_DIRTY;
    }
    if (facts->page == FAULT_PAGE_ANON_EXCLUSIVE) {
        return is_written_as_it_is(facts) ? FAULT_KIND_SPURIOUS : FAULT_KIND_ANON_REUSE;
    }
    return facts->page == FAULT_PAGE_ANON_SOLE ? FAULT_KIND_ANON_REUSE : FAULT_KIND_ANON_COPY;
}

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
