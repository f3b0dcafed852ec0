/*
 * Reading and writing memory objects by offset, as files do.
 *
 * User memory is copied with no object lock held, because the copy may fault on a mapping of the
 * same object; a reference keeps the page meanwhile. Writers exclude each other and truncation by
 * io_lock, so a page that a writer found stays the object's until it is done.
 */
#include <ipc/iov.h>
#include <lib/errno.h>
#include <mm/frames.h>
#include <mm/mm.h>
#include <mm/pager.h>
#include <mm/shmem.h>

/* Copies a part of one page out. Return: 0, or an error with the bytes copied in front of it. */
static int read_part(struct vm_object *object, u64 offset, size_t len, struct iov_iter *iter,
                     size_t *copied)
{
    size_t in_page = PAGE_OFFSET(offset);
    struct page *page;
    int error = object_get_page(object, offset >> PAGE_SHIFT, OBJECT_NEED, &page);

    if (error == -EINPROGRESS) {
        /* Whoever reads an object with a pager is the pager, and would wait for itself. */
        return -ENODATA;
    }
    if (error == -ENOENT) {
        *copied = iov_zero(iter, len);
    } else if (error == 0) {
        *copied = iov_copy_to(iter, (u8 *)page_to_virt(page) + in_page, len);
        page_put(page);
    } else {
        return error;
    }
    return *copied < len ? -EFAULT : 0;
}

int object_read(struct vm_object *object, u64 offset, struct iov_iter *iter, u64 *done)
{
    u64 size = object_size(object);
    u64 left = offset < size ? min((u64)iov_count(iter), size - offset) : 0;

    *done = 0;
    while (left > 0) {
        size_t want = min(left, PAGE_SIZE - PAGE_OFFSET(offset));
        size_t copied = 0;
        int error = read_part(object, offset, want, iter, &copied);

        *done += copied;
        offset += copied;
        left -= copied;
        if (error == -ERANGE) {
            return 0; /* The object shrank under the reader. */
        }
        if (error != 0) {
            return *done == 0 ? error : 0;
        }
    }
    return 0;
}

/* Is there anything to write? A page is not made for nothing. */
static bool has_source(const struct iov_iter *iter)
{
    struct iov_iter first = *iter;
    u8 byte;

    return iov_copy_from(&first, &byte, 1) == 1;
}

/* Copies up to the end of one page in. Return: 0 with the bytes copied, or an error. */
static int write_part(struct vm_object *object, u64 offset, struct iov_iter *iter, size_t *copied)
{
    size_t in_page = PAGE_OFFSET(offset);
    size_t len = min((size_t)iov_count(iter), PAGE_SIZE - in_page);
    struct page *page;
    int error;

    if (unlikely(!has_source(iter))) {
        return -EFAULT;
    }
    error = object->ops->grow_page(object, offset >> PAGE_SHIFT, &page);
    if (error != 0) {
        return error;
    }
    *copied = iov_copy_from(iter, (u8 *)page_to_virt(page) + in_page, len);
    /* Its pager knows what it writes by itself. */
    if (!page_is_dirty(page) && !object_tracks_writes(object)) {
        page_set_dirty(page);
    }
    page_put(page);
    return 0;
}

/* Makes the bytes up to an offset part of the object. */
static void grow_size(struct vm_object *object, u64 end)
{
    object_lock(object);
    WRITE_ONCE(object->size, end);
    object_unlock(object);
}

/* Removes a page that was made for bytes which could not be had. */
static void remove_behind_size(struct vm_object *object)
{
    struct list_node removed = LIST_INIT(removed);

    object_lock(object);
    object->ops->disown_pages(object, max(object->kept_end, object_size_in_pages(object)), U64_MAX,
                              &removed);
    object_unlock(object);
    shmem_put_pages(&removed);
}

static int check_write(struct vm_object *object, u64 offset, u64 len)
{
    if (object->seals & (OBJECT_SEAL_WRITE | OBJECT_SEAL_FUTURE_WRITE)) {
        return -EPERM;
    }
    if (offset > (u64)S64_MAX || len > (u64)S64_MAX - offset) {
        return -EFBIG;
    }
    if ((object->seals & OBJECT_SEAL_GROW) && offset + len > object->size) {
        return -EPERM;
    }
    return 0;
}

/* What a mapping wrote behind the end of the last page must not show up in the gap. */
static void clear_gap(struct vm_object *object, u64 offset)
{
    if (offset > object->size && PAGE_OFFSET(object->size) != 0) {
        object_lock(object);
        shmem_zero_part(object, object->size >> PAGE_SHIFT, PAGE_OFFSET(object->size), PAGE_SIZE);
        object_unlock(object);
    }
}

static int write_io_locked(struct vm_object *object, u64 offset, struct iov_iter *iter, u64 *done)
{
    int error = check_write(object, offset, iov_count(iter));

    if (error != 0) {
        return error;
    }
    clear_gap(object, offset);
    while (error == 0 && iov_count(iter) > 0) {
        size_t want = min((size_t)iov_count(iter), PAGE_SIZE - PAGE_OFFSET(offset));
        size_t copied = 0;

        error = write_part(object, offset, iter, &copied);
        *done += copied;
        offset += copied;
        /* At once: the source of the next page may be a mapping of what now is inside. */
        if (copied > 0 && offset > object->size) {
            grow_size(object, offset);
        }
        if (error == 0 && copied < want) {
            error = -EFAULT;
        }
    }
    if (error != 0 && !object->ops->is_granted) {
        remove_behind_size(object);
    }
    return *done > 0 ? 0 : error;
}

int object_write(struct vm_object *object, u64 offset, struct iov_iter *iter, u64 *done)
{
    int error;

    *done = 0;
    mutex_lock(&object->io_lock);
    error = write_io_locked(object, offset, iter, done);
    mutex_unlock(&object->io_lock);
    return error;
}

int object_read_kernel(struct vm_object *object, u64 offset, void *buf, size_t len, u64 *done)
{
    struct iov_iter iter;

    iov_init_kernel(&iter, buf, len);
    return object_read(object, offset, &iter, done);
}

int object_write_kernel(struct vm_object *object, u64 offset, const void *buf, size_t len,
                        u64 *done)
{
    struct iov_iter iter;

    iov_init_kernel(&iter, buf, len);
    return object_write(object, offset, &iter, done);
}
