/*
 * The surroundings of kernel/mm's shape files for host tests. Read first: fake_mm.h.
 */
#include <stdlib.h>

#include <debug/lockstat.h>
#include <fake_kernel.h>
#include <fake_mm.h>
#include <ipc/file.h>
#include <lib/assert.h>
#include <lib/cmdline.h>
#include <lib/errno.h>
#include <lib/random.h>
#include <mm/change_protection.h>
#include <mm/fail_inject.h>
#include <mm/mm.h>
#include <mm/pager.h>
#include <mm/populate.h>
#include <mm/ranges.h>
#include <mm/reclaim.h>
#include <mm/rmap.h>
#include <mm/shmem.h>
#include <mm/slab.h>
#include <mm/tlb.h>
#include <mm/vma.h>
#include <mm/zap.h>
#include <proc/cred.h>
#include <proc/waitqueue.h>

struct fake_entry fake_entries[FAKE_NR_PAGES];
u64 fake_limits[16];

/* --- caches: the host's malloc, so that its sanitizer watches ----------------------------------
 */

struct kmem_cache {
    size_t size;
    void (*ctor)(void *object);
    u64 in_use;
};

static struct kmem_cache caches[16];
static u32 nr_caches;

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
                                     void (*ctor)(void *))
{
    caches[nr_caches] = (struct kmem_cache){.size = size, .ctor = ctor};
    return &caches[nr_caches++];
}

struct kmem_cache *kmem_cache_create_type_stable(const char *name, size_t size, size_t align,
                                                 void (*ctor)(void *))
{
    return kmem_cache_create(name, size, align, ctor);
}

void *kmem_cache_alloc(struct kmem_cache *cache, u32 flags)
{
    void *object;

    if (fail_inject_should_fail()) {
        return NULL;
    }
    cache->in_use++;
    object = calloc(1, cache->size);
    if (cache->ctor != NULL) {
        cache->ctor(object);
    }
    return object;
}

void kmem_cache_free(struct kmem_cache *cache, void *object)
{
    cache->in_use--;
    free(object);
}

u64 slab_objects_in_use(void)
{
    u64 count = 0;

    for (u32 i = 0; i < nr_caches; i++) {
        count += caches[i].in_use;
    }
    return count;
}

u64 frames_total_count(void)
{
    return 1UL << 20;
}

/* --- locks: one thread, so a lock that is not free is a mistake ---------------------------------
 */

void lockstat_contended(u16 rank)
{
}

void rwsem_init(struct rwsem *sem, enum lock_rank rank)
{
    sem->count = 0;
}

void rwsem_read_lock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    ASSERT((sem->count & RWSEM_WRITER) == 0, "a lock that is held for writing is not shared");
    sem->count += RWSEM_READER;
}

void rwsem_read_unlock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    ASSERT(sem->count >= RWSEM_READER, "a lock is unlocked by its holder");
    sem->count -= RWSEM_READER;
}

void rwsem_write_lock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    ASSERT(sem->count == 0, "a lock is taken once");
    sem->count = RWSEM_WRITER;
}

int rwsem_write_lock_killable(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    rwsem_write_lock(sem);
    return 0;
}

void rwsem_write_unlock(struct rwsem *sem) NO_THREAD_SAFETY_ANALYSIS
{
    ASSERT(sem->count == RWSEM_WRITER, "a lock is unlocked by its holder");
    sem->count = 0;
}

bool rwsem_is_write_held(const struct rwsem *sem)
{
    return sem->count == RWSEM_WRITER;
}

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
}

void wake_up_all(struct wait_queue *queue)
{
}

void wait_entry_init(struct wait_entry *entry, wait_func func)
{
}

int wait_step_prepare(struct wait_queue *queue, struct wait_entry *entry, enum sleep_kind kind)
{
    BUG("with one thread nobody waits");
}

void wait_step_finish(struct wait_queue *queue, struct wait_entry *entry)
{
}

