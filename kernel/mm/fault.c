/*
 * The path of a fault: find and lock the VMA, look at the entry, classify, let a resolver act,
 * and look again until the access can be made.
 *
 * Owns the loop and the locks around it; mm/fault_classify.h decides, fault_anon.c, fault_cow.c and
 * fault_file.c resolve. A fault holds its VMA's own lock; mmap_lock is taken only where the look-up
 * without a lock finds nothing or meets a writer. Read mm/fault_classify.h next.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <lib/printk.h>
#include <mm/fault.h>
#include <mm/fault_classify.h>
#include <mm/gup.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/pager.h>
#include <mm/uffd.h>
#include <mm/vm_fault.h>
#include <mm/vma.h>
#include <proc/signal.h>
#include <proc/thread.h>
#include <uapi/linux/signal.h>

static ALWAYS_INLINE enum fault_outcome fault_once(struct mm *mm, u64 addr, u32 flags,
                                                   struct fault_info *info);
static enum fault_outcome ask_pager(u32 flags, struct fault_info *info);
/* The VMA's own lock did not do. */
static enum fault_outcome fault_under_mmap_lock(struct mm *mm, u64 addr, u32 flags,
                                                struct fault_info *info);
static ALWAYS_INLINE bool lock_last_vma(struct mm *mm, u64 addr, struct vma **out);
static bool lock_and_remember_vma(struct mm *mm, u64 addr, struct vma **out);
static bool fault_may_grow(u32 flags);
static enum fault_outcome fault_bad_address(struct fault_info *info);
static ALWAYS_INLINE enum fault_outcome resolve(struct vma *vma, u64 addr, u32 flags,
                                                struct fault_info *info);
static ALWAYS_INLINE enum fault_step fault_round(struct vm_fault *vmf);
static ALWAYS_INLINE enum fault_step resolve_absent(struct vm_fault *vmf, enum fault_kind kind);
static ALWAYS_INLINE enum fault_step resolve_present(struct vm_fault *vmf, enum fault_kind kind);
static NORETURN void no_resolver(const struct vm_fault *vmf, enum fault_kind kind);
static enum fault_step resolve_marker(struct vm_fault *vmf, enum fault_kind kind);
static enum fault_step forget_marker(struct vm_fault *vmf);
static NOINLINE enum fault_step forget_protection(struct vm_fault *vmf);

enum fault_outcome handle_mm_fault(struct mm *mm, u64 addr, u32 flags, struct fault_info *info)
{
    ASSERT((flags & (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE)) !=
               (FAULT_FLAG_WRITE | FAULT_FLAG_UNSHARE),
           "J9: a fault unshares for a reader or writes, never both");
    if (addr >= TASK_SIZE) {
        return fault_bad_address(info);
    }
    for (;;) {
        enum fault_outcome outcome = fault_once(mm, addr, flags, info);

        if (likely(outcome != FAULT_WOULD_WAIT)) {
            return outcome;
        }
        outcome = ask_pager(flags, info);
        if (outcome != FAULT_OK) {
            return outcome;
        }
    }
}

/* Return: as handle_mm_fault(), or FAULT_WOULD_WAIT with info->wait, whose object is referenced. */
static ALWAYS_INLINE enum fault_outcome fault_once(struct mm *mm, u64 addr, u32 flags,
                                                   struct fault_info *info)
{
    enum fault_outcome outcome;
    struct vma *vma;

    if (likely(lock_last_vma(mm, addr, &vma) || lock_and_remember_vma(mm, addr, &vma))) {
        outcome = resolve(vma, addr, flags, info);
        vma_read_unlock(vma);
        return outcome;
    }
    return fault_under_mmap_lock(mm, addr, flags, info);
}

/*
 * Waits for the pager as info->wait says; no lock is held. A thread that ends does not wait (C5).
 * Return: FAULT_OK to look again.
 */
static enum fault_outcome ask_pager(u32 flags, struct fault_info *info)
{
    struct fault_wait *wait = &info->wait;
    int error = -EAGAIN;

