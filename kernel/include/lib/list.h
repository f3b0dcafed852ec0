/*
 * Intrusive doubly linked lists with a head.
 *
 * A node that is on no list points to itself, if it was initialised; list_del() leaves it so.
 * Lists have no lock: their owner's lock protects them.
 */
#ifndef LIB_LIST_H
#define LIB_LIST_H

#include <lib/assert.h>
#include <lib/types.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        .prev = &(name), .next = &(name)                                                           \
    }

static inline void list_init(struct list_node *node)
{
    node->prev = node;
    node->next = node;
}

static inline bool list_is_empty(const struct list_node *head)
{
    return head->next == head;
}

/* Whether an initialised node is on a list. */
static inline bool list_is_linked(const struct list_node *node)
{
    return node->next != node;
}

static inline void list_insert_between(struct list_node *node, struct list_node *prev,
                                       struct list_node *next)
{
    DEBUG_ASSERT(prev->next == next && next->prev == prev, "list neighbours point to each other");
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void list_add_head(struct list_node *head, struct list_node *node)
{
    list_insert_between(node, head, head->next);
}

static inline void list_add_tail(struct list_node *head, struct list_node *node)
{
    list_insert_between(node, head->prev, head);
}

/* Inserts @node right before @position, which may be the head (then it is the last). */
static inline void list_add_before(struct list_node *position, struct list_node *node)
{
    list_insert_between(node, position->prev, position);
}

static inline void list_add_after(struct list_node *position, struct list_node *node)
{
    list_insert_between(node, position, position->next);
}

/* Takes a node off its list; one that is on none stays so. */
static inline void list_del(struct list_node *node)
{
    DEBUG_ASSERT(node->prev->next == node && node->next->prev == node,
                 "a list node's neighbours point to it");
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

static inline void list_move_tail(struct list_node *head, struct list_node *node)
{
    list_del(node);
    list_add_tail(head, node);
}

/* Appends all nodes of @from to @head; @from is empty afterwards. */
static inline void list_splice_tail(struct list_node *head, struct list_node *from)
{
    if (list_is_empty(from)) {
        return;
    }
    from->next->prev = head->prev;
    head->prev->next = from->next;
    from->prev->next = head;
    head->prev = from->prev;
    list_init(from);
}

/* Counts the nodes; linear time. */
static inline size_t list_length(const struct list_node *head)
{
    size_t n = 0;

    for (const struct list_node *node = head->next; node != head; node = node->next) {
        n++;
    }
    return n;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The list is not empty. */
#define list_first_entry(head, type, member) list_entry((head)->next, type, member)
#define list_last_entry(head, type, member)  list_entry((head)->prev, type, member)

/* NULL if the list is empty. */
#define list_first_entry_or_null(head, type, member)                                               \
    (list_is_empty(head) ? NULL : list_first_entry(head, type, member))

/* NULL after the last entry. */
#define list_next_entry_or_null(entry, head, member)                                               \
    ((entry)->member.next == (head)                                                                \
         ? NULL                                                                                    \
         : list_entry((entry)->member.next, __typeof__(*(entry)), member))

#define list_for_each_entry(entry, head, member)                                                   \
    for (entry = list_entry((head)->next, __typeof__(*entry), member); &entry->member != (head);   \
         entry = list_entry(entry->member.next, __typeof__(*entry), member))

/* The body may take @entry, but no other node, off the list. */
#define list_for_each_entry_safe(entry, following, head, member)                                   \
    for (entry = list_entry((head)->next, __typeof__(*entry), member),                             \
        following = list_entry(entry->member.next, __typeof__(*entry), member);                    \
         &entry->member != (head); entry = following,                                              \
        following = list_entry(following->member.next, __typeof__(*following), member))

#define list_for_each_entry_reverse(entry, head, member)                                           \
    for (entry = list_entry((head)->prev, __typeof__(*entry), member); &entry->member != (head);   \
         entry = list_entry(entry->member.prev, __typeof__(*entry), member))

#endif
