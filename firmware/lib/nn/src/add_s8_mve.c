/* ADD, int8, for Helium; the core is add_elements_mve.S. */
#include "tyf/nn/kernels_mve.h"
#include "tyf/nn/mve.h"

void tyf_mve_add_elements(const tyf_mve_add *add, const int8_t *halved, const int8_t *scaled, int8_t *output);
void tyf_mve_add_elements_relu(const tyf_mve_add *add, const int8_t *halved, const int8_t *scaled, int8_t *output);

void tyf_add_s8_mve(const tyf_mve_add *p, const int8_t *halved, const int8_t *scaled, int8_t *output) {
    tyf_mve_add_elements(p, halved, scaled, output);
    tyf_mve_clamp(output, p->elements, p->activation_min, p->activation_max);
}

void tyf_add_relu_s8_mve(const tyf_mve_add *p, const int8_t *halved, const int8_t *scaled, int8_t *output) {
    tyf_mve_add_elements_relu(p, halved, scaled, output);
    tyf_mve_clamp(output, p->elements, p->activation_min, p->activation_max);
}
