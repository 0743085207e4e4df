#include "cortex_m.h"
#include "tyf/port/system.h"

#define NVIC_ISER 0xe000e100u
#define NVIC_IPR 0xe000e400u
#define MIDDLE_PRIORITY 0x80u

void tyf_cortex_m_enable_irq(uint32_t irq) {
    uint32_t shift = 8u * (irq % 4u);
    uint32_t priorities = NVIC_IPR + 4u * (irq / 4u);
    TYF_REGISTER(priorities) = (TYF_REGISTER(priorities) & ~(0xffu << shift)) | MIDDLE_PRIORITY << shift;
    TYF_REGISTER(NVIC_ISER + 4u * (irq / 32u)) = 1u << irq % 32u;
}

uint32_t tyf_port_hold_interrupts(void) {
    return tyf_cortex_m_mask();
}

void tyf_port_resume_interrupts(uint32_t state) {
    tyf_cortex_m_unmask(state);
}
