/* net-internal: a byte stream inside WebSocket frames (MQTT over WebSocket). The protocol above sees a connection like any other: what it writes
 * to mc_conn_out is gathered and goes out as one binary frame a turn, what comes in binary frames is given to its data(). */
#ifndef MC_NET_WS_STREAM_H
#define MC_NET_WS_STREAM_H

#include "format/websocket.h"
#include "net/conn.h"

typedef struct mc_ws_stream {
  const mc_conn_handler *inner;
  mc_ws_reader reader;
  mc_buf staged; /* written by the protocol above, not in a frame yet */
  mc_buf in;     /* of frames, left by data() */
  bool told;     /* our close frame is on its way */
  char ended[96]; /* why the peer's side ended it; empty: it did not */
} mc_ws_stream;

/* Puts what is staged into a frame, and the close frame behind it when the connection is closing. Before a flush. */
void mc_ws_stream_wrap(mc_conn *c);
/* Gives what was left while the connection was paused. False: nothing more may be given now. */
bool mc_ws_stream_resume(mc_conn *c);

#endif
