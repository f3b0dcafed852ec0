# Containers first: everything else is built on them. Then text, then the machine-independent rest.
KERNEL_SRCS += kernel/lib/string.c
KERNEL_SRCS += kernel/lib/bitmap.c
KERNEL_SRCS += kernel/lib/rbtree.c
KERNEL_SRCS += kernel/lib/interval_tree.c
KERNEL_SRCS += kernel/lib/radix.c
KERNEL_SRCS += kernel/lib/fmt.c
KERNEL_SRCS += kernel/lib/assert.c
KERNEL_SRCS += kernel/lib/cpio.c
KERNEL_SRCS += kernel/lib/random.c
KERNEL_SRCS += kernel/lib/cmdline.c
