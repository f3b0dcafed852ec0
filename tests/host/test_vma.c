/*
 * Splitting and merging of VMAs over every combination of neighbours, as pictures.
 *
 * A picture has one character a page: '.' nothing, 'a' 'b' private memory that differs in advice,
 * 'o' 'O' a private mapping of an object that continues from page to page, of one and another
 * object, 'p' one of another part of the first object, 's' a shared one. '|' stands in front of a
 * page where a VMA begins although the page before is mapped.
 */
#include <host_test.h>

#include <fake_kernel.h>
#include <fake_mm.h>
#include <lib/errno.h>
#include <mm/mm.h>
#include <mm/object.h>
#include <mm/ranges.h>
#include <mm/slab.h>
#include <mm/vma.h>
#include <uapi/linux/mman.h>

#define NR_PLACES  9 /* pages in a picture */
#define OTHER_PART 5 /* by how many pages 'p' is ahead of 'o' in the object */

static struct mm mm;
static struct vm_object *objects[2];

static u64 place(int page)
{
    return FAKE_BASE + (u64)page * PAGE_SIZE;
}

static int map_pages(char kind, int first, int end)
{
    struct map_request req = {
        .addr = place(first),
        .len = place(end) - place(first),
        .prot = PROT_READ | PROT_WRITE,
        .flags = MAP_FIXED | MAP_PRIVATE,
    };
    u64 addr;
    int error;

    if (kind == 'a' || kind == 'b') {
        req.flags |= MAP_ANONYMOUS;
    } else {
        req.object = objects[kind == 'O'];
        req.pgoff = (u64)first + (kind == 'p' ? OTHER_PART : 0);
    }
    if (kind == 's') {
        req.flags ^= MAP_SHARED | MAP_PRIVATE;
    }
    req.vm_flags = kind == 'b' ? VM_RAND_READ : 0;
    error = mm_map(&mm, &req, &addr);
    EXPECT_TRUE(error != 0 || addr == place(first));
    return error;
}

static char kind_of(const struct vma *vma)
{
    if (vma->object == NULL) {
        return vma->flags & VM_RAND_READ ? 'b' : 'a';
    }
    if (vma->flags & VM_SHARED) {
        return 's';
    }
    if (vma->object == objects[1]) {
        return 'O';
    }
    return vma->pgoff == (vma->start - place(0)) / PAGE_SIZE + OTHER_PART ? 'p' : 'o';
}

static void draw(char *picture)
{
    const struct vma *before = NULL;

    for (int page = 0; page < NR_PLACES; page++) {
        const struct vma *vma = vma_find_at(&mm, place(page));

        if (before != NULL && vma != NULL && before != vma) {
            *picture++ = '|';
        }
        *picture++ = vma != NULL ? kind_of(vma) : '.';
        before = vma;
    }
    *picture = '\0';
}

/* Builds a picture without '|': each run of equal letters is mapped at once. */
static void build(const char *picture)
{
    for (int page = 0; page < NR_PLACES;) {
        int end = page + 1;

        while (end < NR_PLACES && picture[end] == picture[page]) {
            end++;
        }
        if (picture[page] != '.') {
            EXPECT_EQ(0, map_pages(picture[page], page, end));
        }
        page = end;
    }
}

static void begin(void)
{
    fake_mm_init(&mm);
    EXPECT_EQ(0, object_create_shmem(FAKE_NR_PAGES * PAGE_SIZE, &objects[0]));
    EXPECT_EQ(0, object_create_shmem(FAKE_NR_PAGES * PAGE_SIZE, &objects[1]));
}

static void end(void)
{
    fake_mm_clear(&mm);
    object_put(objects[0]);
    object_put(objects[1]);
    EXPECT_EQ(0, slab_objects_in_use());
}

/* What the pages look like when neighbours that are alike are one: '|' between unlike letters. */
static void expected_picture(const char *pages, char *picture)
{
    for (int page = 0; page < NR_PLACES; page++) {
        if (page > 0 && pages[page] != pages[page - 1] && pages[page] != '.' &&
            pages[page - 1] != '.') {
            *picture++ = '|';
        }
        *picture++ = pages[page];
    }
    *picture = '\0';
}

static void expect_pages(const char *pages)
{
    char expected[2 * NR_PLACES + 1];
    char actual[2 * NR_PLACES + 1];

    expected_picture(pages, expected);
    draw(actual);
    EXPECT_STR(expected, actual);
    vma_tree_check(&mm);
}

static void fill(char *pages, char kind, int first, int last)
{
    memset(pages + first, kind, (size_t)(last - first));
}

static const char kinds[] = {'.', 'a', 'b', 'o', 'O', 'p', 's'};
#define NR_KINDS ARRAY_SIZE(kinds)

