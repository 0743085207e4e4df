/**
 * The kernels that a blob may call. tinyfleet_codegen.abi.table prints the table from the comments of the kernels'
 * headers; a program that opens blobs compiles it in.
 *
 * A contract is a program for a stack of numbers. Whatever it computes must lie in [0, 2^31), and so must every field
 * of the parameters that it reads; what it states must hold. Else the blob is refused.
 */
#ifndef TYF_MODEL_KERNEL_TABLE_H
#define TYF_MODEL_KERNEL_TABLE_H

#include <stdint.h>

/** Most arguments of a kernel, parameters included. */
#define TYF_KERNEL_ARGUMENTS 12

/** What an argument must be, one byte. */
#define TYF_ARGUMENT_ALIGN(log2) (log2) /**< a multiple of 1, 2, 4, 8 or 16 */
#define TYF_ARGUMENT_ALIGN_MASK 0x07u
#define TYF_ARGUMENT_IN_ARENA 0x08u /**< the kernel writes it */
#define TYF_ARGUMENT_IN_BLOB 0x10u  /**< checked when the blob is opened, so that nothing may write it later */
#define TYF_ARGUMENT_ALONE 0x20u    /**< overlaps no other argument */
#define TYF_ARGUMENT_OPTIONAL 0x40u /**< may be NULL when the kernel touches nothing there */

enum {
    TYF_CODE_END,
    TYF_CODE_U8,
    TYF_CODE_U16,
    TYF_CODE_I32,
    TYF_CODE_I32_FROM,
    TYF_CODE_I32_AHEAD,
    TYF_CODE_I32_BEHIND,
    TYF_CODE_SCALAR,
    TYF_CODE_NUMBER8,
    TYF_CODE_NUMBER32,
    TYF_CODE_ADD,
    TYF_CODE_SUB,
    TYF_CODE_MUL,
    TYF_CODE_DIV,
    TYF_CODE_MOD,
    TYF_CODE_MIN,
    TYF_CODE_MAX,
    TYF_CODE_EQ,
    TYF_CODE_LE,
    TYF_CODE_LT,
    TYF_CODE_EXTENT,
    TYF_CODE_RANGE,
    TYF_CODE_MEASURE,
};

/** Deepest stack of any contract. */
#define TYF_CONTRACT_STACK 16

#define TYF_CONTRACT_END TYF_CODE_END
/** Push a field of the parameters, offset in bytes below 256. */
#define TYF_CONTRACT_U8(offset) TYF_CODE_U8, (offset)
#define TYF_CONTRACT_U16(offset) TYF_CODE_U16, (offset)
#define TYF_CONTRACT_I32(offset) TYF_CODE_I32, (offset)
/** Push field - low, with low in int8. */
#define TYF_CONTRACT_I32_FROM(offset, low) TYF_CODE_I32_FROM, (offset), (uint8_t)(low)
/** Push how far field lies above 0, below 0. */
#define TYF_CONTRACT_I32_AHEAD(offset) TYF_CODE_I32_AHEAD, (offset)
#define TYF_CONTRACT_I32_BEHIND(offset) TYF_CODE_I32_BEHIND, (offset)
/** Push an int32 argument, whose extent was checked before. */
#define TYF_CONTRACT_SCALAR(argument) TYF_CODE_SCALAR, (argument)
/** Push a number. */
#define TYF_CONTRACT_NUMBER8(n) TYF_CODE_NUMBER8, (n)
#define TYF_CONTRACT_NUMBER32(n) TYF_CODE_NUMBER32, (n) & 0xFF, (n) >> 8 & 0xFF, (n) >> 16 & 0xFF, (uint32_t)(n) >> 24
/** Replace the two on top by the result. */
#define TYF_CONTRACT_ADD TYF_CODE_ADD
#define TYF_CONTRACT_SUB TYF_CODE_SUB
#define TYF_CONTRACT_MUL TYF_CODE_MUL
#define TYF_CONTRACT_DIV TYF_CODE_DIV
#define TYF_CONTRACT_MOD TYF_CODE_MOD
#define TYF_CONTRACT_MIN TYF_CODE_MIN
#define TYF_CONTRACT_MAX TYF_CODE_MAX
/** Pop two; the lower one must be equal, at most, below the upper one. */
#define TYF_CONTRACT_EQ TYF_CODE_EQ
#define TYF_CONTRACT_LE TYF_CODE_LE
#define TYF_CONTRACT_LT TYF_CODE_LT
/** Pop how many bytes the kernel touches behind an argument: at least 1 unless it is optional; that many must be there.
 */
#define TYF_CONTRACT_EXTENT(argument) TYF_CODE_EXTENT, (argument)
/**
 * Pop width, then count: that many signed integers of `bytes` (1, 2 or 4), `stride` apart, lie in [low, low + width].
 * The argument's extent was checked before.
 */
#define TYF_CONTRACT_RANGE(argument, first, stride, bytes, low)                                                        \
    TYF_CODE_RANGE, (argument), (first), (stride), (bytes), (uint8_t)(low)

/** Pop length, then count: the kernel's measure() must accept the argument. */
#define TYF_CONTRACT_MEASURE(argument) TYF_CODE_MEASURE, (argument)

/**
 * How many bytes a kernel reads of data that says itself where it ends.
 *
 * @param data           the argument
 * @param bytes          there, at most so many may be read
 * @param count, length  what the contract says beside it
 *
 * @return how many are read; 0: malformed
 */
typedef uint32_t (*tyf_measure_fn)(const uint8_t *data, uint32_t bytes, uint32_t count, uint32_t length);

/** One kernel. */
typedef struct {
    uint32_t id; /**< CRC-32 of its name, argument types and parameter layout */
    void (*call)(void *const *arguments);
    const uint8_t *contract;
    tyf_measure_fn measure; /**< NULL when no argument asks for it */
    uint16_t params_bytes;  /**< of the first argument; 0 when it takes no parameters */
    uint8_t argument_count;
    uint8_t arguments[TYF_KERNEL_ARGUMENTS];
} tyf_kernel;

/** Kernels sorted by id. */
typedef struct {
    const tyf_kernel *kernels;
    uint32_t count;
    uint32_t abi; /**< which kernels those are (kernel_abi() of tinyfleet_codegen/wire/model_package.py) */
} tyf_kernel_table;

/** The generated table. */
extern const tyf_kernel_table tyf_kernels;

#endif
