/* Nothing is received, and nothing runs here that could be unwound. */
#undef TYF_CFG_UART_RX_BYTES
#define TYF_CFG_UART_RX_BYTES 64
#undef TYF_CFG_GUARD
#define TYF_CFG_GUARD 0
#undef TYF_CFG_BLE
#define TYF_CFG_BLE 0