/* Each of: what is below, what is above, what was there, what comes. */
TEST(map_merges_with_every_combination_of_neighbours)
{
    for (u32 n = 0; n < NR_KINDS * NR_KINDS * NR_KINDS * NR_KINDS; n++) {
        char pages[NR_PLACES + 1] = ".........";
        char comes = kinds[n / (NR_KINDS * NR_KINDS * NR_KINDS)];

        fill(pages, kinds[n % NR_KINDS], 0, 3);
        fill(pages, kinds[n / NR_KINDS % NR_KINDS], 6, 9);
        fill(pages, kinds[n / (NR_KINDS * NR_KINDS) % NR_KINDS], 3, 6);
        if (comes == '.') {
            continue;
        }
        begin();
        build(pages);
        expect_pages(pages);
        EXPECT_EQ(0, map_pages(comes, 3, 6));
        fill(pages, comes, 3, 6);
        expect_pages(pages);
        end();
    }
}

TEST(unmap_cuts_every_combination_of_neighbours_at_every_place)
{
    for (u32 n = 0; n < NR_KINDS * NR_KINDS * NR_KINDS; n++) {
        for (int first = 0; first < NR_PLACES; first++) {
            for (int last = first + 1; last <= NR_PLACES; last++) {
                char pages[NR_PLACES + 1] = ".........";

                fill(pages, kinds[n % NR_KINDS], 0, 3);
                fill(pages, kinds[n / NR_KINDS % NR_KINDS], 3, 6);
                fill(pages, kinds[n / NR_KINDS / NR_KINDS], 6, 9);
                begin();
                build(pages);
                EXPECT_EQ(0, mm_unmap(&mm, place(first), place(last) - place(first)));
                fill(pages, '.', first, last);
                expect_pages(pages);
                end();
            }
        }
    }
}

/* Advice turns 'a' into 'b' and back; each part of three neighbours, each way. */
TEST(changed_flags_split_and_merge_at_every_place)
{
    static const char advised[] = {'a', 'b'};

    for (u32 n = 0; n < 16; n++) {
        for (int first = 0; first < NR_PLACES; first++) {
            for (int last = first + 1; last <= NR_PLACES; last++) {
                char pages[NR_PLACES + 1] = ".........";
                char becomes = advised[n / 8];

                fill(pages, advised[n & 1], 0, 3);
                fill(pages, advised[n / 2 & 1], 3, 6);
                fill(pages, advised[n / 4 & 1], 6, 9);
                begin();
                build(pages);
                EXPECT_EQ(0, mm_advise(&mm, place(first), place(last) - place(first),
                                       becomes == 'b' ? MADV_RANDOM : MADV_NORMAL));
                fill(pages, becomes, first, last);
                expect_pages(pages);
                end();
            }
        }
    }
}

/* One test step for the next: an operation that must leave everything as it was if it fails. */
struct failing_case {
    const char *name;
    const char *before;
    int (*run)(void);
};

static int unmap_middle(void)
{
    return mm_unmap(&mm, place(3), 3 * PAGE_SIZE);
}

static int map_over_middle(void)
{
    return map_pages('b', 3, 6);
}

static int advise_middle(void)
{
    return mm_advise(&mm, place(3), 3 * PAGE_SIZE, MADV_RANDOM);
}

static int protect_middle(void)
{
    return mm_protect(&mm, place(3), 3 * PAGE_SIZE, PROT_READ);
}

static int move_middle(void)
{
    u64 addr;

    return mm_remap(&mm, place(3), 3 * PAGE_SIZE, 4 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &addr);
}

TEST(failed_operations_change_nothing)
{
    static const struct failing_case cases[] = {
        {"unmap", "aaaaaaaaa", unmap_middle},     {"unmap", "ooooooooo", unmap_middle},
        {"map", "aaaaaaaaa", map_over_middle},    {"map", "aaaoooaaa", map_over_middle},
        {"advise", "aaaaaaaaa", advise_middle},   {"advise", "sssssssss", advise_middle},
        {"protect", "aaaaaaaaa", protect_middle}, {"protect", "ooooooooo", protect_middle},
        {"move", "aaaaaaaaa", move_middle},       {"move", "bbbaaabbb", move_middle},
    };

    for (u32 i = 0; i < ARRAY_SIZE(cases); i++) {
        for (u64 nth = 1;; nth++) {
            u64 promised, total;
            int error;

            begin();
            build(cases[i].before);
            EXPECT_TRUE(fake_touch(&mm, place(4), 7));
            promised = vm_committed();
            total = mm.total_vm;
            fake_fail_nth = nth;
            error = cases[i].run();
            if (fake_fail_nth != 0) {
                fake_fail_nth = 0;
                EXPECT_EQ(0, error);
                end();
                break;
            }
            EXPECT_TRUE(error == -ENOMEM || error == -EAGAIN);
            expect_pages(cases[i].before);
            EXPECT_EQ(promised, vm_committed());
            EXPECT_EQ(total, mm.total_vm);
            EXPECT_EQ(7, fake_entries[4].tag);
            fake_check_entries(&mm);
            end();
        }
    }
}

