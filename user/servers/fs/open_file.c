/* The table of open files. */
#include <errno.h>
#include <stdlib.h>
#include "fifo.h"
#include "flock.h"
#include "open_file.h"

#define CHUNK      256u /* slots are allocated in chunks, so that pointers to them stay valid */
#define MAX_CHUNKS 4096u
#define NO_SLOT    UINT32_MAX

/* The uppermost bit of a cookie is never set: it marks those of paged objects (paged.h). */
#define GENERATION_MAX INT32_MAX

static struct open_file *chunks[MAX_CHUNKS];
static uint32_t nr_slots;
static uint32_t first_free = NO_SLOT;

static struct open_file *slot_at(uint32_t index)
{
    return &chunks[index / CHUNK][index % CHUNK];
}

static bool add_chunk(void)
{
    if (nr_slots / CHUNK == MAX_CHUNKS) {
        return false;
    }
    struct open_file *chunk = calloc(CHUNK, sizeof(*chunk));
    if (chunk == NULL) {
        return false;
    }
    chunks[nr_slots / CHUNK] = chunk;
    for (uint32_t i = CHUNK; i > 0; i--) {
        chunk[i - 1].next_free = first_free;
        chunk[i - 1].generation = 1;
        first_free = nr_slots + i - 1;
    }
    nr_slots += CHUNK;
    return true;
}

int open_file_create(struct node *node, uint32_t flags, uint64_t *cookie)
{
    if (first_free == NO_SLOT && !add_chunk()) {
        return -ENFILE;
    }
    uint32_t index = first_free;
    struct open_file *file = slot_at(index);
    first_free = file->next_free;
    file->node = node_get(node);
    file->flags = flags;
    file->poll_mask = 0;
    file->lock = 0;
    file->has_content = false;
    *cookie = (uint64_t)file->generation << 32 | index;
    return 0;
}

struct open_file *open_file_find(uint64_t cookie)
{
    uint32_t index = (uint32_t)cookie;

    if (index >= nr_slots) {
        return NULL;
    }
    struct open_file *file = slot_at(index);
    return file->node != NULL && file->generation == cookie >> 32 ? file : NULL;
}

static uint32_t index_of(const struct open_file *file)
{
    for (uint32_t i = 0; i < nr_slots / CHUNK; i++) {
        if (file >= chunks[i] && file < chunks[i] + CHUNK) {
            return i * CHUNK + (uint32_t)(file - chunks[i]);
        }
    }
    abort();
}

uint64_t open_file_cookie(const struct open_file *file)
{
    return (uint64_t)file->generation << 32 | index_of(file);
}

struct open_file *open_file_next(const struct open_file *file)
{
    for (uint32_t i = file == NULL ? 0 : index_of(file) + 1; i < nr_slots; i++) {
        if (slot_at(i)->node != NULL) {
            return slot_at(i);
        }
    }
    return NULL;
}

void open_file_close(uint64_t cookie)
{
    struct open_file *file = open_file_find(cookie);

    /* The root's connection may be closed by its last user, yet names still start there. */
    if (file == NULL || cookie == FS_ROOT_COOKIE) {
        return;
    }
    struct node *node = file->node;
    flock_forget(file);
    if (S_ISFIFO(node->mode)) {
        fifo_close(file);
    }
    text_free(&file->content);
    file->node = NULL;
    file->generation = file->generation % GENERATION_MAX + 1;
    file->next_free = first_free;
    first_free = (uint32_t)cookie;
    node_put(node);
}
