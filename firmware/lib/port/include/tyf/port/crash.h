/**
 * What outlives a reset about the crash that caused it: a record of TYF_CRASH_BYTES (docs/spec/crash.md) in memory that
 * start-up leaves alone. lib/crash keeps it in flash and gives it to hosts.
 *
 *     tyf_port_crash_names_model(model->model_id, generation);      // before that model answers
 *
 *     const uint8_t *record = tyf_port_crash_record();               // after a reset
 *     if (record != NULL && tyf_get_u32_le(record + TYF_CRASH_WHY_OFFSET) == TYF_CRASH_WHY_HANG) {
 *         ...
 *         tyf_port_crash_forget();
 *     }
 *
 * With TYF_CFG_GUARD 0 and on the host board there is never one.
 */
#ifndef TYF_PORT_CRASH_H
#define TYF_PORT_CRASH_H

#include <stdint.h>

#include "tyf/core/wire.h"

/** Name the live model in crash records from now on. @param model_id  [32], must outlive its use; NULL: zeros */
void tyf_port_crash_names_model(const uint8_t *model_id, uint32_t generation);

/** @return the intact record of the last crash, 4-byte aligned; NULL when there is none, or it was forgotten */
const uint8_t *tyf_port_crash_record(void);

/** Make room: the record has been kept elsewhere. */
void tyf_port_crash_forget(void);

#endif
