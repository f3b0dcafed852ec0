/*
 * Reader for "newc" cpio archives.
 *
 * Nothing here trusts the archive: a length is compared with what is left before it is used, and a
 * name must end inside its member. Also compiled for user programs and for the host's fuzzer.
 * Source: the format's description in cpio(5), "New ASCII Format".
 */
#include <lib/cpio.h>

#include <stdbool.h>

#include <uapi/linux/errno.h>

#define CPIO_MAGIC_LEN    6
#define CPIO_FIELD_DIGITS 8
#define CPIO_ALIGN        4

/* The fields after the magic, in the order of the file. */
enum cpio_field {
    FIELD_INO,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_NLINK,
    FIELD_MTIME,
    FIELD_FILESIZE,
    FIELD_DEV_MAJOR,
    FIELD_DEV_MINOR,
    FIELD_RDEV_MAJOR,
    FIELD_RDEV_MINOR,
    FIELD_NAMESIZE,
    FIELD_CHECK,
    NR_FIELDS,
};

#define CPIO_HEADER_LEN (CPIO_MAGIC_LEN + NR_FIELDS * CPIO_FIELD_DIGITS)

_Static_assert(CPIO_HEADER_LEN == 110, "a newc header has 110 bytes");

static const char trailer_name[] = "TRAILER!!!";

static bool is_magic(const uint8_t *header);
static bool parse_fields(const uint8_t *header, uint32_t fields[NR_FIELDS]);
static bool is_trailer(const uint8_t *name, size_t len);
static void fill_entry(struct cpio_entry *entry, const uint32_t fields[NR_FIELDS],
                       const uint8_t *name);

void cpio_init(struct cpio_reader *reader, const void *data, size_t size)
{
    reader->data = data;
    reader->size = size;
    reader->pos = 0;
}

/* The next multiple of 4 after @pos, or @size if that lies beyond the archive's end. */
static size_t align_within(size_t pos, size_t size)
{
    size_t aligned = (pos + CPIO_ALIGN - 1) & ~(size_t)(CPIO_ALIGN - 1);

    return aligned < pos || aligned > size ? size : aligned;
}

static size_t skip_zeros(const struct cpio_reader *reader, size_t pos)
{
    while (pos < reader->size && reader->data[pos] == 0) {
        pos++;
    }
    return pos;
}

int cpio_next(struct cpio_reader *reader, struct cpio_entry *entry)
{
    size_t pos = reader->pos;

    for (;;) {
        uint32_t fields[NR_FIELDS];

        pos = skip_zeros(reader, pos);
        if (pos == reader->size) {
            reader->pos = pos;
            return 0;
        }
        const uint8_t *header = reader->data + pos;
        if (reader->size - pos < CPIO_HEADER_LEN || !is_magic(header) ||
            !parse_fields(header, fields)) {
            return -EINVAL;
        }
        pos += CPIO_HEADER_LEN;

        size_t name_size = fields[FIELD_NAMESIZE];
        const uint8_t *name = reader->data + pos;
        if (name_size == 0 || name_size > reader->size - pos || name[name_size - 1] != 0) {
            return -EINVAL;
        }
        pos = align_within(pos + name_size, reader->size);

        size_t data_size = fields[FIELD_FILESIZE];
        if (data_size > reader->size - pos) {
            return -EINVAL;
        }
        size_t data_pos = pos;
        pos = align_within(pos + data_size, reader->size);
        if (is_trailer(name, name_size)) {
            continue;
        }
        fill_entry(entry, fields, name);
        entry->data = reader->data + data_pos;
        reader->pos = pos;
        return 1;
    }
}

/* "070701", or "070702" for archives whose members have a checksum, which is not looked at. */
static bool is_magic(const uint8_t *header)
{
    static const char common[] = "07070";

    for (size_t i = 0; i < CPIO_MAGIC_LEN - 1; i++) {
        if (header[i] != (uint8_t)common[i]) {
            return false;
        }
    }
    return header[CPIO_MAGIC_LEN - 1] == '1' || header[CPIO_MAGIC_LEN - 1] == '2';
}

/* Eight hexadecimal digits. */
static bool parse_field(const uint8_t *text, uint32_t *value)
{
    uint32_t result = 0;

    for (size_t i = 0; i < CPIO_FIELD_DIGITS; i++) {
        uint8_t c = text[i];
        uint32_t digit;

        if (c >= '0' && c <= '9') {
            digit = c - '0';
        } else if (c >= 'a' && c <= 'f') {
            digit = c - 'a' + 10u;
        } else if (c >= 'A' && c <= 'F') {
            digit = c - 'A' + 10u;
        } else {
            return false;
        }
        result = result << 4 | digit;
    }
    *value = result;
    return true;
}

static bool parse_fields(const uint8_t *header, uint32_t fields[NR_FIELDS])
{
    const uint8_t *text = header + CPIO_MAGIC_LEN;

    for (size_t i = 0; i < NR_FIELDS; i++) {
        if (!parse_field(text + i * CPIO_FIELD_DIGITS, &fields[i])) {
            return false;
        }
    }
    return true;
}

/* @len counts the NUL at the end of both. */
static bool is_trailer(const uint8_t *name, size_t len)
{
    if (len != sizeof(trailer_name)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (name[i] != (uint8_t)trailer_name[i]) {
            return false;
        }
    }
    return true;
}

static void fill_entry(struct cpio_entry *entry, const uint32_t fields[NR_FIELDS],
                       const uint8_t *name)
{
    const char *text = (const char *)name;
    size_t len = 0;

    /* "./bin", "/bin" and "bin" are one name; the root stays ".". */
    while (text[0] == '/' || (text[0] == '.' && text[1] == '/')) {
        text += text[0] == '/' ? 1 : 2;
    }
    if (text[0] == '\0') {
        text = ".";
    }
    while (text[len] != '\0') {
        len++;
    }
    *entry = (struct cpio_entry){
        .name = text,
        .name_len = len,
        .size = fields[FIELD_FILESIZE],
        .mode = fields[FIELD_MODE],
        .ino = fields[FIELD_INO],
        .uid = fields[FIELD_UID],
        .gid = fields[FIELD_GID],
        .nlink = fields[FIELD_NLINK],
        .mtime = fields[FIELD_MTIME],
        .dev_major = fields[FIELD_DEV_MAJOR],
        .dev_minor = fields[FIELD_DEV_MINOR],
        .rdev_major = fields[FIELD_RDEV_MAJOR],
        .rdev_minor = fields[FIELD_RDEV_MINOR],
    };
}

static bool is_same_name(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

int cpio_find(const void *data, size_t size, const char *name, struct cpio_entry *entry)
{
    struct cpio_reader reader;
    struct cpio_entry found;

    cpio_init(&reader, data, size);
    for (;;) {
        int result = cpio_next(&reader, &found);
        if (result != 1) {
            return result;
        }
        if (is_same_name(found.name, name)) {
            *entry = found;
            return 1;
        }
    }
}
