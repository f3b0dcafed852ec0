/* Making, reading and writing files whose content is made when it is asked for. */
#ifndef FS_GENERATED_H
#define FS_GENERATED_H

#include <cb_server.h>
#include "open_file.h"

/**
 * generated_add() - a new file in a directory of the tree.
 * @ops: what it reads as, and what writing to it does
 * @out: the node, held
 * Return: 0 or -ENOMEM.
 */
int generated_add(struct node *dir, const char *name, uint32_t mode, const struct node_ops *ops,
                  struct node **out);

/**
 * generated_read() - read a generated file. Reading from its start makes the content anew; reading
 * on goes on in what was made, so that one reader sees one state.
 */
int64_t generated_read(struct cb_request *request, struct open_file *file, uint64_t offset,
                       uint64_t len);

/** generated_write() - hand what a client writes to the file. */
int64_t generated_write(struct cb_request *request, struct open_file *file, uint64_t len);

#endif
