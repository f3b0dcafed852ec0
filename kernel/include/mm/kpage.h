#ifndef MM_KPAGE_H
#define MM_KPAGE_H

#include <lib/types.h>

/* What programs are told about single frames: /proc/kpageflags and /proc/kpagecount. */

/** kpage_end() - one more than the highest frame number that there may be a page for. */
u64 kpage_end(void);

/** kpage_flags() - the KPF_ bits of a frame; any number may be asked for. */
u64 kpage_flags(u64 pfn);

/** kpage_count() - how many page-table entries map a frame. */
u64 kpage_count(u64 pfn);

#endif
