/* One frame as a bus log or a socket gives it: what candump, MDF4 and live buses have in common. */
#ifndef MC_FORMAT_BUS_H
#define MC_FORMAT_BUS_H

#include "base/slice.h"

enum { MC_BUS_CHANNEL_NONE = UINT16_MAX };

typedef struct mc_bus_frame {
  int64_t time_us;       /* UTC, or from the log's own start when it has no date */
  mc_slice channel_name; /* "can0"; borrowed from the input; empty when the source numbers its channels */
  uint16_t channel;      /* the logger's own number (MDF4 BusChannel); MC_BUS_CHANNEL_NONE when it names them */
  uint32_t id;           /* 11 or 29 bits, no flags */
  bool extended;
  bool fd;
  bool rtr;     /* remote frame: data is empty, len is what it asks for */
  bool error;   /* error frame: id is SocketCAN's error class, not an address */
  bool brs, esi; /* FD: bit rate switch, error state indicator */
  bool sent;    /* direction: transmitted by the logger itself */
  uint8_t len;  /* bytes, 0..64 */
  uint8_t data[64]; /* zero beyond len */
} mc_bus_frame;

#endif
