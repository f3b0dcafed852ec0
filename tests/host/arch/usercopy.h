/* Copies to and from user memory for host tests: declared alone, since none makes any. */
#ifndef HOST_ARCH_USERCOPY_H
#define HOST_ARCH_USERCOPY_H

#include <lib/compiler.h>
#include <lib/types.h>

MUST_CHECK size_t arch_copy_user(void *to, const void *from, size_t len);

#endif
