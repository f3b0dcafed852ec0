/*
 * The commands of /dev/gup_test, with Linux's numbers and layouts (mm/gup_test.h of 6.12, which
 * Linux offers as /sys/kernel/debug/gup_test).
 */
#ifndef UAPI_LINUX_GUP_TEST_H
#define UAPI_LINUX_GUP_TEST_H

#include <stdint.h>

#define GUP_TEST_COMMAND(nr)                                                                       \
    (0xc0000000u | (80u << 16) | ('g' << 8) | (nr)) /* read and written                            \
                                                     */
#define PIN_TEST_COMMAND(nr, size) (0x40000000u | ((size) << 16) | ('g' << 8) | (nr)) /* read */

#define GUP_FAST_BENCHMARK      GUP_TEST_COMMAND(1u)
#define PIN_FAST_BENCHMARK      GUP_TEST_COMMAND(2u)
#define PIN_LONGTERM_BENCHMARK  GUP_TEST_COMMAND(3u)
#define GUP_BASIC_TEST          GUP_TEST_COMMAND(4u)
#define PIN_BASIC_TEST          GUP_TEST_COMMAND(5u)
#define DUMP_USER_PAGES_TEST    GUP_TEST_COMMAND(6u)
#define PIN_LONGTERM_TEST_START PIN_TEST_COMMAND(7u, 24u)
#define PIN_LONGTERM_TEST_STOP  (('g' << 8) | 8u)
#define PIN_LONGTERM_TEST_READ  PIN_TEST_COMMAND(9u, 8u)

#define GUP_TEST_MAX_PAGES_TO_DUMP       8
#define GUP_TEST_FLAG_DUMP_PAGES_USE_PIN 0x1u

struct gup_test {
    uint64_t get_delta_usec; /* out */
    uint64_t put_delta_usec; /* out */
    uint64_t addr;
    uint64_t size; /* bytes; out: how far the calls got */
    uint32_t nr_pages_per_call;
    uint32_t gup_flags;                               /* FOLL_ values */
    uint32_t test_flags;                              /* GUP_TEST_FLAG_ */
    uint32_t which_pages[GUP_TEST_MAX_PAGES_TO_DUMP]; /* counted from 1; 0: none */
    uint32_t pad;
};

#define PIN_LONGTERM_TEST_FLAG_USE_WRITE 1u
#define PIN_LONGTERM_TEST_FLAG_USE_FAST  2u

struct pin_longterm_test {
    uint64_t addr;
    uint64_t size; /* bytes */
    uint32_t flags;
    uint32_t pad;
};

_Static_assert(sizeof(struct gup_test) == 80, "ABI");
_Static_assert(sizeof(struct pin_longterm_test) == 24, "ABI");
_Static_assert(GUP_FAST_BENCHMARK == 0xc0506701u, "ABI");
_Static_assert(PIN_LONGTERM_TEST_START == 0x40186707u, "ABI");

#endif
