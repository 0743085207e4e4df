/** Mutations of SMP messages against the host board. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>

/**
 * Damage messages and lines at random, feed them, and ask for an echo after each: it must come back.
 *
 * @param data   u32 seed, u32 rounds, then messages of a corpus, each with a u16 length before it
 * @param reply  gets u32 rounds done and u32 messages that the board answered
 * @return bytes of the reply; the process aborts when an echo is missing or wrong
 */
uint32_t fuzz(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
