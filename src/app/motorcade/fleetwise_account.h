/* A FleetWise account, asked by its own API: every list and every resource goes into a bundle, as answers in files would. Reads only. */
#ifndef APP_FLEETWISE_ACCOUNT_H
#define APP_FLEETWISE_ACCOUNT_H

#include "app/motorcade/fleetwise_bundle.h"

typedef struct fleetwise_account {
  const char *endpoint; /* "https://iotfleetwise.eu-central-1.amazonaws.com", any path; NULL: AWS's of the region */
  const char *region, *access_key, *secret, *token; /* token NULL or "": none */
} fleetwise_account;
/* From AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and AWS_REGION or AWS_DEFAULT_REGION, as AWS's own tools read them; region and endpoint (may be
 * NULL) go before. Strings are borrowed. */
mc_err fleetwise_account_from_environment(const char *region, const char *endpoint, fleetwise_account *out, mc_why *why);
/* One call a resource and a page of a list; refusals for lack of rate are waited out. told (may be NULL): each operation and of whom. */
mc_err fleetwise_account_read(const fleetwise_account *a, fleetwise_bundle *b, void (*told)(const char *operation, const char *name), mc_why *why);

#endif
