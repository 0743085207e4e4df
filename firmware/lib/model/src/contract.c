#include "contract.h"

#include "tyf/core/bytes.h"

/* The integers of a table lie in [low, low + width]. A loop of its own for int32, which most tables hold: of all checks
 * it takes the longest. */
static bool in_range(const uint8_t *element, uint32_t count, const uint8_t *code, uint32_t width) {
    const uint32_t stride = code[3], bytes = code[4];
    const uint32_t low = (uint32_t)(int8_t)code[5];
    element += code[2];
    if (bytes == 4) {
        for (; count > 0; count--, element += stride) {
            if (*(const uint32_t *)(const void *)element - low > width) {
                return false;
            }
        }
        return true;
    }
    for (; count > 0; count--, element += stride) {
        const uint32_t value = bytes == 1 ? (uint32_t)(int8_t)*element : (uint32_t)(int16_t)tyf_get_u16_le(element);
        if (value - low > width) {
            return false;
        }
    }
    return true;
}

/* left operation right, or a negative number when there is no result; comparisons give 0 when they hold. */
static int64_t compute(uint8_t code, uint32_t left, uint32_t right) {
    switch (code) {
    case TYF_CODE_ADD:
        return (int64_t)left + right;
    case TYF_CODE_SUB:
        return (int64_t)left - right;
    case TYF_CODE_MUL:
        return (int64_t)left * right;
    case TYF_CODE_DIV:
        return right == 0 ? -1 : (int64_t)(left / right);
    case TYF_CODE_MOD:
        return right == 0 ? -1 : (int64_t)(left % right);
    case TYF_CODE_MIN:
        return left < right ? left : right;
    case TYF_CODE_MAX:
        return left > right ? left : right;
    case TYF_CODE_EQ:
        return left == right ? 0 : -1;
    case TYF_CODE_LE:
        return left <= right ? 0 : -1;
    default: /* TYF_CODE_LT */
        return left < right ? 0 : -1;
    }
}

bool tyf_contract_holds(const tyf_kernel *kernel, tyf_span spans[TYF_KERNEL_ARGUMENTS]) {
    const uint8_t *params = spans[0].data;
    uint32_t stack[TYF_CONTRACT_STACK];
    uint32_t *top = stack; /* the next free place; contracts are ours and never reach past the end */
    for (const uint8_t *code = kernel->contract; *code != TYF_CODE_END;) {
        int64_t value;
        switch (*code) {
        case TYF_CODE_U8:
            value = params[code[1]];
            code += 2;
            break;
        case TYF_CODE_U16:
            value = tyf_get_u16_le(params + code[1]);
            code += 2;
            break;
        case TYF_CODE_I32:
            value = (int32_t)tyf_get_u32_le(params + code[1]);
            code += 2;
            break;
        case TYF_CODE_I32_FROM:
            value = (int64_t)(int32_t)tyf_get_u32_le(params + code[1]) - (int8_t)code[2];
            code += 3;
            break;
        case TYF_CODE_I32_AHEAD:
        case TYF_CODE_I32_BEHIND:
            value = (int32_t)tyf_get_u32_le(params + code[1]);
            value = *code == TYF_CODE_I32_AHEAD ? value : -value;
            value = value < 0 ? 0 : value;
            code += 2;
            break;
        case TYF_CODE_SCALAR:
            value = (int32_t)tyf_get_u32_le(spans[code[1]].data);
            code += 2;
            break;
        case TYF_CODE_NUMBER8:
            value = code[1];
            code += 2;
            break;
        case TYF_CODE_NUMBER32:
            value = tyf_get_u32_le(code + 1);
            code += 5;
            break;
        case TYF_CODE_EXTENT: {
            tyf_span *span = &spans[code[1]];
            const bool may_be_unused = (kernel->arguments[code[1]] & TYF_ARGUMENT_OPTIONAL) != 0;
            span->touched = *--top;
            if ((span->touched == 0 && !may_be_unused) || span->touched > span->there) {
                return false;
            }
            code += 2;
            continue;
        }
        case TYF_CODE_RANGE: {
            const uint32_t width = *--top;
            const uint32_t count = *--top;
            if (!in_range(spans[code[1]].data, count, code, width)) {
                return false;
            }
            code += 6;
            continue;
        }
        case TYF_CODE_MEASURE: {
            const uint32_t length = *--top;
            const uint32_t count = *--top;
            tyf_span *span = &spans[code[1]];
            span->touched = kernel->measure(span->data, span->there, count, length);
            if (span->touched == 0 || span->touched > span->there) {
                return false;
            }
            code += 2;
            continue;
        }
        default: {
            const uint32_t right = *--top;
            const uint32_t left = *--top;
            value = compute(*code, left, right);
            if (*code >= TYF_CODE_EQ) {
                if (value < 0) {
                    return false;
                }
                code++;
                continue;
            }
            code++;
            break;
        }
        }
        if (value < 0 || value > INT32_MAX) {
            return false;
        }
        *top++ = (uint32_t)value;
    }
    return true;
}
