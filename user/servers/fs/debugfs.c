/* debugfs: settings of the kernel that nobody but a debugger or a test changes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "debugfs.h"
#include "dev.h"
#include "generated.h"
#include "sysctl.h"

#define VALUE_MAX 23u /* what stands behind it in a write does not count */

static const struct sysctl fault_around_bytes = {.file = CB_KERNEL_FILE_SYSCTL,
                                                 .number = CB_SYSCTL_FAULT_AROUND_BYTES};

static int value_generate(struct node *file, const struct caller *caller, struct text *text)
{
    (void)caller;
    return sysctl_read(file->sysctl, text);
}

/* A number in the notation of C, without a sign but for a plus, and a newline if wanted. */
static int parse(char *line, unsigned long long *value)
{
    char *digits = line + (line[0] == '+');
    size_t len = strlen(line);
    char *end;

    if (len > 0 && line[len - 1] == '\n') {
        line[len - 1] = '\0';
    }
    if (*digits < '0' || *digits > '9') {
        return -EINVAL;
    }
    errno = 0;
    *value = strtoull(digits, &end, 0);
    return *end != '\0' ? -EINVAL : -errno;
}

static long value_accept(struct node *file, const struct caller *caller, const char *bytes,
                         size_t len)
{
    char line[VALUE_MAX + 1];
    size_t kept = len < VALUE_MAX ? len : VALUE_MAX;
    unsigned long long value;
    long result;

    (void)caller;
    memcpy(line, bytes, kept);
    line[kept] = '\0';
    result = parse(line, &value);
    if (result == 0) {
        int digits = snprintf(line, sizeof(line), "%llu", value);

        result = sysctl_write(file->sysctl, line, (size_t)digits);
    }
    return result < 0 ? result : (long)len;
}

static const struct node_ops value_ops = {
    .generate = value_generate,
    .accept = value_accept,
};

int debugfs_populate(struct node *root)
{
    struct node *node;
    int error = dev_add(root, "gup_test");

    if (error == 0) {
        error = generated_add(root, "fault_around_bytes", 0644, &value_ops, &node);
    }
    if (error == 0) {
        node->sysctl = &fault_around_bytes;
        node_put(node);
    }
    return error;
}
