/* The benchmark speaks with its runner alone. */
#undef TYF_CFG_BLE
#define TYF_CFG_BLE 0
