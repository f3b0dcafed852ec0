/* The frames of a direct device: which are free, and which pages of which file the others are. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "dax.h"

#define FIRST_CAPACITY 4u

static int reserve_extents(struct dax_content *content, uint32_t count)
{
    if (content->nr_extents + count <= content->capacity) {
        return 0;
    }
    uint32_t capacity = content->capacity == 0 ? FIRST_CAPACITY : content->capacity * 2;
    struct dax_extent *extents = realloc(content->extents, capacity * sizeof(*extents));
    if (extents == NULL) {
        return -ENOMEM;
    }
    content->extents = extents;
    content->capacity = capacity;
    return 0;
}

/* The first extent that ends above a page. */
static uint32_t find_extent(const struct dax_content *content, uint64_t index)
{
    uint32_t low = 0;
    uint32_t high = content->nr_extents;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct dax_extent *extent = &content->extents[middle];
        if (extent->index + extent->count <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void make_room(struct dax_content *content, uint32_t at)
{
    memmove(content->extents + at + 1, content->extents + at,
            (content->nr_extents - at) * sizeof(*content->extents));
    content->nr_extents++;
}

/* Frames for a hole; there is room for one extent more. */
static void insert_extent(struct dax_content *content, struct dax_extent new)
{
    uint32_t at = find_extent(content, new.index);

    if (at > 0) {
        struct dax_extent *before = &content->extents[at - 1];
        if (before->index + before->count == new.index &&
            before->frame + before->count == new.frame) {
            before->count += new.count;
            return;
        }
    }
    make_room(content, at);
    content->extents[at] = new;
}

/* The next run of free frames, the hint's first; 0 frames if there is none. */
static uint64_t find_run(const struct daxfs *daxfs, uint64_t want, uint64_t *frame)
{
    uint64_t at = daxfs->next_frame;

    for (uint64_t i = daxfs->first_frame; i < daxfs->nr_frames; i++, at++) {
        at = at < daxfs->nr_frames ? at : daxfs->first_frame;
        if (daxfs->states[at] == FRAME_FREE) {
            uint64_t count = 1;
            while (count < want && at + count < daxfs->nr_frames &&
                   daxfs->states[at + count] == FRAME_FREE) {
                count++;
            }
            *frame = at;
            return count;
        }
    }
    return 0;
}

static void mark(struct daxfs *daxfs, uint64_t frame, uint64_t count, enum frame_state state)
{
    memset(daxfs->states + frame, (int)state, count);
}

/*
 * Grants free frames for the page @index and those behind it.
 * Return: how many, or an error. Frames that somebody refers to, a mapping of the device or what
 * is left of an old file, are passed over.
 */
static int64_t grant_run(struct node *file, uint64_t index, uint64_t want)
{
    struct daxfs *daxfs = file->mount->dax;
    uint64_t nr_busy = 0;

    while (nr_busy < daxfs->nr_frames) {
        struct cb_dax_grant grant = {.index = index, .flags = CB_DAX_ZERO};
        grant.count = find_run(daxfs, want, &grant.frame);
        if (grant.count == 0) {
            break;
        }
        int64_t count = cb_dax_grant(file->data.fd, &grant);
        if (count > 0) {
            mark(daxfs, grant.frame, (uint64_t)count, FRAME_USED);
            daxfs->nr_free -= (uint64_t)count;
            daxfs->next_frame = grant.frame + (uint64_t)count;
            insert_extent(&file->data.dax, (struct dax_extent){.index = index,
                                                               .frame = (uint32_t)grant.frame,
                                                               .count = (uint32_t)count});
            return count;
        }
        if (count != -EBUSY) {
            return count;
        }
        daxfs->next_frame = grant.frame + 1;
        nr_busy++;
    }
    return -ENOSPC;
}

static int64_t fill_hole(struct node *file, uint64_t index, uint64_t want)
{
    struct daxfs *daxfs = file->mount->dax;
    int error = reserve_extents(&file->data.dax, 1);

    if (error != 0) {
        return error;
    }
    int64_t count = grant_run(file, index, want);
    if (count == -ENOSPC && daxfs->nr_pending > 0 && dax_save(daxfs) == 0) {
        count = grant_run(file, index, want);
    }
    return count;
}

int dax_fill(struct node *file, uint64_t first, uint64_t end)
{
    struct dax_content *content = &file->data.dax;

    while (first < end) {
        uint32_t at = find_extent(content, first);
        uint64_t hole_end = end;
        if (at < content->nr_extents) {
            const struct dax_extent *extent = &content->extents[at];
            if (extent->index <= first) {
                first = extent->index + extent->count;
                continue;
            }
            hole_end = extent->index < end ? extent->index : end;
        }
        int64_t count = fill_hole(file, first, hole_end - first);
        if (count < 0) {
            return (int)count;
        }
        dax_touch(file);
        first += (uint64_t)count;
    }
    return 0;
}

static bool is_free_range(const struct daxfs *daxfs, const struct dax_extent *extent)
{
    if (extent->count == 0 || extent->frame < daxfs->first_frame ||
        extent->frame >= daxfs->nr_frames || extent->count > daxfs->nr_frames - extent->frame) {
        return false;
    }
    for (uint32_t i = 0; i < extent->count; i++) {
        if (daxfs->states[extent->frame + i] != FRAME_FREE) {
            return false;
        }
    }
    return true;
}

static int adopt_extent(struct node *file, const struct dax_extent *extent)
{
    const uint64_t index_max = FS_SIZE_MAX / DAX_FRAME_SIZE;
    struct dax_content *content = &file->data.dax;
    struct daxfs *daxfs = file->mount->dax;

    if (!is_free_range(daxfs, extent) || extent->index > index_max - extent->count ||
        dax_present_until(file, extent->index) != extent->index ||
        find_extent(content, extent->index) != content->nr_extents) {
        return -EUCLEAN;
    }
    const struct cb_dax_grant grant = {
        .index = extent->index, .frame = extent->frame, .count = extent->count};
    int64_t count = cb_dax_grant(file->data.fd, &grant);
    if (count < 0) {
        return (int)count;
    }
    mark(daxfs, extent->frame, extent->count, FRAME_USED);
    daxfs->nr_free -= extent->count;
    insert_extent(content, *extent);
    return (uint64_t)count == extent->count ? 0 : -EBUSY;
}

int dax_adopt(struct node *file, const struct dax_extent *extents, uint32_t nr_extents)
{
    int error = reserve_extents(&file->data.dax, 1);

    for (uint32_t i = 0; i < nr_extents && error == 0; i++) {
        error = adopt_extent(file, &extents[i]);
        if (error == 0) {
            error = reserve_extents(&file->data.dax, 1);
        }
    }
    return error;
}

int dax_reserve_cut(struct node *file)
{
    return reserve_extents(&file->data.dax, 1);
}

/* Takes what lies in [first, end) out of an extent; a rest behind @end becomes one of its own. */
static void cut_extent(struct node *file, uint32_t at, uint64_t first, uint64_t end)
{
    struct dax_content *content = &file->data.dax;
    struct daxfs *daxfs = file->mount->dax;
    struct dax_extent old = content->extents[at];
    uint64_t old_end = old.index + old.count;
    uint64_t low = first > old.index ? first : old.index;
    uint64_t high = end < old_end ? end : old_end;

    mark(daxfs, old.frame + (low - old.index), high - low, FRAME_PENDING);
    daxfs->nr_pending += high - low;
    content->extents[at].count = (uint32_t)(low - old.index);
    if (high < old_end) {
        make_room(content, at + 1);
        content->extents[at + 1] = (struct dax_extent){
            .index = high,
            .frame = old.frame + (uint32_t)(high - old.index),
            .count = (uint32_t)(old_end - high),
        };
    }
}

void dax_cut(struct node *file, uint64_t first, uint64_t end)
{
    struct dax_content *content = &file->data.dax;
    uint32_t at = find_extent(content, first);
    uint32_t kept = at;

    while (at < content->nr_extents && content->extents[at].index < end) {
        cut_extent(file, at++, first, end);
    }
    for (uint32_t i = kept; i < content->nr_extents; i++) {
        if (content->extents[i].count > 0) {
            content->extents[kept++] = content->extents[i];
        }
    }
    content->nr_extents = kept;
    dax_touch(file);
}

uint64_t dax_present_until(const struct node *file, uint64_t first)
{
    const struct dax_content *content = &file->data.dax;
    uint32_t at = find_extent(content, first);

    while (at < content->nr_extents && content->extents[at].index <= first) {
        first = content->extents[at].index + content->extents[at].count;
        at++;
    }
    return first;
}

void dax_settle(struct daxfs *daxfs)
{
    if (daxfs->nr_pending == 0) {
        return;
    }
    for (uint64_t frame = daxfs->first_frame; frame < daxfs->nr_frames; frame++) {
        if (daxfs->states[frame] == FRAME_PENDING) {
            daxfs->states[frame] = FRAME_FREE;
        }
    }
    daxfs->nr_free += daxfs->nr_pending;
    daxfs->nr_pending = 0;
}
