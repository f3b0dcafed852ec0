/* /proc/PID/maps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fs.h"
#include "mount.h"
#include "proc.h"

#define NAME_COLUMN 73

struct mapping {
    const struct cb_vma_info *vma;
    uint64_t ino;
    uint32_t dev_major;
    uint32_t dev_minor;
    bool is_deleted;
};

/* A file of this server's is better known here than to the kernel. */
static struct mapping describe(const struct cb_vma_info *vma)
{
    struct mapping mapping = {
        .vma = vma, .ino = vma->ino, .dev_major = vma->dev_major, .dev_minor = vma->dev_minor};
    const struct open_file *file = vma->cookie != 0 ? open_file_find(vma->cookie) : NULL;

    if (file != NULL && S_ISREG(file->node->mode)) {
        mapping.ino = file->node->ino;
        mapping.dev_major = MOUNT_MAJOR;
        mapping.dev_minor = file->node->mount->minor;
        mapping.is_deleted = file->node->ops == &tree_node_ops && file->node->nlink == 0;
    }
    return mapping;
}

int proc_append_mapping(struct text *text, const struct cb_vma_info *vma)
{
    const struct mapping mapping = describe(vma);
    char line[160];
    int len = snprintf(line, sizeof(line), "%08lx-%08lx %c%c%c%c %08lx %02x:%02x %lu ",
                       (unsigned long)vma->start, (unsigned long)vma->end,
                       vma->flags & CB_VMA_READ ? 'r' : '-', vma->flags & CB_VMA_WRITE ? 'w' : '-',
                       vma->flags & CB_VMA_EXEC ? 'x' : '-', vma->flags & CB_VMA_SHARED ? 's' : 'p',
                       (unsigned long)vma->offset, mapping.dev_major, mapping.dev_minor,
                       (unsigned long)mapping.ino);

    text_append(text, line, (size_t)len);
    if (vma->name[0] != '\0') {
        text_printf(text, "%*s%.*s%s", NAME_COLUMN - len > 0 ? NAME_COLUMN - len : 0, "",
                    CB_NAME_LEN, vma->name, mapping.is_deleted ? " (deleted)" : "");
    }
    text_append(text, "\n", 1);
    return len;
}

int proc_pid_maps(const struct proc_key *key, const struct caller *caller, struct text *text)
{
    void *records;
    int error = proc_may_inspect(key, caller);

    if (error != 0) {
        return error;
    }
    long len = proc_snapshot(CB_KINFO_VMAS, key->pid, sizeof(struct cb_vma_info), &records);
    if (len < 0) {
        return (int)len;
    }
    const struct cb_vma_info *vmas = records;
    for (size_t i = 0; i < (size_t)len / sizeof(struct cb_vma_info); i++) {
        proc_append_mapping(text, &vmas[i]);
    }
    free(records);
    return 0;
}
