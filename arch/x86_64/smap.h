/*
 * Opening and closing the kernel's access to user memory (SMAP). The instructions are patched in
 * at start if the CPU has them; see cpu_patch_smap_sites(). For assembly and C.
 */
#ifndef COWBELL_X86_SMAP_H
#define COWBELL_X86_SMAP_H

#define SMAP_SITE_STAC 1
#define SMAP_SITE_CLAC 2

#ifdef __ASSEMBLER__

/* clang-format off */
.macro SMAP_SITE kind
9990:
    .byte 0x0f, 0x1f, 0x00 /* a NOP of three bytes */
    .pushsection .smap_sites, "a"
    .quad 9990b
    .quad \kind
    .popsection
.endm
/* clang-format on */

#define USER_ACCESS_OPEN  SMAP_SITE SMAP_SITE_STAC
#define USER_ACCESS_CLOSE SMAP_SITE SMAP_SITE_CLAC

#else

#include <lib/types.h>

struct smap_site {
    u64 address;
    u64 kind;
};

#endif
#endif
