#include "tyf/port/image.h"

#include "cortex_m.h"

extern const uint32_t tyf_vectors[]; /* link.ld */

uint32_t tyf_port_image_address(void) {
    return (uint32_t)(uintptr_t)tyf_vectors;
}

#define SYSTICK_CONTROL TYF_REGISTER(0xe000e010u)
#define NVIC_DISABLE(i) TYF_REGISTER(0xe000e180u + 4u * (i))
#define NVIC_CLEAR(i) TYF_REGISTER(0xe000e280u + 4u * (i))
#define MPU_CONTROL TYF_REGISTER(0xe000ed94u)
#define VECTOR_TABLE TYF_REGISTER(0xe000ed08u)

/* The image's own start-up sets its stacks, but its first instructions run on what its vector table says, as after a
 * reset. Nothing compiled may use the stack once it has changed. */
__attribute__((noreturn, naked)) static void enter(const uint32_t *table __attribute__((unused))) {
    __asm volatile("ldr r1, [r0]\n"
                   "ldr r2, [r0, #4]\n"
                   "movs r3, #0\n"
                   "msr control, r3\n" /* thread mode on the main stack */
                   "isb\n"
                   "msr msp, r1\n"
                   "cpsie i\n" /* as after a reset; none is enabled */
                   "bx r2\n");
}

void tyf_port_start_image(uint32_t vector_table) {
    (void)tyf_cortex_m_mask();
    SYSTICK_CONTROL = 0;
    MPU_CONTROL = 0; /* else what is our stack's end would be a hole in the image's */
    for (unsigned i = 0; i < 8; i++) {
        NVIC_DISABLE(i) = 0xffffffffu;
        NVIC_CLEAR(i) = 0xffffffffu;
    }
    VECTOR_TABLE = vector_table;
    __asm volatile("dsb\nisb" ::: "memory");
    enter((const uint32_t *)(uintptr_t)vector_table);
}
