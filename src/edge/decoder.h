/* edge-internal: one decoder manifest as this vehicle uses it. */
#ifndef MC_EDGE_DECODER_H
#define MC_EDGE_DECODER_H

#include "edge/inspect.h"

/* Reads a manifest. Signals that cannot be decoded are left out, each with a text to report. */
mc_err mc_decoder_create(mc_slice protobuf, const mc_inspector_config *config, decoder **out, void (*report)(void *ctx, const char *text), void *ctx,
                         mc_why *why);
void mc_decoder_destroy(decoder *d);
/* Compiles the plan for what the enabled campaigns, and the state templates, of this manifest ask for. */
mc_err mc_decoder_compile(decoder *d, const mc_inspector *i, mc_why *why);

#endif