void schedule(void)
{
    BUG("with one thread nobody waits");
}

int schedule_timed(u64 deadline_ns)
{
    BUG("with one thread nobody waits");
}

int thread_signal_interrupts(enum sleep_kind kind)
{
    return 0;
}

/* --- the process --------------------------------------------------------------------------------
 */

bool has_capability(enum capability capability)
{
    return capability != CAP_IPC_LOCK && capability != CAP_SYS_ADMIN;
}

u64 rlimit_get(unsigned which)
{
    return fake_limits[which];
}

void file_put(struct file *file)
{
    file->refs.count--;
}

bool cmdline_has(const char *name)
{
    return false;
}

void random_bytes(void *buf, size_t len)
{
}

/* --- objects without pages -----------------------------------------------------------------------
 */

static void release_pages(struct vm_object *object)
{
}

const struct object_ops shmem_ops = {.release = release_pages};

int object_punch_hole(struct vm_object *object, u64 start, u64 end)
{
    return 0;
}

int mm_populate(struct mm *mm, u64 start, u64 end)
{
    return 0;
}

int mm_populate_range(struct mm *mm, u64 start, u64 end, enum populate_mode mode)
{
    return 0;
}

/* --- generations ---------------------------------------------------------------------------------
 */

struct anon_vma {
    u64 nr_vmas;
};

static u64 nr_anon_vmas;

int anon_vma_prepare(struct vma *vma)
{
    if (vma->anon_vma == NULL) {
        vma->anon_vma = calloc(1, sizeof(struct anon_vma));
        vma->anon_vma->nr_vmas = 1;
        nr_anon_vmas++;
    }
    return 0;
}

void anon_vma_clone(struct vma *dst, struct vma *src)
{
    ASSERT(dst->anon_vma == NULL, "a VMA is in one generation");
    dst->anon_vma = src->anon_vma;
    dst->anon_vma->nr_vmas++;
}

void anon_vma_unlink(struct vma *vma)
{
    if (--vma->anon_vma->nr_vmas == 0) {
        free(vma->anon_vma);
        nr_anon_vmas--;
    }
    vma->anon_vma = NULL;
}

void reclaim_allow(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
}

void reclaim_age(struct vma *vma, u64 start, u64 end)
{
}

u64 reclaim_take(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    return 0;
}

void anon_vma_lock(struct vma *vma)
{
}

void anon_vma_unlock(struct vma *vma)
{
}

bool anon_vma_can_merge(const struct anon_vma *a, const struct anon_vma *b)
{
    return a == NULL || b == NULL || a == b;
}

/* --- page tables
 * ---------------------------------------------------------------------------------- */

static struct fake_entry *entry_at(u64 addr)
{
    if (addr < FAKE_BASE || addr >= FAKE_END) {
        return NULL;
    }
    return &fake_entries[(addr - FAKE_BASE) >> PAGE_SHIFT];
}

void tlb_batch_begin(struct tlb_batch *batch, struct mm *mm)
{
    batch->mm = mm;
}

void tlb_batch_finish(struct tlb_batch *batch)
{
}

void zap_range(struct vma *vma, u64 start, u64 end, struct tlb_batch *batch)
{
    ASSERT(start >= vma->start && end <= vma->end && start < end,
           "what is zapped is a part of the VMA");
    zap_dead_range(vma->mm, start, end);
}

void zap_dead_range(struct mm *mm, u64 start, u64 end)
{
    for (u64 addr = max(start, FAKE_BASE); addr < min(end, FAKE_END); addr += PAGE_SIZE) {
        *entry_at(addr) = (struct fake_entry){.tag = 0};
    }
}

