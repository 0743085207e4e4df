/** Mutations, and those of SMP messages against the host board. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

/** Any number; the same gives the same damage. */
void fuzz_seed(uint32_t seed);

/** @return [0, limit) */
uint32_t fuzz_random_below(uint32_t limit);

/** One change: a bit, a byte of special value, a byte lost, a piece doubled, the end cut. @return bytes after it */
uint32_t fuzz_mutate(uint8_t *data, uint32_t bytes, uint32_t capacity);

/**
 * Damage messages and lines at random, feed them, and ask for an echo after each: it must come back.
 *
 * @param data   u32 seed, u32 rounds, then messages of a corpus, each with a u16 length before it
 * @param reply  gets u32 rounds done and u32 messages that the board answered
 * @return bytes of the reply; the process aborts when an echo is missing or wrong
 */
uint32_t fuzz(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
