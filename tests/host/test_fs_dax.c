/*
 * The file server on a direct device: what is on the device after a save, and what is made of a
 * device that was damaged, or written by somebody who means harm.
 */
#include <stdlib.h>
#include "fs_client.h"
#include "user/servers/fs/dax.h"

#define TABLE_SIZE (4 * 4096u) /* the fake device has 512 frames */

static void start_with_device(void)
{
    if (fake_dax == NULL) {
        fake_dax = calloc(FAKE_DAX_FRAMES, FAKE_DAX_FRAME);
    }
    start();
}

static int64_t mount_dax(void)
{
    return CALL(.op = CB_OP_MOUNT, .path = "/dax", .path2 = "daxfs");
}

static int64_t unmount_dax(void)
{
    return CALL(.op = CB_OP_UMOUNT, .path = "/dax");
}

static int64_t sync_all(void)
{
    int64_t result = CALL(.op = CB_OP_FSYNC, .args = {CB_FSYNC_ALL});

    fake_dax_write_back();
    return result;
}

static struct dax_super *super_block(void)
{
    return (struct dax_super *)fake_dax;
}

static uint8_t *table_bytes(unsigned which)
{
    return fake_dax + dax_table_at(super_block(), which);
}

/* The newest table's description. */
static struct dax_table *newest(unsigned *which)
{
    *which = super_block()->tables[1].generation > super_block()->tables[0].generation;
    return &super_block()->tables[*which];
}

static void make_tree(void)
{
    CALL(.op = CB_OP_MKDIR, .path = "/dax/d", .args = {0755});
    CALL(.op = CB_OP_MKDIR, .path = "/dax/d/e", .args = {0700});
    make("/dax/d/f", "content");
    CALL(.op = CB_OP_LINK, .path = "/dax/d/f", .path2 = "/dax/d/e/again");
    CALL(.op = CB_OP_SYMLINK, .path = "d/f", .path2 = "/dax/link");
    make("/dax/empty", "");
}

static void remove_tree(void)
{
    CALL(.op = CB_OP_UNLINK, .path = "/dax/empty");
    CALL(.op = CB_OP_UNLINK, .path = "/dax/link");
    CALL(.op = CB_OP_UNLINK, .path = "/dax/d/e/again");
    CALL(.op = CB_OP_UNLINK, .path = "/dax/d/f");
    CALL(.op = CB_OP_UNLINK, .path = "/dax/d/e", .args = {AT_REMOVEDIR});
    CALL(.op = CB_OP_UNLINK, .path = "/dax/d", .args = {AT_REMOVEDIR});
}

static const char *content_of(const char *path)
{
    uint64_t cookie;

    if (open_file(path, O_RDONLY, 0, &cookie) != 0) {
        return "cannot be opened";
    }
    const char *text = read_at(cookie, 0);
    close_file(cookie);
    return text;
}

TEST(tree_is_there_after_the_next_mount)
{
    start_with_device();
    make_tree();
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(0, unmount_dax());
    EXPECT_EQ(0, mount_dax());
    EXPECT_STR("content", content_of("/dax/d/e/again"));
    EXPECT_EQ(stat_of("/dax/d/f").st_ino, stat_of("/dax/d/e/again").st_ino);
    EXPECT_EQ(2, stat_of("/dax/d/f").st_nlink);
    EXPECT_STR("content", content_of("/dax/link"));
    EXPECT_EQ(S_IFDIR | 0700, stat_of("/dax/d/e").st_mode);
    EXPECT_EQ(0, stat_of("/dax/empty").st_size);
    remove_tree();
    EXPECT_EQ(0, sync_all());
}

/* The last save did not reach its end: what was saved before is found. */
TEST(torn_table_is_passed_over)
{
    unsigned which;

    start_with_device();
    make("/dax/before", "1");
    EXPECT_EQ(0, sync_all());
    make("/dax/behind", "2");
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(0, unmount_dax());
    (void)newest(&which);
    table_bytes(which)[9] ^= 1;
    EXPECT_EQ(0, mount_dax());
    EXPECT_STR("1", content_of("/dax/before"));
    EXPECT_STR("cannot be opened", content_of("/dax/behind"));
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "/dax/before"));
    EXPECT_EQ(0, sync_all());
}

TEST(other_content_is_left_alone)
{
    struct dax_super saved;

    start_with_device();
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(0, unmount_dax());
    saved = *super_block();
    super_block()->magic[0] ^= 1;
    EXPECT_EQ(-EUCLEAN, mount_dax());
    *super_block() = saved;
    super_block()->nr_frames++;
    EXPECT_EQ(-EUCLEAN, mount_dax());
    *super_block() = saved;
    super_block()->tables[0].checksum ^= 1;
    super_block()->tables[1].checksum ^= 1;
    EXPECT_EQ(-EUCLEAN, mount_dax());
    *super_block() = saved;
    EXPECT_EQ(0, mount_dax());
    EXPECT_EQ(-ENODEV, mount_dax());
}

