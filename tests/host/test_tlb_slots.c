/*
 * Tagged translations against a simulated machine: processors that keep translations of address
 * spaces they do not run, page tables that change, and shootdowns in the order of kernel/mm/tlb.c.
 */
#include <host_test.h>

#include <lib/types.h>
#include <mm/tlb_slots.h>

#define NR_CPUS   3
#define NR_SPACES 10
#define NR_PAGES  4
#define NR_STEPS  400000

/* What a page-table entry says: a new number each time it changes, so that an old one shows. */
struct space {
    u64 context;
    u64 gen;
    u64 cpumask;
    u64 entries[NR_PAGES];
};

/* A processor, and what is cached under each tag; 0: nothing. */
struct processor {
    struct tlb_slots slots;
    struct space *loaded;
    u64 cached[TLB_SLOTS_MAX][NR_PAGES];
};

static struct space spaces[NR_SPACES];
static struct processor processors[NR_CPUS];
static u64 last_number;
static u64 nr_kept;
static u64 nr_interrupts;

static void forget_all(struct processor *cpu)
{
    memset(cpu->cached[cpu->slots.current], 0, sizeof(cpu->cached[0]));
}

static void load(u32 number, struct space *next)
{
    struct processor *cpu = &processors[number];

    if (next == cpu->loaded) {
        return;
    }
    next->cpumask |= BIT(number);
    if (tlb_slots_load(&cpu->slots, next->context, next->gen) == TLB_LOAD_FLUSH) {
        forget_all(cpu);
    } else {
        nr_kept++;
    }
    if (cpu->loaded != NULL) {
        cpu->loaded->cpumask &= ~BIT(number);
    }
    cpu->loaded = next;
}

static void leave(u32 number)
{
    struct processor *cpu = &processors[number];

    if (cpu->loaded != NULL) {
        cpu->loaded->cpumask &= ~BIT(number);
        cpu->loaded = NULL;
        tlb_slots_leave(&cpu->slots);
    }
}

static void use(u32 number, u32 page)
{
    struct processor *cpu = &processors[number];
    u64 *cached;

    if (cpu->loaded == NULL) {
        return;
    }
    cached = &cpu->cached[cpu->slots.current][page];
    if (*cached == 0) {
        *cached = cpu->loaded->entries[page];
    }
    EXPECT_EQ(cpu->loaded->entries[page], *cached);
}

/* A shootdown that is on its way: some processors have it behind them. */
struct shootdown {
    struct space *space;
    u32 page;
    u64 gen;
    u64 left;
};

static struct shootdown begin_change(struct space *space, u32 page)
{
    space->entries[page] = ++last_number;
    space->gen++;
    return (struct shootdown){space, page, space->gen, space->cpumask};
}

static void receive(struct shootdown *shootdown, u32 number)
{
    struct processor *cpu = &processors[number];

    shootdown->left &= ~BIT(number);
    if (cpu->loaded != shootdown->space) {
        return;
    }
    nr_interrupts++;
    switch (tlb_slots_flush(&cpu->slots, shootdown->gen, shootdown->space->gen)) {
    case TLB_FLUSH_NOTHING:
        break;
    case TLB_FLUSH_RANGE:
        cpu->cached[cpu->slots.current][shootdown->page] = 0;
        break;
    case TLB_FLUSH_ALL:
        forget_all(cpu);
        break;
    }
}

static void deliver(struct shootdown *shootdown)
{
    while (shootdown->left != 0) {
        u32 number = (u32)host_random(NR_CPUS);

        if (shootdown->left & BIT(number)) {
            receive(shootdown, number);
        }
    }
}

static void renew(struct space *space)
{
    static u64 last_context;

    for (u32 i = 0; i < NR_CPUS; i++) {
        if (processors[i].loaded == space) {
            leave(i);
        }
    }
    *space = (struct space){.context = ++last_context};
    for (u32 page = 0; page < NR_PAGES; page++) {
        space->entries[page] = ++last_number;
    }
}

static void begin(u32 nr_slots)
{
    memset(processors, 0, sizeof(processors));
    for (u32 i = 0; i < NR_CPUS; i++) {
        tlb_slots_init(&processors[i].slots, nr_slots);
    }
    for (u32 i = 0; i < NR_SPACES; i++) {
        renew(&spaces[i]);
    }
    nr_kept = 0;
    nr_interrupts = 0;
}

/* Two shootdowns of one address space may be on their way at once, and arrive in any order. */
static void change_two_at_once(struct space *space)
{
    struct shootdown first = begin_change(space, (u32)host_random(NR_PAGES));
    struct shootdown second = begin_change(space, (u32)host_random(NR_PAGES));

    for (u32 number = 0; number < NR_CPUS; number++) {
        struct shootdown *early = host_random(2) == 0 ? &first : &second;

        if (early->left & BIT(number)) {
            receive(early, number);
        }
    }
    deliver(&first);
    deliver(&second);
}

static void step(void)
{
    u32 number = (u32)host_random(NR_CPUS);
    struct space *space = &spaces[host_random(NR_SPACES)];
    struct shootdown shootdown;

    switch (host_random(16)) {
    case 0:
        leave(number);
        break;
    case 1:
        shootdown = begin_change(space, (u32)host_random(NR_PAGES));
        deliver(&shootdown);
        break;
    case 2:
        change_two_at_once(space);
        break;
    case 3:
        if (host_random(16) == 0) {
            renew(space);
        }
        break;
    case 4:
    case 5:
    case 6:
        load(number, space);
        break;
    default:
        use(number, (u32)host_random(NR_PAGES));
        break;
    }
}

TEST(no_stale_translation_is_used_with_tags)
{
    begin(TLB_SLOTS_MAX);
    for (u32 i = 0; i < NR_STEPS; i++) {
        step();
    }
    EXPECT_TRUE(nr_kept > 0);
}

TEST(no_stale_translation_is_used_without_tags)
{
    begin(1);
    for (u32 i = 0; i < NR_STEPS; i++) {
        step();
    }
    EXPECT_EQ(0, nr_kept);
}

TEST(going_round_as_many_spaces_as_there_are_tags_flushes_nothing)
{
    begin(TLB_SLOTS_MAX);
    for (u32 round = 0; round < 10; round++) {
        for (u32 i = 0; i < TLB_SLOTS_MAX; i++) {
            load(0, &spaces[i]);
            use(0, 0);
        }
    }
    EXPECT_EQ(9 * TLB_SLOTS_MAX, nr_kept);
}

TEST(a_tag_that_is_given_to_another_space_is_flushed)
{
    begin(TLB_SLOTS_MAX);
    for (u32 round = 0; round < 3; round++) {
        for (u32 i = 0; i < TLB_SLOTS_MAX + 1; i++) {
            load(0, &spaces[i]);
            use(0, 0);
        }
    }
    EXPECT_EQ(0, nr_kept);
}

TEST(nobody_is_interrupted_for_a_space_that_it_does_not_run)
{
    struct shootdown shootdown;

    begin(TLB_SLOTS_MAX);
    for (u32 number = 0; number < NR_CPUS; number++) {
        load(number, &spaces[0]);
        use(number, 1);
        load(number, &spaces[1]);
    }
    shootdown = begin_change(&spaces[0], 1);
    deliver(&shootdown);
    EXPECT_EQ(0, nr_interrupts);
    for (u32 number = 0; number < NR_CPUS; number++) {
        load(number, &spaces[0]);
        use(number, 1);
    }
    EXPECT_EQ(0, nr_kept);
}
