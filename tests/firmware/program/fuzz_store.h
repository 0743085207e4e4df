/** Damaged packages and deltas into the model store, from the first piece to the end of their trial. */
#ifndef FUZZ_STORE_H
#define FUZZ_STORE_H

#include <stdint.h>

/**
 * Make the first package live, then damage the other transfers and send them with the hash of what was damaged, in
 * pieces of any size; each that is stored is tried. The process aborts, with a line on stderr, when the live package
 * changes, or when one is proved that is not byte by byte, where it is signed, one of those that were given.
 *
 * @param data   u32 seed, u32 rounds, then packages and at last deltas from the first one, each with a u16 length
 * before it
 * @param reply  gets u32 rounds and u32 how many were stored
 * @return bytes of the reply
 */
uint32_t fuzz_store(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