    if (wait->uffd != NULL) {
        return fault_uffd_sleep(wait, flags);
    }
    if (wait->object == NULL) {
        return FAULT_WOULD_WAIT;
    }
    if (!(flags & FAULT_FLAG_NOWAIT)) {
        error = wait->nr_pages != 0 ? object_bring_in(wait->object, wait->index, wait->nr_pages)
                                    : object_announce_write(wait->object, wait->index);
    }
    object_put(wait->object);
    switch (error) {
    case 0:
        return FAULT_OK;
    case -EAGAIN:
        return FAULT_WOULD_WAIT;
    case -EINTR:
        return FAULT_RETRY_SIGNAL;
    case -ENOMEM:
        return FAULT_OOM;
    default:
        info->si_code = BUS_ADRERR;
        return FAULT_SIGBUS;
    }
}

/*
 * Faults come in runs: the VMA of the thread's last one is tried first. What the hint leads to is a
 * VMA, or was one (V1), of this address space or of another; it counts once it is locked.
 */
static ALWAYS_INLINE bool lock_last_vma(struct mm *mm, u64 addr, struct vma **out)
{
    struct vma *vma = current_thread()->fault_vma;

    if (vma == NULL || READ_ONCE(vma->mm) != mm || addr < READ_ONCE(vma->start) ||
        addr >= READ_ONCE(vma->end) || !vma_read_trylock(mm, vma)) {
        return false;
    }
    if (unlikely(addr < vma->start || addr >= vma->end)) {
        vma_read_unlock(vma);
        return false;
    }
    *out = vma;
    return true;
}

static bool lock_and_remember_vma(struct mm *mm, u64 addr, struct vma **out)
{
    if (!vma_lock_lookup(mm, addr, out)) {
        return false;
    }
    current_thread()->fault_vma = *out;
    return true;
}

static enum fault_outcome fault_bad_address(struct fault_info *info)
{
    info->si_code = SEGV_MAPERR;
    return FAULT_SIGSEGV;
}

static enum fault_outcome fault_under_mmap_lock(struct mm *mm, u64 addr, u32 flags,
                                                struct fault_info *info)
{
    enum fault_outcome outcome;
    struct vma *vma;

    for (;;) {
        mm_read_lock(mm);
        vma = vma_find_at(mm, addr);
        if (vma != NULL) {
            outcome = resolve(vma, addr, flags, info);
            mm_read_unlock(mm);
            return outcome;
        }
        mm_read_unlock(mm);
        if (!fault_may_grow(flags) || mm_expand_stack(mm, addr) != 0) {
            return fault_bad_address(info);
        }
    }
}

/* A remote access does not grow a stack (J5): its owner may never touch that page. */
static bool fault_may_grow(u32 flags)
{
    return !(flags & (FAULT_FLAG_REMOTE | FAULT_FLAG_NOEXPAND));
}

/* Round after round until the access can be made. Inline, for the sake of handle_mm_fault(). */
static ALWAYS_INLINE enum fault_outcome resolve(struct vma *vma, u64 addr, u32 flags,
                                                struct fault_info *info)
{
    struct vm_fault vmf;

    vmf.vma = vma;
    vmf.mm = vma->mm;
    vmf.info = info;
    vmf.addr = addr & PAGE_MASK;
    vmf.exact_addr = addr;
    vmf.flags = flags;
    for (;;) {
        enum fault_step step = fault_round(&vmf);

        if (likely(step == FAULT_STEP_DONE)) {
            return FAULT_OK;
        }
        switch (step) {
        case FAULT_STEP_DONE:
        case FAULT_STEP_AGAIN:
            if ((flags & FAULT_FLAG_KILLABLE) && fatal_signal_pending(current_thread())) {
                return FAULT_RETRY_SIGNAL;
            }
            break;
        case FAULT_STEP_SIGSEGV:
            info->si_code = vmf.si_code;
            return FAULT_SIGSEGV;
        case FAULT_STEP_SIGBUS:
            info->si_code = vmf.si_code;
            return FAULT_SIGBUS;
        case FAULT_STEP_OOM:
            return FAULT_OOM;
        case FAULT_STEP_PAGER:
            object_get(vma->object);
            info->wait.uffd = NULL;
            info->wait.object = vma->object;
            info->wait.index = vma_page_index(vma, vmf.addr);
            info->wait.nr_pages = vmf.nr_wanted;
            return FAULT_WOULD_WAIT;
        case FAULT_STEP_UFFD:
            return FAULT_WOULD_WAIT;
        }
    }
}

