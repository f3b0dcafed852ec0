/*
 * Fuzz target: the cpio reader must stay inside the archive, whatever bytes it is given.
 *
 * The input is read twice: as an archive, and as a recipe for one whose headers are well formed but
 * for their lengths, so that the fuzzer soon gets beyond the first header.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lib/cpio.h>

#define HEADER_LEN  110
#define MAX_ARCHIVE 4096

/* Not static, so that the compiler keeps the reads. */
volatile uint8_t fuzz_sink;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_entry(const struct cpio_entry *entry, const uint8_t *data, size_t size)
{
    const uint8_t *name = (const uint8_t *)entry->name;

    /* Every byte of the result is read, so that the sanitizer sees one that is outside. */
    for (size_t i = 0; i <= entry->name_len; i++) {
        fuzz_sink ^= name[i];
    }
    for (size_t i = 0; i < entry->size; i++) {
        fuzz_sink ^= entry->data[i];
    }
    if (name[entry->name_len] != 0 || strlen(entry->name) != entry->name_len) {
        abort();
    }
    if (entry->data < data || entry->size > (size_t)(data + size - entry->data)) {
        abort();
    }
}

static void read_archive(const uint8_t *data, size_t size)
{
    struct cpio_reader reader;
    struct cpio_entry entry;
    size_t last_pos = 0;

    cpio_init(&reader, data, size);
    while (cpio_next(&reader, &entry) == 1) {
        check_entry(&entry, data, size);
        if (reader.pos <= last_pos) {
            abort();
        }
        last_pos = reader.pos;
    }
    if (reader.pos > size) {
        abort();
    }
}

/* Each member takes four bytes of lengths and then its name and data from the input. */
static size_t build_archive(const uint8_t *recipe, size_t size, uint8_t *archive)
{
    size_t len = 0;

    while (size >= 4 && len + HEADER_LEN + 1 < MAX_ARCHIVE) {
        unsigned name_size = recipe[0] | (recipe[1] == 0xff ? 0xffff0000u : 0);
        unsigned data_size = recipe[2] | (recipe[3] == 0xff ? 0xffffff00u : 0);
        size_t body = (recipe[0] + 3u & ~3u) + (recipe[2] + 3u & ~3u);

        recipe += 4;
        size -= 4;
        body = body < size ? body : size;
        body =
            body < MAX_ARCHIVE - len - HEADER_LEN - 1 ? body : MAX_ARCHIVE - len - HEADER_LEN - 1;
        snprintf((char *)archive + len, HEADER_LEN + 1,
                 "070701%08x%08x%08x%08x%08x%08x%08x%08x"
                 "%08x%08x%08x%08x%08x",
                 1, 0100644, 0, 0, 1, 0, data_size, 0, 0, 0, 0, name_size, 0);
        memcpy(archive + len + HEADER_LEN, recipe, body);
        len += HEADER_LEN + body;
        recipe += body;
        size -= body;
    }
    return len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t archive[MAX_ARCHIVE];

    read_archive(data, size);
    size_t len = build_archive(data, size, archive);
    uint8_t *exact = malloc(len + 1);
    memcpy(exact, archive, len);
    read_archive(exact, len);
    free(exact);
    return 0;
}
