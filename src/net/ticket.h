/* net-internal: the keys that seal session tickets, shared by all loops and kept in a file so that tickets live through a restart. */
#ifndef MC_NET_TICKET_H
#define MC_NET_TICKET_H

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include "base/file.h"

enum {
  MC_TICKET_KEYS_MAX = 4, /* one that seals, and those before it until the last ticket of each has run out */
  MC_TICKET_LIFE_S = 24 * 3600,
  MC_TICKET_ROTATE_S = 12 * 3600
};

typedef struct mc_tickets mc_tickets;
/* path NULL: keys die with the process. A file that is damaged or that others may read is replaced, with a warning: tickets only
 * save work, so no state of that file keeps a server from starting. */
mc_err mc_tickets_open(const mc_fs *fs, const char *path, mc_tickets **out, mc_why *why);
void mc_tickets_close(mc_tickets **tickets);
/* Makes a new sealing key when the present one is old, drops what no ticket needs, saves. Any thread; blocks on the disk. */
mc_err mc_tickets_tend(mc_tickets *t, mc_why *why);
/* As SSL_CTX_set_tlsext_ticket_key_evp_cb wants it. Any thread. */
int mc_tickets_key(mc_tickets *t, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int seal);
size_t mc_tickets_count(mc_tickets *t);

#endif
