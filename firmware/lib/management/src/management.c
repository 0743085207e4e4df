#include "management.h"

void tyf_management_start(const tyf_smp_registry *registry) {
    (void)registry;
    tyf_management_forget_time();
}

int tyf_management_bootloader_info(tyf_smp_exchange *exchange) {
    (void)exchange;
    return -TYF_OS_ERR_QUERY_YIELDS_NO_ANSWER;
}
