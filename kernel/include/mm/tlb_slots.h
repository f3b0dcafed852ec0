#ifndef MM_TLB_SLOTS_H
#define MM_TLB_SLOTS_H

#include <lib/compiler.h>
#include <lib/types.h>

/*
 * What a processor knows of the translations that it keeps for address spaces it does not run.
 *
 * Where translations carry a tag (x86: the PCID), a processor has some slots, one a tag, and a slot
 * keeps the translations of one address space while others run. Nobody interrupts a processor for
 * an address space that it does not run. Instead every shootdown counts mm->tlb_gen on, and a slot
 * remembers the count up to which it is clean: a slot that is behind is flushed when it is loaded.
 * Without tags there is one slot, and whoever is loaded into it flushes it.
 *
 * T1. A slot's translations are those of its context, and none is older than its generation says.
 * T2. A context is an address space and never given to another one, so a slot that still names a
 *     dead one is merely useless.
 *
 * Plain data without locks: a processor's own, with interrupts off. Tested on the host against a
 * simulated machine (tests/host/test_tlb_slots.c). Read next: kernel/mm/tlb.c.
 */
enum { TLB_SLOTS_MAX = 6, TLB_SLOT_NONE = TLB_SLOTS_MAX };

struct tlb_slot {
    u64 context; /* mm->tlb_context; 0: nobody's */
    u64 gen;     /* clean up to this value of mm->tlb_gen */
};

struct tlb_slots {
    u32 nr;      /* slots in use: 1 without tags */
    u32 current; /* the one that is loaded, or TLB_SLOT_NONE */
    u32 oldest;  /* the one to give away next */
    struct tlb_slot slots[TLB_SLOTS_MAX];
};

/** enum tlb_slot_load - what to do with the translations under the tag that is loaded. */
enum tlb_slot_load { TLB_LOAD_KEEP, TLB_LOAD_FLUSH };

/** enum tlb_slot_flush - what a shootdown has to flush here. */
enum tlb_slot_flush {
    TLB_FLUSH_NOTHING, /* a later one has been here already */
    TLB_FLUSH_RANGE,   /* what it names */
    TLB_FLUSH_ALL,     /* everything of the context: an earlier one has not been here yet */
};

/** tlb_slots_init() - no context anywhere; @nr is 1, or TLB_SLOTS_MAX with tags. */
static inline void tlb_slots_init(struct tlb_slots *slots, u32 nr)
{
    *slots = (struct tlb_slots){.nr = nr, .current = TLB_SLOT_NONE};
}

/**
 * tlb_slots_load() - choose a slot for an address space that is about to be loaded: slots->current.
 * @gen: mm->tlb_gen, read after this processor can be seen in mm->cpumask
 */
static inline enum tlb_slot_load tlb_slots_load(struct tlb_slots *slots, u64 context, u64 gen)
{
    for (u32 i = 0; i < slots->nr; i++) {
        struct tlb_slot *slot = &slots->slots[i];

        if (slot->context == context) {
            bool is_clean = slot->gen == gen && slots->nr > 1;

            slots->current = i;
            slot->gen = gen;
            return is_clean ? TLB_LOAD_KEEP : TLB_LOAD_FLUSH;
        }
    }
    slots->current = slots->oldest;
    slots->oldest = slots->oldest + 1 == slots->nr ? 0 : slots->oldest + 1;
    slots->slots[slots->current] = (struct tlb_slot){.context = context, .gen = gen};
    return TLB_LOAD_FLUSH;
}

/** tlb_slots_leave() - the kernel's own tables are loaded: no slot is. */
static inline void tlb_slots_leave(struct tlb_slots *slots)
{
    slots->current = TLB_SLOT_NONE;
}

/**
 * tlb_slots_flush() - a shootdown reaches a processor that runs its address space.
 * @gen:    the shootdown's own count
 * @newest: mm->tlb_gen now
 *
 * The caller flushes what is returned before it lets interrupts in.
 */
static inline enum tlb_slot_flush tlb_slots_flush(struct tlb_slots *slots, u64 gen, u64 newest)
{
    struct tlb_slot *slot = &slots->slots[slots->current];

    if (slot->gen >= gen) {
        return TLB_FLUSH_NOTHING;
    }
    if (slot->gen + 1 == gen) {
        slot->gen = gen;
        return TLB_FLUSH_RANGE;
    }
    slot->gen = newest;
    return TLB_FLUSH_ALL;
}

#endif
