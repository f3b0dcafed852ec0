# From the boot loader to kmain(): entry code, then one file a protocol, then what they fill.
KERNEL_SRCS += boot/multiboot2_header.S
KERNEL_SRCS += boot/entry.S
KERNEL_SRCS += boot/boot_main.c
KERNEL_SRCS += boot/multiboot2.c
KERNEL_SRCS += boot/pvh.c
KERNEL_SRCS += boot/boot_info.c
