/*
 * Loading ELF files: reading their headers, mapping their segments.
 *
 * What the numbers may be is elf.c's business; here they become mappings of the file's object.
 * Errors of exec_image_map() come when the old program is gone already: the caller ends the
 * process. Read next: exec_stack.c.
 */
#include <proc/exec_internal.h>

#include <ipc/file.h>
#include <lib/errno.h>
#include <lib/string.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/slab.h>
#include <mm/usercopy.h>
#include <uapi/linux/elf.h>
#include <uapi/linux/mman.h>

int exec_image_read_head(struct exec_image *image)
{
    memset(image->head, 0, sizeof(image->head));
    s64 size = file_read_kernel(image->file, image->head, sizeof(image->head), 0);

    if (size < 0) {
        return (int)size;
    }
    image->head_size = (size_t)size;
    return 0;
}

int exec_image_read_elf(struct exec_image *image)
{
    int error = elf_parse_header(image->head, image->head_size, &image->plan);

    if (error != 0) {
        return error;
    }
    image->phdrs_size = image->plan.phdr_count * sizeof(struct elf64_phdr);
    image->phdrs = kmalloc(image->phdrs_size, ALLOC_KERNEL);
    if (image->phdrs == NULL) {
        return -ENOMEM;
    }
    s64 size = file_read_kernel(image->file, image->phdrs, image->phdrs_size,
                                (s64)image->plan.phdr_offset);

    if (size != (s64)image->phdrs_size) {
        return size < 0 ? (int)size : -ENOEXEC;
    }
    return elf_parse_interp(image->phdrs, image->phdrs_size, &image->plan);
}

void exec_image_free(struct exec_image *image)
{
    kfree(image->phdrs);
    image->phdrs = NULL;
    if (image->file != NULL) {
        file_put(image->file);
        image->file = NULL;
    }
}

static u32 segment_prot(const struct elf_segment *segment)
{
    u32 prot = 0;

    prot |= (segment->flags & PF_R) != 0 ? PROT_READ : 0;
    prot |= (segment->flags & PF_W) != 0 ? PROT_WRITE : 0;
    prot |= (segment->flags & PF_X) != 0 ? PROT_EXEC : 0;
    return prot;
}

/* Where a relocatable image goes: as near above @hint as its size and alignment allow. */
static int choose_bias(struct mm *mm, struct exec_image *image, u64 hint)
{
    const struct elf_plan *plan = &image->plan;
    u64 size = PAGE_ALIGN_UP(plan->high - plan->low);
    u64 slack = plan->align > PAGE_SIZE ? plan->align : 0;
    struct map_request request = {
        .addr = ALIGN_UP(hint, plan->align),
        .len = size + slack,
        .prot = PROT_NONE,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
    };
    u64 found;

    /* A mapping for a moment finds the room; nobody else maps anything meanwhile. */
    int error = mm_map(mm, &request, &found);

    if (error != 0) {
        return error;
    }
    error = mm_unmap(mm, found, request.len);
    image->bias = ALIGN_UP(found, plan->align) - ALIGN_DOWN(plan->low, plan->align);
    return error;
}

static int map_file_part(struct mm *mm, struct exec_image *image, struct vm_object *object,
                         const struct elf_segment *segment)
{
    u64 skew = PAGE_OFFSET(segment->vaddr);
    struct map_request request = {
        .addr = segment->vaddr + image->bias - skew,
        .len = segment->file_size + skew,
        .prot = segment_prot(segment),
        .flags = MAP_PRIVATE | MAP_FIXED,
        .file = image->file,
        .object = object,
        .pgoff = (segment->offset - skew) >> PAGE_SHIFT,
    };
    u64 addr;
    int error = mm_map(mm, &request, &addr);

    if (error != 0 || segment->mem_size == segment->file_size) {
        return error;
    }
    /* The rest of the last page is the beginning of the zeroed part, not more of the file. */
    u64 end = segment->vaddr + image->bias + segment->file_size;
    u64 rest = PAGE_ALIGN_UP(end) - end;

    if (rest != 0 && clear_user(end, rest) != 0 && (segment->flags & PF_W) != 0) {
        return -EFAULT;
    }
    return 0;
}

static int map_zero_part(struct mm *mm, const struct exec_image *image,
                         const struct elf_segment *segment)
{
    u64 vaddr = segment->vaddr + image->bias;
    u64 start = segment->file_size == 0 ? PAGE_ALIGN_DOWN(vaddr)
                                        : PAGE_ALIGN_UP(vaddr + segment->file_size);
    u64 end = PAGE_ALIGN_UP(vaddr + segment->mem_size);
    struct map_request request = {
        .addr = start,
        .len = end - start,
        .prot = segment_prot(segment),
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
    };
    u64 addr;

    return start >= end ? 0 : mm_map(mm, &request, &addr);
}

static void note_layout(struct mm_layout *layout, const struct elf_segment *segment, u64 bias)
{
    u64 start = segment->vaddr + bias;
    u64 end = start + segment->file_size;

    if ((segment->flags & PF_X) != 0) {
        layout->start_code = layout->start_code == 0 ? start : min(layout->start_code, start);
        layout->end_code = max(layout->end_code, end);
    }
    layout->start_data = max(layout->start_data, start);
    layout->end_data = max(layout->end_data, end);
}

static int map_segment(struct mm *mm, struct exec_image *image, struct vm_object *object,
                       const struct elf_segment *segment)
{
    int error = 0;

    /* Only a wrap-around of the chosen base could bring a checked segment out of user space. */
    if (segment->vaddr + segment->mem_size + image->bias > TASK_SIZE) {
        return -ENOMEM;
    }
    if (segment->file_size > 0) {
        error = map_file_part(mm, image, object, segment);
    }
    if (error == 0) {
        error = map_zero_part(mm, image, segment);
    }
    return error;
}

int exec_image_map(struct mm *mm, struct exec_image *image, u64 hint, u64 *layout_end)
{
    struct mm_layout layout = {0};
    struct vm_object *object;
    struct elf_segment segment;
    int error = elf_parse_segments(image->phdrs, image->phdrs_size, &image->plan);

    if (error == 0 && image->plan.is_relocatable) {
        error = choose_bias(mm, image, hint);
    }
    if (error == 0) {
        error = file_get_object(image->file, PROT_READ | PROT_EXEC, MAP_PRIVATE, &object);
    }
    if (error != 0) {
        return error;
    }
    for (u32 i = 0; i < image->plan.phdr_count && error == 0; i++) {
        if (elf_get_segment(image->phdrs, &image->plan, i, &segment)) {
            error = map_segment(mm, image, object, &segment);
            note_layout(&layout, &segment, image->bias);
        }
    }
    object_put(object);
    if (layout_end != NULL && error == 0) {
        *layout_end = image->plan.high + image->bias;
        mm_write_lock(mm);
        mm->layout.start_code = layout.start_code;
        mm->layout.end_code = layout.end_code;
        mm->layout.start_data = layout.start_data;
        mm->layout.end_data = layout.end_data;
        mm_write_unlock(mm);
    }
    return error;
}
