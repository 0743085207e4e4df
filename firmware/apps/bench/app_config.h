/* Nothing streams into this app while it computes: the smallest ring will do. */
#undef TYF_CFG_UART_RX_BYTES /* a small board may have set it too */
#define TYF_CFG_UART_RX_BYTES 64
