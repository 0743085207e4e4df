/* Nothing streams into this app while it computes: the smallest ring will do. */
#define TYF_CFG_UART_RX_BYTES 64
