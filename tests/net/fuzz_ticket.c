/* Any bytes as what a ticket carries, and as the file of ticket keys: read whole or refused, never half. */
#include "net/openssl_glue.h"
#include "net/ticket.h"
#include "scratch.h"

#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_conn_cert *cert;
  if (mc_peer_cert_read(mc_slice_of(data, size), &cert) == MC_OK) {
    mc_buf again = {0};
    if (mc_peer_cert_write(cert, &again) == MC_OK && !mc_slice_eq(mc_buf_slice(&again), mc_slice_of(data, size)))
      abort();
    mc_buf_free(&again);
    free(cert);
  }
  scratch_folder("ticket");
  scratch_write("tickets.key", mc_slice_of(data, size));
  chmod(scratch_path("tickets.key"), 0600);
  mc_tickets *t;
  if (mc_tickets_open(mc_fs_posix(), scratch_path("tickets.key"), &t, NULL)) /* whatever the file says, there are keys */
    abort();
  if (mc_tickets_count(t) < 1 || mc_tickets_count(t) > MC_TICKET_KEYS_MAX)
    abort();
  mc_tickets_close(&t);
  return 0;
}
