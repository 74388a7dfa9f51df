/* Any text as an erasure receipt: refused with a reason, unless it is the one that was signed. Input: a mode byte, then the text. Mode bit 0: it is
 * laid over a good receipt at the place that the next two bytes name; bit 1: the text stands for the authority's certificate. */
#include "base/log.h"
#include "registry/registry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static mc_buf ca, ca_key, good;

static void end(void)
{
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&good);
}

static void begin(void)
{
  mc_db *db;
  mc_master *master;
  mc_keyring *k;
  mc_registry *r;
  mc_vehicle v = {.tenant = 1, .name = "car-1"};
  mc_why why = {0};
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  setenv("MC_TEST_MASTER", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", 1);
  if (mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why) || mc_db_open_sqlite(":memory:", &db, &why) || mc_master_open("env:MC_TEST_MASTER", &master, &why) ||
      mc_keyring_open(db, master, true, &k, &why))
    abort();
  mc_registry_config config = {.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key), .keyring = k};
  if (mc_registry_open(&config, &r, &why) || mc_registry_vehicle_create(r, &v, &why) ||
      mc_registry_vehicle_erase(r, 1, v.id, MC_LIT("ada"), MC_LIT("asked for it"), &good, &why) ||
      mc_registry_receipt_check(mc_buf_slice(&ca), mc_buf_slice(&good), &why) || atexit(end))
    abort();
  mc_registry_close(&r);
  mc_keyring_close(&k);
  mc_db_close(&db);
  mc_master_close(&master);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
  mc_why why = {0};
  if (size < 3)
    return 0;
  if (!good.len)
    begin();
  mc_buf text = {0};
  mc_slice bytes = mc_slice_of(data + 1, size - 1);
  if (data[0] & 1) {
    mc_buf_append_slice(&text, mc_buf_slice(&good));
    size_t at = mc_load_le16(data + 1) % text.len;
    bytes = mc_slice_sub(bytes, 2, text.len - at);
    memcpy(text.data + at, bytes.data, bytes.len);
  } else {
    mc_buf_append_slice(&text, bytes);
  }
  mc_slice receipt = mc_buf_slice(&text);
  mc_err err = data[0] & 2 ? mc_registry_receipt_check(receipt, mc_buf_slice(&good), &why) : mc_registry_take_away_by_receipt(NULL, mc_buf_slice(&ca), receipt, NULL, &why);
  if (err && !why.text[0])
    abort(); /* a refusal without a reason */
  size_t facts = mc_slice_find(mc_buf_slice(&good), '\n', 0);
  if (!err && !(data[0] & 2) && !mc_slice_eq(mc_slice_sub(receipt, 0, facts + 1), mc_slice_sub(mc_buf_slice(&good), 0, facts + 1)))
    abort(); /* other facts under a good signature */
  mc_buf_free(&text);
  return 0;
}