enum fault_outcome handle_vma_fault(struct vma *vma, u64 addr, u32 flags, struct fault_info *info)
{
    enum fault_outcome outcome = resolve(vma, addr, flags | FAULT_FLAG_NOWAIT, info);

    if (outcome == FAULT_WOULD_WAIT && info->wait.object != NULL) {
        object_put(info->wait.object);
    }
    return outcome;
}

int fault_error(enum fault_outcome outcome, const struct fault_info *info, u32 foll_flags)
{
    switch (outcome) {
    case FAULT_OK:
        return 0;
    case FAULT_OOM:
        return -ENOMEM;
    case FAULT_RETRY_SIGNAL:
        return -EINTR;
    case FAULT_WOULD_WAIT:
        return foll_flags & FOLL_NOWAIT ? -EAGAIN : -EFAULT;
    case FAULT_SIGBUS:
        return info->si_code == BUS_MCEERR_AR && (foll_flags & FOLL_HWPOISON) ? -EHWPOISON
                                                                              : -EFAULT;
    case FAULT_SIGSEGV:
        break;
    }
    return -EFAULT;
}

static enum fault_vma_kind fault_vma_kind(const struct vma *vma)
{
    if (vma_is_anonymous(vma)) {
        return FAULT_VMA_ANON;
    }
    return vma->flags & VM_SHARED ? FAULT_VMA_SHARED : FAULT_VMA_PRIVATE;
}

/*
 * What stands behind a present entry. The table is locked, so the entry's own reference stays; an
 * anonymous page with no other one can gain none but through this entry.
 */
static enum fault_page fault_page_of(struct pte entry)
{
    const struct page *page = pte_page(entry);

    if (page == NULL) {
        return FAULT_PAGE_ZERO;
    }
    if (!page_is_anon(page)) {
        return FAULT_PAGE_FILE;
    }
    if (page_is_anon_exclusive(page)) {
        return FAULT_PAGE_ANON_EXCLUSIVE;
    }
    return page_refcount(page) == 1 ? FAULT_PAGE_ANON_SOLE : FAULT_PAGE_ANON_SHARED;
}

/*
 * One look and one action. A missing entry is classified without the lock, since whoever installs
 * checks it again; a present one under the lock, because its page is only then known to stay.
 */
static ALWAYS_INLINE enum fault_step fault_round(struct vm_fault *vmf)
{
    struct fault_facts facts = {
        .vma_kind = fault_vma_kind(vmf->vma),
        .vm_flags = vmf->vma->flags,
        .page = FAULT_PAGE_NONE,
        .access = vmf->flags,
    };

    if (unlikely(!fault_is_permitted(&facts))) {
        vmf->si_code = SEGV_ACCERR;
        return FAULT_STEP_SIGSEGV;
    }
    bool has_table = cursor_find(&vmf->cursor, vmf->mm, vmf->addr);

    vmf->entry = has_table ? cursor_pte(&vmf->cursor) : pte_none();
    if (!pte_is_present(vmf->entry)) {
        enum fault_kind kind;

        facts.entry = vmf->entry;
        kind = fault_classify(&facts);
        if (unlikely(kind == FAULT_KIND_MARKER_WP)) {
            /* As for none; what is entered takes the protection over from vmf->entry. */
            facts.entry = pte_none();
            kind = fault_classify(&facts);
        }
        return resolve_absent(vmf, kind);
    }
    cursor_lock(&vmf->cursor);
    facts.entry = cursor_pte(&vmf->cursor);
    vmf->entry = facts.entry;
    if (unlikely(!pte_is_present(facts.entry))) {
        cursor_unlock(&vmf->cursor);
        return FAULT_STEP_AGAIN;
    }
    facts.page = fault_page_of(facts.entry);
    return resolve_present(vmf, fault_classify(&facts));
}

