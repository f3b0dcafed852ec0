/*
 * Random bytes: ChaCha20 with a key from the processor's generator, or from timing where it has
 * none.
 *
 * After each request the key is replaced by fresh output, so that a later leak of the state tells
 * nothing about bytes already given out.
 */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include <lib/types.h>

/**
 * random_init() - gather the first key; once, before the first request.
 */
void random_init(void);

/**
 * random_bytes() - fill a buffer with random bytes.
 * @buf: @len bytes
 *
 * Context: any but NMI; takes a spin lock.
 */
void random_bytes(void *buf, size_t len);

/**
 * random_u64() - a random number.
 */
u64 random_u64(void);

/**
 * random_mix() - stir something unpredictable, such as an interrupt's time, into the key.
 */
void random_mix(u64 entropy);

#endif
