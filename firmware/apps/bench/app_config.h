/* Nothing streams into this app while it computes: the smallest ring will do. */
#undef TYF_CFG_UART_RX_BYTES /* a small board may have set it too */
#define TYF_CFG_UART_RX_BYTES 64

/* Nor does it manage anything that an inference would have to be kept from. */
#undef TYF_CFG_GUARD
#define TYF_CFG_GUARD 0
#undef TYF_CFG_BLE
#define TYF_CFG_BLE 0
