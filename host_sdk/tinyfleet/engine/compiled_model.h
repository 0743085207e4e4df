/* Of a library that was built for one model; read by cffi. */

const tyf_model *tyf_engine_model(void);
