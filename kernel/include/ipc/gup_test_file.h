/* /dev/gup_test: pins, as programs can ask for them. */
#ifndef IPC_GUP_TEST_FILE_H
#define IPC_GUP_TEST_FILE_H

#include <lib/compiler.h>
#include <lib/types.h>

struct file;

/** gup_test_file_open() - see kernel_file_open(). Return: 0, -EINVAL (@pid is not 0), -ENOMEM. */
MUST_CHECK int gup_test_file_open(s32 pid, u32 flags, struct file **out);

#endif