TEST(vmas_with_private_pages_of_different_generations_stay_apart)
{
    char actual[2 * NR_PLACES + 1];

    begin();
    build("aaabbbaaa");
    EXPECT_TRUE(fake_touch(&mm, place(1), 1));
    EXPECT_TRUE(fake_touch(&mm, place(7), 2));
    EXPECT_EQ(0, mm_advise(&mm, place(3), 3 * PAGE_SIZE, MADV_NORMAL));
    draw(actual);
    /* The middle had no page yet and joins the generation below it. */
    EXPECT_STR("aaaaaa|aaa", actual);
    vma_tree_check(&mm);
    fake_check_entries(&mm);
    end();
}

TEST(holes_between_mappings_are_found_from_above)
{
    struct map_request req = {
        .len = 2 * PAGE_SIZE,
        .prot = PROT_READ,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS,
    };
    u64 addr;

    begin();
    mm.mmap_base = place(NR_PLACES);
    build("a..bb.a..");
    EXPECT_EQ(0, mm_map(&mm, &req, &addr));
    EXPECT_EQ(place(7), addr);
    EXPECT_EQ(0, mm_map(&mm, &req, &addr));
    EXPECT_EQ(place(1), addr);
    /* Nothing is left below mmap_base: the search goes on above it. */
    EXPECT_EQ(0, mm_map(&mm, &req, &addr));
    EXPECT_TRUE(addr >= TASK_SIZE / 3);
    end();
}

TEST(nothing_is_placed_in_the_guard_gap_of_a_stack)
{
    struct map_request req = {
        .addr = 0x7000000,
        .len = PAGE_SIZE,
        .prot = PROT_READ | PROT_WRITE,
        .flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN,
    };
    u64 addr;

    begin();
    EXPECT_EQ(0, mm_map(&mm, &req, &addr));
    mm.mmap_base = 0x7000000;
    req.flags = MAP_PRIVATE | MAP_ANONYMOUS;
    req.addr = 0;
    EXPECT_EQ(0, mm_map(&mm, &req, &addr));
    EXPECT_EQ(0x7000000 - STACK_GUARD_GAP - PAGE_SIZE, addr);
    /* A hint into the gap is not taken either. */
    req.addr = 0x7000000 - 2 * PAGE_SIZE;
    EXPECT_EQ(0, mm_map(&mm, &req, &addr));
    EXPECT_EQ(0x7000000 - STACK_GUARD_GAP - 2 * PAGE_SIZE, addr);
    /* Growing would eat into the gap above what lies below now. */
    EXPECT_EQ(-EFAULT, mm_expand_stack(&mm, 0x7000000 - PAGE_SIZE));
    EXPECT_EQ(0, mm_unmap(&mm, 0x7000000 - STACK_GUARD_GAP - PAGE_SIZE, PAGE_SIZE));
    EXPECT_EQ(0, mm_expand_stack(&mm, 0x7000000 - PAGE_SIZE));
    EXPECT_EQ(-EFAULT, mm_expand_stack(&mm, 0x7000000 - 2 * PAGE_SIZE));
    EXPECT_EQ(2, mm.stack_vm);
    vma_tree_check(&mm);
    end();
}

TEST(lookup_without_a_lock_finds_what_the_locked_one_finds)
{
    begin();
    build("aa.bboo.s");
    for (int page = 0; page < NR_PLACES; page++) {
        struct vma *expected = vma_find_at(&mm, place(page));
        struct vma *found = NULL;

        EXPECT_EQ(expected != NULL, vma_lock_lookup(&mm, place(page) + 5, &found));
        EXPECT_TRUE(found == expected);
        if (found != NULL) {
            vma_read_unlock(found);
        }
    }
    end();
}

TEST(write_locked_vma_cannot_be_read_locked_until_the_end_of_the_section)
{
    struct vma *vma, *found;

    begin();
    build("aaa......");
    vma = vma_find_at(&mm, place(0));
    mm_write_lock(&mm);
    vma_write_lock(vma);
    EXPECT_FALSE(vma_lock_lookup(&mm, place(0), &found));
    mm_write_unlock(&mm);
    EXPECT_TRUE(vma_lock_lookup(&mm, place(0), &found));
    vma_read_unlock(found);
    end();
}

TEST(number_of_mappings_is_limited)
{
    u64 addr;
    struct map_request req = {
        .len = PAGE_SIZE,
        .flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS,
    };
    int error = 0;

    begin();
    for (u64 i = 0; i < MAX_MAP_COUNT + 1 && error == 0; i++) {
        req.addr = 0x100000000 + i * 2 * PAGE_SIZE;
        error = mm_map(&mm, &req, &addr);
    }
    EXPECT_EQ(0, error);
    EXPECT_EQ(MAX_MAP_COUNT + 1, mm.map_count);
    req.addr = 0x10000000;
    EXPECT_EQ(-ENOMEM, mm_map(&mm, &req, &addr));
    vma_tree_check(&mm);
    end();
}
