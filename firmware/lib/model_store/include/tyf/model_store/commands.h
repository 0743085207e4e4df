/**
 * The commands of SMP group 64 that manage models; docs/spec/wire.md.
 *
 *     static const tyf_smp_command commands[] = {{TYF_MESSAGE_HELLO, .handler = hello}, TYF_MODEL_STORE_COMMANDS};
 */
#ifndef TYF_MODEL_STORE_COMMANDS_H
#define TYF_MODEL_STORE_COMMANDS_H

#include "tyf/smp/server.h"

int tyf_model_store_on_models(tyf_smp_exchange *exchange);
int tyf_model_store_on_upload(tyf_smp_exchange *exchange);
int tyf_model_store_on_test(tyf_smp_exchange *exchange);
int tyf_model_store_on_confirm(tyf_smp_exchange *exchange);
int tyf_model_store_on_revert(tyf_smp_exchange *exchange);
int tyf_model_store_on_erase(tyf_smp_exchange *exchange);

/** Entries for a table of commands. */
#define TYF_MODEL_STORE_COMMANDS                                                                                       \
    {TYF_MESSAGE_MODELS, .handler = tyf_model_store_on_models},                                                        \
        {TYF_MESSAGE_MODEL_UPLOAD, .handler = tyf_model_store_on_upload},                                              \
        {TYF_MESSAGE_MODEL_TEST, .handler = tyf_model_store_on_test},                                                  \
        {TYF_MESSAGE_MODEL_CONFIRM, .handler = tyf_model_store_on_confirm},                                            \
        {TYF_MESSAGE_MODEL_REVERT, .handler = tyf_model_store_on_revert}, {                                            \
        TYF_MESSAGE_MODEL_ERASE, .handler = tyf_model_store_on_erase                                                   \
    }

#endif
