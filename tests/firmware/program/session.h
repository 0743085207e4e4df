/* A session of lib/session, step by step; what the bytes mean stands at each case. */
#ifndef SESSION_H
#define SESSION_H

#include <stdint.h>

/** @return bytes written to reply */
uint32_t session_step(const uint8_t *data, uint32_t bytes, uint8_t *reply);

#endif
