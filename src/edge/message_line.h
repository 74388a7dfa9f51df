/* edge-internal: structured messages as lines of a log. */
#ifndef MC_EDGE_MESSAGE_LINE_H
#define MC_EDGE_MESSAGE_LINE_H

#include "edge/edge.h"

/* One line without its end. MC_ERR_END: it is none of these. The names borrow from the line, the bytes lie in cdr. */
mc_err mc_edge_message_line(mc_slice line, mc_structured_message *out, mc_buf *cdr, mc_why *why);

#endif
