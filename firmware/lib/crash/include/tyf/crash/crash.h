/**
 * The last crash, kept in flash: the record that a reset left (tyf/port/crash.h) is copied at the next start, and stays
 * until a later one takes its place. docs/spec/crash.md draws the bytes.
 *
 *     tyf_crash_start();                                  // once, when whoever asks tyf_port_crash_record() has done
 * so uint32_t bytes; const uint8_t *record = tyf_crash_read(&bytes);     // for a host
 *
 * A board without the area shows the record as long as it has power.
 */
#ifndef TYF_CRASH_CRASH_H
#define TYF_CRASH_CRASH_H

#include <stdint.h>

#include "tyf/core/wire.h"

/**
 * Keep the record of a crash that ended the last run, if one did; then it is forgotten where it was. In thread mode.
 *
 * @return TYF_OK, also when there was none; TYF_ERR_FLASH: it is not kept
 */
tyf_status tyf_crash_start(void);

/** @param[out] bytes  TYF_CRASH_BYTES, or 0 @return the newest record, or NULL when there is none */
const uint8_t *tyf_crash_read(uint32_t *bytes);

#endif
