/* Decoder manifests between their two forms: FleetWise's documents, one row a decoder, and what goes on the wire. Private to this module. */
#ifndef MC_CAMPAIGN_DECODER_H
#define MC_CAMPAIGN_DECODER_H

#include "campaign/vocabulary.h"
#include "signal/signal.h"

typedef enum decoder_kind { DECODER_CAN, DECODER_OBD, DECODER_MESSAGE, DECODER_CUSTOM, DECODER_KINDS, DECODER_NONE = -1 } decoder_kind;
extern const char *const decoder_type[DECODER_KINDS], *const decoder_member[DECODER_KINDS];     /* "CAN_SIGNAL", "canSignal" */
extern const char *const interface_type[DECODER_KINDS], *const interface_member[DECODER_KINDS]; /* "CAN_INTERFACE", "canInterface" */
decoder_kind decoder_kind_of(mc_slice type);
decoder_kind interface_kind_of(mc_slice type);

/* What a manifest's decoders become; texts in the arena that was given. */
typedef struct decoder_wire {
  MC_VEC(mc_fw_can_signal) can;
  MC_VEC(mc_fw_obd_signal) obd;
  MC_VEC(mc_fw_complex_type) type;
  MC_VEC(mc_fw_complex_signal) complex;
  MC_VEC(mc_fw_custom_signal) custom;
} decoder_wire;
void decoder_wire_free(decoder_wire *w);
mc_fw_manifest decoder_wire_view(const decoder_wire *w);

/* decoder_document.c: one decoder that was checked; type: its node's. A struct or list behind anything but a message is left out. */
mc_err decoder_to_wire(const json_t *decoder, uint32_t signal_id, const data_type *type, mc_arena *arena, decoder_wire *out);
/* The document of a CAN decoder. With a data type (other than NULL) it says in `primitiveType` what the wire says, whatever the catalog does. */
mc_err decoder_can_document(mc_slice fqn, const mc_fw_can_signal *s, mc_slice name, const char *primitive, mc_buf *out);

/* import.c: from a DBC. */
mc_err decoder_from_dbc(const mc_can_signal *s, mc_slice interface, mc_arena *arena, mc_fw_can_signal *out);

/* decoder_rows.c: rows of one manifest. Inside a transaction. A name that several messages carry has several rows: key is the name, then "#1", "#2", ... */
mc_err decoder_interface_put(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice id, decoder_kind kind, mc_slice document, mc_why *why);
mc_err decoder_can_interface_put(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice id, mc_why *why); /* one that only has its id */
mc_err decoder_signal_put(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_slice fqn, uint32_t part, mc_slice interface, decoder_kind kind, mc_slice document, mc_why *why);
mc_err decoder_rows_delete(mc_campaigns *c, uint32_t tenant, mc_slice manifest, mc_why *why);
/* Everything that the manifest's rows say, as the wire's. Inside a transaction, whose changes it sees. */
mc_err decoder_compile(mc_campaigns *c, uint32_t tenant, const resource_head *manifest, mc_arena *arena, decoder_wire *out, mc_why *why);
/* Of the current version of a manifest made by an older platform: rows from its document. */
mc_err decoder_rows_from_version(mc_campaigns *c, const manifest_version *m, mc_why *why);

/* decoder_check.c: what is wrong with a decoder against its node and interface. Collected in the call. */
typedef struct decoder_place {
  bool in_model, in_catalog;
  catalog_node node;
  bool interface_known;
  decoder_kind interface;
} decoder_place;
/* True: fine. False: collected. An error: memory, or a number that no field can have (ValidationException naming it below `path`). */
mc_err decoder_check(control_call *call, const char *path, const json_t *decoder, mc_slice catalog, const decoder_place *place, bool *fine, mc_why *why);
/* Whether the interface's own member is there. */
bool interface_check(control_call *call, const json_t *interface);

#endif
