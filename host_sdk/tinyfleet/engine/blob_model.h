/* Of the library that opens blobs; read by cffi. */

/* Size of a handle. */
uint32_t tyf_engine_handle_bytes(void);

/* Open a blob, 16-byte aligned; handle and blob must stay. Returns a tyf_status; the handle begins with the model. */
int32_t tyf_engine_open(void *handle, const uint8_t *blob, uint64_t bytes);

/* 1 when the checksum of an opened blob is right. */
int32_t tyf_engine_is_intact(const void *handle);
