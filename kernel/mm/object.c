/*
 * Memory objects: their life, their mappings, their seals. The pages are shmem.c's.
 *
 * A mapping is in the object's interval tree for exactly as long as page-table entries may come
 * from it, so whoever takes pages away finds every address space that sees them. Read next:
 * shmem.c, object_size.c, object_io.c.
 */
#include <lib/assert.h>
#include <lib/errno.h>
#include <mm/account.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/shmem.h>
#include <mm/slab.h>
#include <mm/vma.h>

static struct kmem_cache *object_cache;

static struct spinlock all_objects_lock = SPINLOCK_INIT(RANK_OBJECT_LIST);
static struct list_node all_objects = LIST_INIT(all_objects);
static u64 last_number;

void object_init(void)
{
    object_cache = kmem_cache_create("vm_object", sizeof(struct vm_object), 64, NULL);
}

int object_new(enum object_kind kind, const struct object_ops *ops, enum object_promise promise,
               u64 size, struct vm_object **out)
{
    u64 nr_promised = promise == OBJECT_PROMISE_NOW ? PAGE_ALIGN_UP(size) >> PAGE_SHIFT : 0;
    struct vm_object *object;

    if (nr_promised != 0 && vm_commit_charge(NULL, nr_promised) != 0) {
        return -ENOMEM;
    }
    object = kmem_cache_alloc(object_cache, ALLOC_ZERO);
    if (object == NULL) {
        if (nr_promised != 0) {
            vm_commit_release(nr_promised);
        }
        return -ENOMEM;
    }
    refcount_set(&object->refcount, 1);
    object->kind = kind;
    object->ops = ops;
    mutex_init(&object->io_lock, RANK_FILE_DATA);
    rwsem_init(&object->lock, RANK_OBJECT);
    object->size = size;
    radix_init(&object->pages);
    interval_tree_init(&object->mappings);
    object->promise = promise;
    object->nr_promised = nr_promised;
    spin_lock(&all_objects_lock);
    object->number = ++last_number;
    list_add_tail(&all_objects, &object->all_link);
    spin_unlock(&all_objects_lock);
    *out = object;
    return 0;
}

int object_create_anon(u64 size, enum object_promise promise, struct vm_object **out)
{
    return object_new(OBJECT_ANON_SHARED, &shmem_ops, promise, size, out);
}

int object_create_shmem(u64 size, struct vm_object **out)
{
    return object_new(OBJECT_SHMEM, &shmem_ops, OBJECT_PROMISE_LATER, size, out);
}

void object_get(struct vm_object *object)
{
    refcount_inc(&object->refcount);
}

void object_put(struct vm_object *object)
{
    if (!refcount_dec_and_test(&object->refcount)) {
        return;
    }
    ASSERT(interval_tree_is_empty(&object->mappings), "a mapping holds a reference on its object");
    spin_lock(&all_objects_lock);
    list_del(&object->all_link);
    spin_unlock(&all_objects_lock);
    object->ops->release(object);
    if (object->nr_promised != 0) {
        vm_commit_release(object->nr_promised);
    }
    kmem_cache_free(object_cache, object);
}

void object_for_each(void (*fn)(struct vm_object *object, void *arg), void *arg)
{
    struct vm_object *object;

    /* The callers have made the system quiet; the lock is not held, so that fn may sleep. */
    list_for_each_entry (object, &all_objects, all_link) {
        fn(object, arg);
    }
}

u64 object_nr_pages(struct vm_object *object)
{
    return READ_ONCE(object->nr_pages);
}

int object_get_page(struct vm_object *object, u64 index, enum object_get_mode mode,
                    struct page **out)
{
    return object->ops->get_page(object, index, mode, out);
}

/* --- mappings -------------------------------------------------------------------------------- */

static bool may_write_object(u64 vm_flags)
{
    return (vm_flags & (VM_SHARED | VM_MAYWRITE)) == (VM_SHARED | VM_MAYWRITE);
}

static void enter_mapping(struct vma *vma, struct vma *twin)
{
    struct vm_object *object = vma->object;

    vma->object_node.start = vma->pgoff;
    vma->object_node.end = vma->pgoff + vma_nr_pages(vma);
    if (twin != NULL) {
        interval_tree_insert_twin(&vma->object_node, &twin->object_node);
    } else {
        interval_tree_insert(&object->mappings, &vma->object_node);
    }
    if (may_write_object(vma->flags)) {
        object->nr_shared_writable++;
    }
}

void object_insert_vma(struct vma *vma)
{
    enter_mapping(vma, NULL);
}

void object_insert_twin(struct vma *vma, struct vma *twin)
{
    enter_mapping(vma, twin);
}

void object_remove_vma(struct vma *vma)
{
    struct vm_object *object = vma->object;

    interval_tree_remove(&object->mappings, &vma->object_node);
    if (may_write_object(vma->flags)) {
        ASSERT(object->nr_shared_writable > 0, "every writable mapping is counted once");
        object->nr_shared_writable--;
    }
}

int object_admit_mapping(struct vm_object *object, u64 *vm_flags)
{
    int error = 0;

    if (!may_write_object(*vm_flags)) {
        return 0;
    }
    object_lock(object);
    if (object->seals & (OBJECT_SEAL_WRITE | OBJECT_SEAL_FUTURE_WRITE)) {
        if (*vm_flags & VM_WRITE) {
            error = -EPERM;
        } else {
            *vm_flags &= ~VM_MAYWRITE;
        }
    } else {
        object->nr_shared_writable++;
    }
    object_unlock(object);
    return error;
}

void object_admit_done(struct vm_object *object, u64 vm_flags)
{
    if (!may_write_object(vm_flags)) {
        return;
    }
    object_lock(object);
    object->nr_shared_writable--;
    object_unlock(object);
}

/* --- seals ----------------------------------------------------------------------------------- */

u32 object_get_seals(struct vm_object *object)
{
    return READ_ONCE(object->seals);
}

int object_add_seals(struct vm_object *object, u32 seals)
{
    int error = 0;

    if (seals & ~OBJECT_SEAL_ALL) {
        return -EINVAL;
    }
    object_lock(object);
    if (object->seals & OBJECT_SEAL_SEAL) {
        error = -EPERM;
    } else if ((seals & OBJECT_SEAL_WRITE) && !(object->seals & OBJECT_SEAL_WRITE) &&
               object->nr_shared_writable != 0) {
        error = -EBUSY;
    } else {
        object->seals |= seals;
    }
    object_unlock(object);
    return error;
}