/* Entered and left without the table's lock. */
static ALWAYS_INLINE enum fault_step resolve_absent(struct vm_fault *vmf, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_KIND_ANON_ZERO:
        return fault_anon_zero(vmf);
    case FAULT_KIND_ANON_ZERO_READ:
        return fault_anon_zero_read(vmf);
    case FAULT_KIND_FILE_MAP:
    case FAULT_KIND_FILE_SHARED:
        return fault_file_map(vmf);
    case FAULT_KIND_FILE_COPY:
        return fault_file_copy(vmf);
    case FAULT_KIND_PAGER_MISSING:
        return fault_anon_missing(vmf);
    case FAULT_KIND_MARKER_POISON:
    case FAULT_KIND_MARKER_GUARD:
    case FAULT_KIND_MARKER_STALE:
        return resolve_marker(vmf, kind);
    default:
        no_resolver(vmf, kind);
    }
}

/* Entered with the table locked; left unlocked. */
static ALWAYS_INLINE enum fault_step resolve_present(struct vm_fault *vmf, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_KIND_ANON_REUSE:
    case FAULT_KIND_UNSHARE_REUSE:
        return fault_cow_reuse(vmf);
    case FAULT_KIND_ANON_COPY:
    case FAULT_KIND_UNSHARE_COPY:
        return fault_cow_copy(vmf);
    case FAULT_KIND_PAGER_WP:
        return uffd_is_wp_async(vmf->vma) ? forget_protection(vmf) : fault_uffd_write(vmf);
    case FAULT_KIND_FILE_DIRTY:
        return fault_file_dirty(vmf);
    case FAULT_KIND_FILE_HOLE:
        return fault_file_hole(vmf);
    case FAULT_KIND_ACCESS:
        return fault_widen(vmf);
    case FAULT_KIND_SPURIOUS:
        cursor_unlock(&vmf->cursor);
        return FAULT_STEP_DONE;
    default:
        no_resolver(vmf, kind);
    }
}

static NORETURN void no_resolver(const struct vm_fault *vmf, enum fault_kind kind)
{
    panic("no resolver for a fault of kind '%s': entry %#lx at %#lx", fault_kind_name(kind),
          vmf->entry.bits, vmf->addr);
}

/*
 * C21: nobody is told, and the write goes on as one to a page that was never protected. One look
 * at the entry serves both.
 */
static NOINLINE enum fault_step forget_protection(struct vm_fault *vmf)
{
    struct pte entry = pte_without_uffd_wp(vmf->entry);
    struct fault_facts facts = {
        .vma_kind = fault_vma_kind(vmf->vma),
        .vm_flags = vmf->vma->flags,
        .entry = entry,
        .page = fault_page_of(entry),
        .access = vmf->flags,
    };

    if (!cursor_replace(&vmf->cursor, vmf->entry, entry)) {
        cursor_unlock(&vmf->cursor);
        return FAULT_STEP_AGAIN;
    }
    vmf->entry = entry;
    return resolve_present(vmf, fault_classify(&facts));
}

static enum fault_step resolve_marker(struct vm_fault *vmf, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_KIND_MARKER_STALE:
        return forget_marker(vmf);
    case FAULT_KIND_MARKER_GUARD:
        vmf->si_code = SEGV_MAPERR;
        return FAULT_STEP_SIGSEGV;
    default:
        vmf->si_code = BUS_MCEERR_AR;
        return FAULT_STEP_SIGBUS;
    }
}

/* The whole entry is compared: the marker may have become a worse one meanwhile (F7). */
static enum fault_step forget_marker(struct vm_fault *vmf)
{
    enum fault_step step = vm_fault_lock(vmf);

    if (step == FAULT_STEP_DONE) {
        cursor_set(&vmf->cursor, pte_none());
        cursor_unlock(&vmf->cursor);
        return FAULT_STEP_AGAIN;
    }
    return step;
}
