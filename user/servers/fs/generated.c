/* Files whose content is made when it is asked for. */
#include <errno.h>
#include <string.h>
#include "dir.h"
#include "fs.h"
#include "generated.h"
#include "mount.h"

#define WRITE_MAX 4096u

int generated_add(struct node *dir, const char *name, uint32_t mode, const struct node_ops *ops,
                  struct node **out)
{
    struct entry *entry = dir_prepare(dir, name, strlen(name));

    if (entry == NULL) {
        return -ENOMEM;
    }
    struct node *node = node_create_with(ops, dir->mount, S_IFREG | mode);
    if (node == NULL) {
        dir_discard(entry);
        return -ENOMEM;
    }
    node->ino = mount_next_ino(dir->mount);
    dir_add(entry, node);
    *out = node;
    return 0;
}

int64_t generated_read(struct cb_request *request, struct open_file *file, uint64_t offset,
                       uint64_t len)
{
    struct caller caller = fs_caller(request->msg);

    if (offset == 0 || !file->has_content) {
        file->has_content = false;
        file->content.len = 0;
        file->content.is_short_of_memory = false;
        int error = file->node->ops->generate(file->node, &caller, &file->content);
        if (error != 0) {
            return error;
        }
        if (file->content.is_short_of_memory) {
            text_free(&file->content);
            return -ENOMEM;
        }
        file->has_content = true;
    }
    if (offset >= file->content.len) {
        return 0;
    }
    uint64_t left = file->content.len - offset;
    return cb_request_data(request, file->content.bytes + offset, len < left ? len : left);
}

int64_t generated_write(struct cb_request *request, struct open_file *file, uint64_t len)
{
    static char bytes[WRITE_MAX];
    struct caller caller = fs_caller(request->msg);

    len = len < WRITE_MAX ? len : WRITE_MAX;
    long copied = cb_msg_read(request->port, request->msg->id, 0, bytes, len);
    if (copied < 0) {
        return copied;
    }
    return file->node->ops->accept(file->node, &caller, bytes, (size_t)copied);
}
