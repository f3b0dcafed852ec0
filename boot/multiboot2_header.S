/*
 * What boot loaders look for in the image: the multiboot2 header (GRUB) and the PVH note (QEMU's
 * -kernel). Source: Multiboot2 specification 3.1; Xen public headers, elfnote.h.
 */
#include <arch/layout.h>

#define MULTIBOOT2_HEADER_MAGIC 0xe85250d6
#define ARCHITECTURE_I386       0
#define TAG_END                 0
#define TAG_INFORMATION_REQUEST 1
#define TAG_ENTRY_ADDRESS       3
#define TAG_MODULE_ALIGN        6
#define INFO_TAG_MEMORY_MAP     6
#define XEN_ELFNOTE_PHYS32_ENTRY 18

    .section .boot.header, "a"
    .balign 8
header_start:
    .long MULTIBOOT2_HEADER_MAGIC
    .long ARCHITECTURE_I386
    .long header_end - header_start
    .long -(MULTIBOOT2_HEADER_MAGIC + ARCHITECTURE_I386 + (header_end - header_start))

    .balign 8
    .short TAG_INFORMATION_REQUEST, 0
    .long 12
    .long INFO_TAG_MEMORY_MAP

    .balign 8
    .short TAG_ENTRY_ADDRESS, 0
    .long 12
    .long multiboot2_entry - KERNEL_IMAGE_BASE

    .balign 8
    .short TAG_MODULE_ALIGN, 0
    .long 8

    .balign 8
    .short TAG_END, 0
    .long 8
header_end:

    .section .note.Xen, "a", @note
    .balign 4
    .long 4 /* length of the name */
    .long 8 /* length of the value */
    .long XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry - KERNEL_IMAGE_BASE

    .section .note.GNU-stack, "", @progbits
