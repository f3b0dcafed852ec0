/*
 * Entry encodings: every kind comes back as it was made, and no kind is taken for another.
 */
#include "mm_test.h"

static const u64 payloads[] = {0, 1, 0x123, 0xfffff, PTE_PAYLOAD_MAX >> 1, PTE_PAYLOAD_MAX};

TEST(mm, pte_none_is_no_other_kind)
{
    EXPECT_EQ(PTE_KIND_NONE, pte_kind(pte_none()));
    EXPECT_FALSE(pte_is_present(pte_none()));
    EXPECT_FALSE(pte_is_table(pte_none()));
}

TEST(mm, pte_present_round_trips_frame_and_rights)
{
    for (u32 i = 0; i < ARRAY_SIZE(payloads); i++) {
        for (u32 access = PTE_ACCESS_NONE; access <= PTE_ACCESS_READ_EXEC; access++) {
            struct pte pte = pte_make_page(payloads[i], access);

            EXPECT_EQ(PTE_KIND_PRESENT, pte_kind(pte));
            EXPECT_EQ(payloads[i], pte_pfn(pte));
            EXPECT_EQ(access, pte_access(pte));
            EXPECT_EQ(access != PTE_ACCESS_NONE, pte_is_accessible(pte));
            EXPECT_FALSE(pte_is_writable(pte));
            EXPECT_FALSE(pte_is_dirty(pte));
            EXPECT_FALSE(pte_is_special(pte));
            EXPECT_FALSE(pte_is_uffd_wp(pte));
        }
    }
}

TEST(mm, pte_bits_of_a_present_entry_are_independent)
{
    struct pte pte = pte_make_page(0x1234, PTE_ACCESS_READ);

    EXPECT_TRUE(pte_is_writable(pte_with_write(pte)));
    EXPECT_FALSE(pte_is_writable(pte_without_write(pte_with_write(pte))));
    EXPECT_TRUE(pte_is_dirty(pte_with_dirty(pte)));
    EXPECT_TRUE(pte_is_soft_dirty(pte_with_dirty(pte)));
    EXPECT_FALSE(pte_is_soft_dirty(pte_without_soft_dirty(pte_with_dirty(pte))));
    EXPECT_TRUE(pte_is_dirty(pte_without_soft_dirty(pte_with_dirty(pte))));
    EXPECT_FALSE(pte_is_accessed(pte_without_accessed(pte)));
    EXPECT_TRUE(pte_is_special(pte_with_special(pte)));
    EXPECT_TRUE(pte_is_uffd_wp(pte_with_uffd_wp(pte)));
    EXPECT_EQ(pte.bits, pte_without_uffd_wp(pte_with_uffd_wp(pte)).bits);
    EXPECT_EQ(0x1234, pte_pfn(pte_with_uffd_wp(pte_with_special(pte_with_dirty(pte)))));
}

TEST(mm, pte_without_access_is_neither_usable_nor_writable)
{
    struct pte pte = pte_with_write(pte_with_dirty(pte_make_page(7, PTE_ACCESS_READ_EXEC)));
    struct pte hidden = pte_change_access(pte, PTE_ACCESS_NONE);

    EXPECT_EQ(PTE_KIND_PRESENT, pte_kind(hidden));
    EXPECT_FALSE(pte_is_accessible(hidden));
    EXPECT_FALSE(pte_is_writable(hidden));
    EXPECT_TRUE(pte_is_dirty(hidden));
    EXPECT_EQ(7, pte_pfn(hidden));
    EXPECT_EQ(pte_without_write(pte).bits, pte_change_access(hidden, PTE_ACCESS_READ_EXEC).bits);
}

TEST(mm, pte_swap_round_trips)
{
    for (u32 i = 0; i < ARRAY_SIZE(payloads); i++) {
        struct pte pte = pte_make_swap(payloads[i]);
        struct pte exclusive = pte_swap_with_exclusive(pte_with_uffd_wp(pte_with_soft_dirty(pte)));

        EXPECT_EQ(PTE_KIND_SWAP, pte_kind(pte));
        EXPECT_EQ(payloads[i], pte_swap_slot(pte));
        EXPECT_FALSE(pte_swap_is_exclusive(pte));
        EXPECT_EQ(PTE_KIND_SWAP, pte_kind(exclusive));
        EXPECT_EQ(payloads[i], pte_swap_slot(exclusive));
        EXPECT_TRUE(pte_swap_is_exclusive(exclusive));
        EXPECT_TRUE(pte_is_uffd_wp(exclusive) && pte_is_soft_dirty(exclusive));
        EXPECT_FALSE(pte_swap_is_exclusive(pte_swap_without_exclusive(exclusive)));
    }
}

TEST(mm, pte_migration_round_trips)
{
    for (u32 i = 0; i < ARRAY_SIZE(payloads); i++) {
        for (u32 access = PTE_MIGRATION_READ; access <= PTE_MIGRATION_WRITE; access++) {
            struct pte pte = pte_with_uffd_wp(pte_make_migration(payloads[i], access));

            EXPECT_EQ(PTE_KIND_MIGRATION, pte_kind(pte));
            EXPECT_EQ(payloads[i], pte_migration_pfn(pte));
            EXPECT_EQ(access, pte_migration_access(pte));
            EXPECT_TRUE(pte_is_uffd_wp(pte));
        }
    }
}

TEST(mm, pte_marker_round_trips)
{
    for (u32 markers = 1; markers <= PTE_MARKER_MASK; markers++) {
        struct pte pte = pte_make_marker(markers);

        EXPECT_EQ(PTE_KIND_MARKER, pte_kind(pte));
        EXPECT_EQ(markers, pte_markers(pte));
    }
}

TEST(mm, pte_carry_moves_two_bits_between_kinds)
{
    struct pte from = pte_with_soft_dirty(pte_with_uffd_wp(pte_make_swap(5)));
    struct pte to = pte_carry(pte_make_page(9, PTE_ACCESS_READ), from);

    EXPECT_EQ(PTE_KIND_PRESENT, pte_kind(to));
    EXPECT_EQ(9, pte_pfn(to));
    EXPECT_TRUE(pte_is_uffd_wp(to));
    EXPECT_TRUE(pte_is_soft_dirty(to));
    EXPECT_EQ(pte_make_swap(5).bits, pte_carry(from, pte_none()).bits);
}

TEST(mm, pte_table_round_trips)
{
    struct pte pte = pte_make_table(0x7654000);

    EXPECT_TRUE(pte_is_table(pte));
    EXPECT_EQ(0x7654000, pte_table_phys(pte));
    EXPECT_FALSE(pte_is_table((struct pte){pte.bits | PTE_BIT_HUGE}));
}