void free_page_tables(struct mm *mm, const struct table_range *range, struct tlb_batch *batch)
{
    ASSERT(vma_find_intersection(mm, range->floor, range->ceiling) == NULL,
           "tables are freed where no VMA is left");
    ASSERT(range->floor <= range->start && range->end <= range->ceiling,
           "what is unmapped lies between the neighbours");
    for (u64 addr = max(range->floor, FAKE_BASE); addr < min(range->ceiling, FAKE_END);
         addr += PAGE_SIZE) {
        ASSERT(entry_at(addr)->tag == 0, "tables are freed when their entries are gone");
    }
}

void change_protection(struct vma *vma, u64 start, u64 end)
{
    ASSERT(start >= vma->start && end <= vma->end && vma_is_write_locked(vma),
           "faults are kept out while permissions change");
}

u64 move_page_tables(struct vma *old_vma, u64 old_start, struct vma *new_vma, u64 new_start,
                     u64 len)
{
    u64 moved = fail_inject_should_fail() ? len / 2 & PAGE_MASK : len;

    ASSERT(old_start >= old_vma->start && old_start + len <= old_vma->end,
           "what moves is a part of the old VMA");
    ASSERT(new_start >= new_vma->start && new_start + len <= new_vma->end,
           "the new VMA has room for what moves");
    for (u64 offset = 0; offset < moved; offset += PAGE_SIZE) {
        struct fake_entry *from = entry_at(old_start + offset);
        struct fake_entry *to = entry_at(new_start + offset);

        if (from != NULL && to != NULL) {
            ASSERT(to->tag == 0, "entries move to where none are");
            *to = *from;
            *from = (struct fake_entry){.tag = 0};
        } else {
            ASSERT(from == NULL || from->tag == 0, "a touched page stays in the window");
        }
    }
    return moved;
}

/* --- for the tests
 * -------------------------------------------------------------------------------- */

__attribute__((constructor)) static void setup(void)
{
    vma_init();
    object_init();
}

void fake_mm_init(struct mm *mm)
{
    *mm = (struct mm){.lock_seq = 1, .mmap_base = FAKE_END};
    list_init(&mm->vma_list);
    rwsem_init(&mm->mmap_lock, RANK_MMAP);
    for (u32 i = 0; i < ARRAY_SIZE(fake_limits); i++) {
        fake_limits[i] = U64_MAX;
    }
}

void fake_mm_clear(struct mm *mm)
{
    unmap_everything(mm);
    vma_tree_check(mm);
    ASSERT(nr_anon_vmas == 0, "I11: generations are gone with their VMAs");
    ASSERT(vm_committed() == 0, "I11: promises are gone with the memory");
}

bool fake_touch(struct mm *mm, u64 addr, u64 tag)
{
    struct vma *vma = vma_find_at(mm, addr);

    if (vma == NULL || !(vma->flags & VM_WRITE) || entry_at(addr) == NULL) {
        return false;
    }
    *entry_at(addr) = (struct fake_entry){.tag = tag};
    if (!(vma->flags & VM_SHARED)) {
        ASSERT(anon_vma_prepare(vma) == 0, "the host has memory");
        entry_at(addr)->anon_vma = vma->anon_vma;
        entry_at(addr)->index = vma_page_index(vma, addr);
    }
    return true;
}

void fake_check_entries(struct mm *mm)
{
    for (u64 addr = FAKE_BASE; addr < FAKE_END; addr += PAGE_SIZE) {
        const struct fake_entry *entry = entry_at(addr);
        const struct vma *vma = vma_find_at(mm, addr);

        if (entry->tag == 0) {
            continue;
        }
        ASSERT(vma != NULL, "a page is mapped inside a VMA");
        if (entry->anon_vma != NULL) {
            ASSERT(entry->anon_vma == vma->anon_vma && entry->index == vma_page_index(vma, addr),
                   "a private page is where its generation says");
        }
    }
}

/* --- pagers: there are none ------------------------------------------------------------------- */

bool object_has_pager(const struct vm_object *object)
{
    return false;
}

bool object_tracks_writes(const struct vm_object *object)
{
    return false;
}

int object_write_back(struct vm_object *object, u64 start, u64 end)
{
    return 0;
}
