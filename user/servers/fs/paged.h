/*
 * Files of the initial image that are mapped and were never written: the server is the pager of
 * their objects, and brings their pages out of the image when a client needs them.
 *
 * The cookie of such an object says where in the image the content is, so a page can be brought for
 * as long as anybody maps it, whatever became of the file.
 */
#ifndef FS_PAGED_H
#define FS_PAGED_H

#include <stdbool.h>
#include <cb_server.h>
#include "node.h"

/** paged_can() - can the file's content be told by a cookie? */
bool paged_can(const struct node *file);

/** paged_open() - make the object; its descriptor becomes node.data.fd. Return: 0 or -errno. */
int paged_open(struct node *file);

/** paged_settle() - bring all that is missing in, and be its pager no more. Return: 0 or -errno. */
int paged_settle(struct node *file);

/** paged_is_cookie() - does a message come from a paged object rather than from an open file? */
bool paged_is_cookie(uint64_t cookie);

/** op_page_in() - CB_OP_PAGE_IN. */
int64_t op_page_in(struct cb_request *request);

#endif
