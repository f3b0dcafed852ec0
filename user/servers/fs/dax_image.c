/* Records of a direct device's file system: writing and reading them, nothing else. */
#include <errno.h>
#include <string.h>
#include "dax_image.h"

/* A part of the device for each table, within these limits. */
#define TABLE_FRACTION   128u
#define TABLE_FRAMES_MIN 2u
#define TABLE_FRAMES_MAX 4096u

#define RECORD_ALIGN 8u

uint64_t dax_table_frames(uint64_t nr_frames)
{
    uint64_t frames = nr_frames / TABLE_FRACTION;

    if (frames < TABLE_FRAMES_MIN) {
        return TABLE_FRAMES_MIN;
    }
    return frames < TABLE_FRAMES_MAX ? frames : TABLE_FRAMES_MAX;
}

uint64_t dax_table_at(const struct dax_super *super, unsigned which)
{
    return (1 + which * super->table_frames) * DAX_FRAME_SIZE;
}

static uint64_t add_words(uint64_t sum, const uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i + sizeof(uint64_t) <= len; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes + i, sizeof(word));
        sum = (sum ^ word) * 0x9e3779b97f4a7c15u;
        sum ^= sum >> 29;
    }
    return sum;
}

uint64_t dax_checksum(const struct dax_table *table, const uint8_t *records)
{
    uint64_t sum = add_words(0x636f7762656c6c31u, (const uint8_t *)table,
                             offsetof(struct dax_table, checksum));
    return add_words(sum, records, table->length);
}

static bool is_whole(const struct dax_super *super, const uint8_t *metadata, unsigned which)
{
    const struct dax_table *table = &super->tables[which];

    return table->generation != 0 && table->length <= super->table_frames * DAX_FRAME_SIZE &&
           table->length % RECORD_ALIGN == 0 &&
           table->checksum == dax_checksum(table, metadata + dax_table_at(super, which));
}

int dax_newest_table(const uint8_t *metadata)
{
    const struct dax_super *super = (const struct dax_super *)metadata;
    int newest = -EUCLEAN;

    for (int which = 0; which < 2; which++) {
        bool is_newer =
            newest < 0 || super->tables[which].generation > super->tables[newest].generation;
        if (is_newer && is_whole(super, metadata, (unsigned)which)) {
            newest = which;
        }
    }
    return newest;
}

static void append(struct dax_writer *writer, const void *bytes, size_t len)
{
    if (len > writer->size - writer->used) {
        writer->is_full = true;
        return;
    }
    if (len > 0) {
        memcpy(writer->bytes + writer->used, bytes, len);
    }
    writer->used += len;
}

static uint32_t padded(size_t len)
{
    return (uint32_t)((len + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN);
}

static void append_padding(struct dax_writer *writer, size_t len)
{
    static const uint8_t zeroes[RECORD_ALIGN];

    append(writer, zeroes, padded(len) - len);
}

void dax_write_node(struct dax_writer *writer, struct dax_node_record record,
                    const struct dax_extent *extents, uint32_t nr_extents, const char *target)
{
    size_t target_len = target != NULL ? strlen(target) : 0;
    size_t len = sizeof(record) + nr_extents * sizeof(*extents) + target_len;

    record.head = (struct dax_record){.length = padded(len), .kind = DAX_RECORD_NODE};
    record.nr_extents = nr_extents;
    record.target_len = (uint32_t)target_len;
    append(writer, &record, sizeof(record));
    append(writer, extents, nr_extents * sizeof(*extents));
    append(writer, target, target_len);
    append_padding(writer, len);
}

void dax_write_entry(struct dax_writer *writer, uint64_t dir, uint64_t ino, const char *name,
                     uint32_t name_len)
{
    size_t len = sizeof(struct dax_entry_record) + name_len;
    const struct dax_entry_record record = {
        .head = {.length = padded(len), .kind = DAX_RECORD_ENTRY},
        .dir = dir,
        .ino = ino,
        .name_len = name_len,
    };

    append(writer, &record, sizeof(record));
    append(writer, name, name_len);
    append_padding(writer, len);
}

const struct dax_record *dax_next_record(const uint8_t *records, size_t length, size_t *position)
{
    const struct dax_record *record = (const struct dax_record *)(records + *position);
    size_t left = length - *position;

    if (left < sizeof(*record) || record->length < sizeof(*record) || record->length > left ||
        record->length % RECORD_ALIGN != 0) {
        return NULL;
    }
    *position += record->length;
    return record;
}

/* Is the record as long as its fixed part and what it says follows? */
static bool is_long_enough(const struct dax_record *head, size_t fixed, size_t following)
{
    return head->length >= fixed && head->length - fixed >= following;
}

static size_t extents_size(const struct dax_node_record *record)
{
    return (size_t)record->nr_extents * sizeof(struct dax_extent);
}

const struct dax_extent *dax_node_extents(const struct dax_node_record *record)
{
    if (!is_long_enough(&record->head, sizeof(*record), 0) ||
        !is_long_enough(&record->head, sizeof(*record), extents_size(record))) {
        return NULL;
    }
    return (const struct dax_extent *)(record + 1);
}

const char *dax_node_target(const struct dax_node_record *record)
{
    const struct dax_extent *extents = dax_node_extents(record);

    if (extents == NULL || !is_long_enough(&record->head, sizeof(*record),
                                           extents_size(record) + record->target_len)) {
        return NULL;
    }
    return (const char *)(extents + record->nr_extents);
}

const char *dax_entry_name(const struct dax_entry_record *record)
{
    if (!is_long_enough(&record->head, sizeof(*record), 0) ||
        !is_long_enough(&record->head, sizeof(*record), record->name_len)) {
        return NULL;
    }
    return (const char *)(record + 1);
}
