/* futex(2) as user programs see it. Source: Linux uapi linux/futex.h. */
#ifndef UAPI_LINUX_FUTEX_H
#define UAPI_LINUX_FUTEX_H

#include <stdint.h>

#define FUTEX_WAIT            0
#define FUTEX_WAKE            1
#define FUTEX_FD              2
#define FUTEX_REQUEUE         3
#define FUTEX_CMP_REQUEUE     4
#define FUTEX_WAKE_OP         5
#define FUTEX_LOCK_PI         6
#define FUTEX_UNLOCK_PI       7
#define FUTEX_TRYLOCK_PI      8
#define FUTEX_WAIT_BITSET     9
#define FUTEX_WAKE_BITSET     10
#define FUTEX_WAIT_REQUEUE_PI 11
#define FUTEX_CMP_REQUEUE_PI  12
#define FUTEX_LOCK_PI2        13

#define FUTEX_PRIVATE_FLAG   128
#define FUTEX_CLOCK_REALTIME 256
#define FUTEX_CMD_MASK       (~(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME))

#define FUTEX_BITSET_MATCH_ANY 0xffffffffu

/* The word of a robust or priority-inheriting futex. */
#define FUTEX_WAITERS    0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK   0x3fffffffu

/* FUTEX_WAKE_OP: op 4 bits, comparison 4 bits, two 12-bit signed arguments. */
#define FUTEX_OP_SET       0
#define FUTEX_OP_ADD       1
#define FUTEX_OP_OR        2
#define FUTEX_OP_ANDN      3
#define FUTEX_OP_XOR       4
#define FUTEX_OP_ARG_SHIFT 8

#define FUTEX_OP_CMP_EQ 0
#define FUTEX_OP_CMP_NE 1
#define FUTEX_OP_CMP_LT 2
#define FUTEX_OP_CMP_LE 3
#define FUTEX_OP_CMP_GT 4
#define FUTEX_OP_CMP_GE 5

/* A list that does not end here is taken to be a cycle. */
#define ROBUST_LIST_LIMIT 2048

/* Bit 0 of a list pointer marks a priority-inheriting futex. */
#define ROBUST_LIST_PI 1ul

struct robust_list_head {
    uint64_t list;            /* user address of the first entry, or of this head */
    int64_t futex_offset;     /* from an entry to its futex word */
    uint64_t list_op_pending; /* the entry that was being taken or given up */
};
_Static_assert(sizeof(struct robust_list_head) == 24, "struct robust_list_head is 24 bytes");

#endif
