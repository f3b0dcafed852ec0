/*
 * A pager of one file: the pages of its object come from the file and go back there.
 *
 * The object's pages in memory are newer than the file. Each handler answers one operation of
 * uapi/cowbell.h; nothing is locked, because there is one thread.
 */
#ifndef OBJECT_PAGER_H
#define OBJECT_PAGER_H

#include <stdbool.h>
#include <cb_server.h>

struct pager {
    int port;
    int file;     /* the backing store, opened for reading and, if it may be, writing */
    int object;   /* the paged object over it */
    bool is_told; /* -v: say what is asked */
};

extern struct pager pager;
extern const struct cb_op_entry pager_ops[CB_OP_END];

/** pager_start() - make the object of an open file. Return: 0 or -errno. */
int pager_start(int port, int file);

/** pager_finish() - whatever is in memory goes into the file. Return: 0 or -errno. */
int pager_finish(void);

#endif
