/**
 * A board in this process: the sensor application on ports made of memory, bytes in and bytes out. For memory://
 * links, fuzzing and sanitizers; built as a shared library together with a generated model.
 *
 *     static uint8_t nvm[16384];                     // with an identity: docs/spec/wire.md
 *     tyf_host_power_on(nvm, sizeof nvm);
 *     tyf_host_feed(request, request_bytes);
 *     uint32_t count = tyf_host_take(reply, sizeof reply);
 *
 * One loaded library is one board; for two, load two copies of the file. Not thread-safe. No call waits.
 */
#ifndef TYF_HOST_BOARD_H
#define TYF_HOST_BOARD_H

#include <stdint.h>

/**
 * Start the board afresh; also after it has been running. Its time starts at 0 and stands still.
 *
 * @param nvm        its non-volatile memory: flash from now on, held to its rules; stays the caller's
 * @param nvm_bytes  size of it; of any size, what lies outside reads as an error
 */
void tyf_host_power_on(uint8_t *nvm, uint32_t nvm_bytes);

/**
 * Give bytes to the UART, and run the board until it has worked them off. A reset that they ask for happens within.
 * A board whose power was cut (tyf/host_flash.h) takes all and says nothing until it is switched on again.
 *
 * @return bytes accepted; less than bytes only when the board's answers have to be taken first
 */
uint32_t tyf_host_feed(const uint8_t *data, uint32_t bytes);

/** Take bytes that the board has sent. @return how many were written to data */
uint32_t tyf_host_take(uint8_t *data, uint32_t capacity);

/**
 * Take what a test build (TYF_CFG_WITNESS) says of its records; there is room for some 9000 of them.
 *
 * @return how many bytes were written to data
 */
uint32_t tyf_host_take_witness(uint8_t *data, uint32_t capacity);

/**
 * Give bytes to the UART of the Bluetooth controller, and run the board until it has worked them off. As long as its
 * own (512) are not taken it sends no more; call again, with no bytes too, after they were.
 *
 * @return bytes accepted: all, unless a reset came in between
 */
uint32_t tyf_host_hci_feed(const uint8_t *data, uint32_t bytes);

/** Take bytes that the board has sent to the controller. @return how many were written to data */
uint32_t tyf_host_hci_take(uint8_t *data, uint32_t capacity);

/** Let the board's time go on; live inferences that fall due run, each at its own moment. */
void tyf_host_advance_us(uint64_t us);

/** Resets since power-on. */
uint32_t tyf_host_resets(void);

/** Let the program run from a slot, where a board would see its vector table there; 0 at first: from none. */
void tyf_host_run_image(uint32_t vector_table);

#endif
