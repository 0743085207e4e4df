/** Damaged bytes straight into the parsers of what comes from outside, many per call; what must hold of any input is
 * checked. */
#ifndef FUZZ_PARSERS_H
#define FUZZ_PARSERS_H

#include <stdint.h>

/**
 * Rounds of one parser; the process aborts, with a line on stderr, when something does not hold.
 *
 * @param data   u8 parser ('c' CBOR maps, 'f' frames of a console, 'n' NVM images), u32 seed, u32 rounds, then what is
 *               damaged, each with a u16 length before it: maps, messages, or NVM images
 * @param reply  gets u32 rounds and u32 how many were accepted in spite of the damage
 * @return bytes of the reply
 */
uint32_t fuzz_parsers(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
