/** Damaged packets of a Bluetooth controller into the stack. */
#ifndef FUZZ_BLE_H
#define FUZZ_BLE_H

#include <stdint.h>

/**
 * Damage packets at random and feed them in pieces to a board that has a link. What it sends must be whole packets that
 * the controller has room for. After each run of damage time goes on until the board asks for its controller again,
 * and then it must work: a link, and the name of the device.
 *
 * @param data   u32 seed, u32 rounds, then packets of a corpus, each with a u16 length before it
 * @param reply  gets u32 rounds done and u32 rounds in which the board sent something
 * @return bytes of the reply; the process aborts, with a line on stderr, when something does not hold
 */
uint32_t fuzz_ble(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