/* A table that is whole, as its checksum says, and wrong: each bit of it, one after the other. */
TEST(no_table_disturbs_the_server)
{
    unsigned which;
    unsigned nr_refused = 0;
    uint64_t nr_nodes;

    start_with_device();
    make_tree();
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(0, unmount_dax());
    nr_nodes = node_count();
    struct dax_table *table = newest(&which);
    super_block()->tables[1 - which].generation = 0;
    for (size_t bit = 0; bit < table->length * 8; bit++) {
        uint8_t *byte = table_bytes(which) + bit / 8;
        *byte ^= (uint8_t)(1u << bit % 8);
        table->checksum = dax_checksum(table, table_bytes(which));
        int64_t error = mount_dax();
        EXPECT_TRUE(error == 0 || error == -EUCLEAN);
        nr_refused += error != 0;
        if (error == 0) {
            (void)content_of("/dax/d/f");
            EXPECT_EQ(0, unmount_dax());
        }
        EXPECT_EQ(nr_nodes, node_count());
        *byte ^= (uint8_t)(1u << bit % 8);
    }
    EXPECT_TRUE(nr_refused > 100);
    table->checksum = dax_checksum(table, table_bytes(which));
    EXPECT_EQ(0, mount_dax());
    EXPECT_STR("content", content_of("/dax/d/f"));
    remove_tree();
    EXPECT_EQ(0, sync_all());
}

TEST(records_that_end_early_are_refused)
{
    unsigned which;

    start_with_device();
    make_tree();
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(0, unmount_dax());
    struct dax_table *table = newest(&which);
    uint64_t length = table->length;
    super_block()->tables[1 - which].generation = 0;
    for (uint64_t cut = 0; cut < length; cut += 8) {
        table->length = cut;
        table->checksum = dax_checksum(table, table_bytes(which));
        int64_t error = mount_dax();
        EXPECT_TRUE(error == -EUCLEAN || (error == 0 && cut > 0));
        if (error == 0) {
            EXPECT_EQ(0, unmount_dax());
        }
    }
    table->length = TABLE_SIZE + 8;
    table->checksum = 0;
    EXPECT_EQ(-EUCLEAN, mount_dax());
    table->length = length;
    table->checksum = dax_checksum(table, table_bytes(which));
    EXPECT_EQ(0, mount_dax());
    remove_tree();
    EXPECT_EQ(0, sync_all());
}

/* More names than a table holds: they are there, and what was saved before stays saved. */
TEST(full_table_is_told_and_keeps_the_last_one)
{
    char path[64];
    unsigned which;
    unsigned nr_files = 0;

    start_with_device();
    make("/dax/saved", "s");
    EXPECT_EQ(0, sync_all());
    for (; nr_files < 200; nr_files++) {
        snprintf(path, sizeof(path), "/dax/a_name_that_takes_some_room_%u", nr_files);
        make(path, "");
    }
    EXPECT_EQ(-ENOSPC, sync_all());
    EXPECT_FALSE(dax_is_any_dirty());
    EXPECT_EQ(-ENOSPC, sync_all());
    EXPECT_EQ(-ENOSPC, unmount_dax());
    struct dax_table *table = newest(&which);
    EXPECT_EQ(table->checksum, dax_checksum(table, table_bytes(which)));
    while (nr_files-- > 0) {
        snprintf(path, sizeof(path), "/dax/a_name_that_takes_some_room_%u", nr_files);
        EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = path));
    }
    EXPECT_TRUE(dax_is_any_dirty());
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(0, unmount_dax());
    EXPECT_EQ(0, mount_dax());
    EXPECT_STR("s", content_of("/dax/saved"));
}

/* What a file gave up is given out again only after the next save. */
TEST(frames_wait_for_the_next_save)
{
    uint64_t cookie;
    struct mount *mount = mount_first();

    start_with_device();
    while (mount != NULL && mount->dax == NULL) {
        mount = mount->next;
    }
    EXPECT_TRUE(mount != NULL);
    EXPECT_EQ(0, sync_all());
    uint64_t nr_free = mount->dax->nr_free;
    EXPECT_EQ(0, open_file("/dax/big", O_CREAT | O_RDWR, 0600, &cookie));
    EXPECT_EQ(0, FILE_CALL(cookie, .op = CB_OP_FALLOCATE, .args = {0, 0, 40 * 4096}));
    EXPECT_EQ(nr_free - 40, mount->dax->nr_free);
    EXPECT_EQ(0, FILE_CALL(cookie, .op = CB_OP_TRUNCATE, .args = {10 * 4096}));
    EXPECT_EQ(nr_free - 40, mount->dax->nr_free);
    EXPECT_EQ(30, mount->dax->nr_pending);
    /* More than is free: what is pending is needed, so a save comes first. */
    EXPECT_EQ(0, FILE_CALL(cookie, .op = CB_OP_FALLOCATE, .args = {0, 0, nr_free * 4096}));
    EXPECT_EQ(0, mount->dax->nr_free);
    EXPECT_EQ(0, mount->dax->nr_pending);
    close_file(cookie);
    EXPECT_EQ(0, CALL(.op = CB_OP_UNLINK, .path = "/dax/big"));
    EXPECT_EQ(0, sync_all());
    EXPECT_EQ(nr_free, mount->dax->nr_free);
}
