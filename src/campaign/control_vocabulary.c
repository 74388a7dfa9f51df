/* The operations of catalogs, models and decoder manifests. */
#include "campaign/control_catalog.h"

const control_operation control_vocabulary[] = {
    {{"CreateSignalCatalog", "signal:write", true}, control_create_signal_catalog},
    {{"DeleteSignalCatalog", "signal:write", true}, control_delete_signal_catalog},
    {{"GetSignalCatalog", "signal:read", false}, control_get_signal_catalog},
    {{"ImportSignalCatalog", "signal:write", true}, control_import_signal_catalog},
    {{"ListSignalCatalogs", "signal:read", false}, control_list_signal_catalogs},
    {{"ListSignalCatalogNodes", "signal:read", false}, control_list_signal_catalog_nodes},
    {{"UpdateSignalCatalog", "signal:write", true}, control_update_signal_catalog},
    {{"CreateModelManifest", "signal:write", true}, control_create_model_manifest},
    {{"DeleteModelManifest", "signal:write", true}, control_delete_model_manifest},
    {{"GetModelManifest", "signal:read", false}, control_get_model_manifest},
    {{"ListModelManifests", "signal:read", false}, control_list_model_manifests},
    {{"ListModelManifestNodes", "signal:read", false}, control_list_model_manifest_nodes},
    {{"UpdateModelManifest", "signal:write", true}, control_update_model_manifest},
    {{"CreateDecoderManifest", "signal:write", true}, control_create_decoder_manifest},
    {{"DeleteDecoderManifest", "signal:write", true}, control_delete_decoder_manifest},
    {{"GetDecoderManifest", "signal:read", false}, control_get_decoder_manifest},
    {{"ImportDecoderManifest", "signal:write", true}, control_import_decoder_manifest},
    {{"ListDecoderManifests", "signal:read", false}, control_list_decoder_manifests},
    {{"ListDecoderManifestNetworkInterfaces", "signal:read", false}, control_list_decoder_manifest_network_interfaces},
    {{"ListDecoderManifestSignals", "signal:read", false}, control_list_decoder_manifest_signals},
    {{"UpdateDecoderManifest", "signal:write", true}, control_update_decoder_manifest},
};
const size_t control_vocabulary_count = sizeof control_vocabulary / sizeof control_vocabulary[0];
