/* SMP group 8: files of the application, to read. */
#include <string.h>

#include "management.h"
#include "tyf/core/crc.h"
#include "tyf/core/sha256.h"

/* The keys after the data of a piece: "len" and its number. */
#define TAIL_BYTES 9u
#define CRC_BYTES 4u

enum { FORMAT_NUMBER = 0, FORMAT_BYTES = 1 };

/* A file as it is now. */
typedef struct {
    const uint8_t *data;
    uint32_t bytes;
} file_bytes;

/* Find a file by its name, which a host may write as a path from the root. */
static bool open_file(tyf_cbor_string name, file_bytes *file) {
    if (name.bytes > 0 && name.data[0] == '/') {
        name.data++;
        name.bytes--;
    }
    for (uint32_t i = 0; i < tyf_management_application.file_count; i++) {
        const tyf_management_file *candidate = &tyf_management_application.files[i];
        if (name.bytes == strlen(candidate->name) && memcmp(name.data, candidate->name, name.bytes) == 0) {
            file->bytes = 0;
            file->data = candidate->open(&file->bytes);
            return file->bytes > 0;
        }
    }
    return false;
}

static int read_file(tyf_smp_exchange *exchange) {
    const tyf_file_read_request *request = exchange->request;
    file_bytes file;
    if (!open_file(request->name, &file)) {
        return -TYF_FS_ERR_FILE_NOT_FOUND;
    }
    if (request->off > file.bytes) {
        return -TYF_FS_ERR_FILE_OFFSET_LARGER_THAN_FILE;
    }
    tyf_cbor_add_uint(&exchange->reply, "off", request->off);
    const uint32_t left = file.bytes - request->off;
    const uint32_t room = tyf_cbor_room_for_bytes(&exchange->reply, "data", TAIL_BYTES);
    tyf_cbor_add_bytes(&exchange->reply, "data", file.data + request->off, left < room ? left : room);
    if (request->off == 0) {
        tyf_cbor_add_uint(&exchange->reply, "len", file.bytes);
    }
    return TYF_SMP_OK;
}

static int file_status(tyf_smp_exchange *exchange) {
    const tyf_file_status_request *request = exchange->request;
    file_bytes file;
    if (!open_file(request->name, &file)) {
        return -TYF_FS_ERR_FILE_NOT_FOUND;
    }
    tyf_cbor_add_uint(&exchange->reply, "len", file.bytes);
    return TYF_SMP_OK;
}

static int hash_file(tyf_smp_exchange *exchange) {
    const tyf_file_hash_request *request = exchange->request;
    static const char crc32[] = "crc32";
    static const char sha256[] = "sha256";
    const bool is_sha256 =
        request->type.bytes == sizeof sha256 - 1u && memcmp(request->type.data, sha256, sizeof sha256 - 1u) == 0;
    const bool is_crc32 = request->type.data == NULL || (request->type.bytes == sizeof crc32 - 1u &&
                                                         memcmp(request->type.data, crc32, sizeof crc32 - 1u) == 0);
    file_bytes file;
    if (!is_sha256 && !is_crc32) {
        return -TYF_FS_ERR_CHECKSUM_HASH_NOT_FOUND;
    }
    if (!open_file(request->name, &file)) {
        return -TYF_FS_ERR_FILE_NOT_FOUND;
    }
    if (request->off > file.bytes) {
        return -TYF_FS_ERR_FILE_OFFSET_LARGER_THAN_FILE;
    }
    const uint32_t left = file.bytes - request->off;
    const uint32_t bytes = request->len == 0 || request->len > left ? left : request->len;
    tyf_cbor_add_text(&exchange->reply, "type", is_sha256 ? sha256 : crc32);
    if (request->off > 0) {
        tyf_cbor_add_uint(&exchange->reply, "off", request->off);
    }
    tyf_cbor_add_uint(&exchange->reply, "len", bytes);
    if (is_sha256) {
        uint8_t digest[TYF_SHA256_BYTES];
        tyf_sha256 hash;
        tyf_sha256_init(&hash);
        tyf_sha256_update(&hash, file.data + request->off, bytes);
        tyf_sha256_final(&hash, digest);
        tyf_cbor_add_bytes(&exchange->reply, "output", digest, sizeof digest);
    } else {
        tyf_cbor_add_uint(&exchange->reply, "output", tyf_crc32(0, file.data + request->off, bytes));
    }
    return TYF_SMP_OK;
}

static void add_type(tyf_cbor_writer *reply, const char *name, uint32_t format, uint32_t bytes) {
    tyf_cbor_add_map(reply, name);
    tyf_cbor_add_uint(reply, "format", format);
    tyf_cbor_add_uint(reply, "size", bytes);
    tyf_cbor_end(reply);
}

static int hash_types(tyf_smp_exchange *exchange) {
    tyf_cbor_add_map(&exchange->reply, "types");
    add_type(&exchange->reply, "crc32", FORMAT_NUMBER, CRC_BYTES);
    add_type(&exchange->reply, "sha256", FORMAT_BYTES, TYF_SHA256_BYTES);
    tyf_cbor_end(&exchange->reply);
    return TYF_SMP_OK;
}

const tyf_smp_command tyf_management_fs_commands[TYF_MANAGEMENT_FS_COMMANDS] = {
    {TYF_MESSAGE_FILE_READ, .handler = read_file},
    {TYF_MESSAGE_FILE_STATUS, .handler = file_status},
    {TYF_MESSAGE_FILE_HASH, .handler = hash_file},
    {TYF_MESSAGE_FILE_HASH_TYPES, .handler = hash_types},
    {TYF_MESSAGE_FILE_CLOSE, .handler = tyf_management_nothing},
};
