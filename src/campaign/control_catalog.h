/* Handlers of the vocabulary's operations, one each (control_vocabulary.c joins them). Private to this module. */
#ifndef MC_CAMPAIGN_CONTROL_CATALOG_H
#define MC_CAMPAIGN_CONTROL_CATALOG_H

#include "campaign/vocabulary.h"

control_handler control_create_signal_catalog, control_delete_signal_catalog, control_get_signal_catalog, control_import_signal_catalog, control_list_signal_catalogs,
    control_list_signal_catalog_nodes, control_update_signal_catalog;
control_handler control_create_model_manifest, control_delete_model_manifest, control_get_model_manifest, control_list_model_manifests, control_list_model_manifest_nodes,
    control_update_model_manifest;
control_handler control_create_decoder_manifest, control_delete_decoder_manifest, control_get_decoder_manifest, control_import_decoder_manifest, control_list_decoder_manifests,
    control_list_decoder_manifest_network_interfaces, control_list_decoder_manifest_signals, control_update_decoder_manifest;

/* Column 1 kind, column 2 document, as a Node of a list. */
void catalog_node_row(mc_json *out, mc_stmt *s);

/* catalog_promise.c: refuses changes that an ACTIVE model forbids */
mc_err catalog_keeps_promises(control_call *call, mc_slice catalog, const json_t *add, const json_t *update, const json_t *remove, mc_why *why);

#endif
