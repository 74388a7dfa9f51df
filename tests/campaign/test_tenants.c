/* Two tenants and the same names: what one of them has, the other neither sees, nor changes, nor can be told from nothing. The story is that of the SDK tests
 * (corpus/control/life). */
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "campaign/campaign.h"
#include "tap.h"

static mc_db *db;
static mc_registry *registry;
static mc_campaigns *c;
static mc_buf ca, ca_key, story, answer;
static mc_control_error fault;
static mc_why why;
static uint32_t other;

static mc_err publish(void *ctx, uint32_t tenant, mc_slice topic, mc_slice payload, mc_why *w) { return MC_OK; }

static bool begin(void)
{
  if (!ca.len && (mc_pki_create_ca("test CA", 10, &ca, &ca_key, &why) || mc_fs_read(mc_fs_posix(), MC_SOURCE_DIR "/tests/campaign/corpus/control/life", 1 << 20, &story, &why)))
    return false;
  return mc_db_open_sqlite(":memory:", &db, &why) == MC_OK &&
         mc_registry_open(&(mc_registry_config){.db = db, .ca_cert_pem = mc_buf_slice(&ca), .ca_key_pem = mc_buf_slice(&ca_key)}, &registry, &why) == MC_OK &&
         mc_registry_tenant_create(registry, MC_LIT("other"), &other, &why) == MC_OK &&
         mc_campaigns_open(&(mc_campaigns_config){.db = db, .registry = registry, .publish = publish}, &c, &why) == MC_OK;
}

static void end(void)
{
  mc_control_error_free(&fault);
  mc_buf_free(&answer);
  mc_campaigns_close(&c);
  mc_registry_close(&registry);
  mc_db_close(&db);
}

typedef struct step {
  mc_slice operation, input;
  bool ends; /* it belongs to the part that deletes everything again */
} step;

static bool next_step(mc_slice *rest, step *out, bool *ends)
{
  while (rest->len) {
    size_t line = mc_slice_find(*rest, '\n', 0);
    mc_slice text = mc_slice_sub(*rest, 0, line);
    *rest = mc_slice_sub(*rest, line + 1, rest->len);
    size_t space = mc_slice_find(text, ' ', 0);
    *out = (step){.operation = mc_slice_sub(text, 0, space), .input = mc_slice_sub(text, space + 1, text.len)};
    *ends = *ends || mc_slice_eq_str(out->operation, "DeleteCampaign");
    out->ends = *ends;
    if (mc_control_find(out->operation))
      return true;
  }
  return false;
}

static mc_err call(uint32_t tenant, const step *s)
{
  mc_control_error_free(&fault);
  mc_buf_clear(&answer);
  mc_control_request request = {.tenant = tenant, .operation = s->operation, .input = s->input, .actor = MC_LIT("test")};
  return mc_control_call(c, &request, &answer, &fault, &why);
}

static bool live(uint32_t tenant, bool ends)
{
  mc_slice rest = mc_buf_slice(&story);
  step s;
  bool ending = false, ok = true;
  while (next_step(&rest, &s, &ending))
    if (s.ends == ends && call(tenant, &s)) {
      printf("# %.*s %.*s: %s\n", MC_FMT(s.operation), MC_FMT(mc_slice_sub(s.input, 0, 200)), why.text);
      ok = false;
    }
  return ok;
}

static bool reads(mc_slice operation) { return mc_slice_starts(operation, MC_LIT("Get")) || mc_slice_starts(operation, MC_LIT("List")); }

/* Everything that the story reads of a tenant, one after another. */
static void snapshot(uint32_t tenant, mc_buf *out)
{
  mc_slice rest = mc_buf_slice(&story);
  step s;
  bool ending = false;
  while (next_step(&rest, &s, &ending))
    if (reads(s.operation)) {
      mc_err err = call(tenant, &s);
      mc_buf_printf(out, "%.*s %.*s %d ", MC_FMT(s.operation), MC_FMT(s.input), err);
      mc_buf_append_slice(out, mc_buf_slice(&answer));
      mc_buf_append_u8(out, '\n');
    }
}

static bool holds(const char *part) { return answer.len && memmem(answer.data, answer.len, part, strlen(part)); }

static void test_nothing_of_another_tenant_is_seen(void)
{
  CHECK(begin());
  CHECK(live(1, false));
  mc_slice rest = mc_buf_slice(&story);
  step s;
  bool ending = false;
  unsigned seen = 0;
  while (next_step(&rest, &s, &ending)) {
    if (!reads(s.operation))
      continue;
    mc_err err = call(other, &s);
    bool account = mc_slice_eq_str(s.input, "{}") && mc_slice_starts(s.operation, MC_LIT("Get"));
    if (!account && mc_slice_starts(s.operation, MC_LIT("Get")) && err != MC_ERR_NOT_FOUND)
      TAP_FAIL("%.*s %.*s: %d", MC_FMT(s.operation), MC_FMT(s.input), err);
    if (!err && (holds("life-1") || holds("car-") || holds("fleet-1") || holds("imported") || holds("from-dbc") || holds("fleet/errors")))
      TAP_FAIL("%.*s shows %.*s", MC_FMT(s.operation), MC_FMT(mc_buf_slice(&answer)));
    seen++;
  }
  CHECK(seen > 30);
  end();
}

static void test_nothing_of_another_tenant_is_changed(void)
{
  mc_buf before = {0}, after = {0};
  CHECK(begin());
  CHECK(live(1, false));
  snapshot(1, &before);
  /* every change, against names that only the first tenant has: the endings, then what makes use of what is there */
  mc_slice rest = mc_buf_slice(&story);
  step s;
  bool ending = false;
  while (next_step(&rest, &s, &ending)) {
    bool uses = mc_slice_starts(s.operation, MC_LIT("Update")) || mc_slice_starts(s.operation, MC_LIT("Delete")) || mc_slice_starts(s.operation, MC_LIT("Associate")) ||
                mc_slice_starts(s.operation, MC_LIT("Disassociate")) || mc_slice_starts(s.operation, MC_LIT("Tag")) || mc_slice_starts(s.operation, MC_LIT("Untag")) ||
                mc_slice_eq_str(s.operation, "CreateVehicle") || mc_slice_eq_str(s.operation, "CreateCampaign") || mc_slice_eq_str(s.operation, "CreateModelManifest") ||
                mc_slice_eq_str(s.operation, "CreateDecoderManifest") || mc_slice_eq_str(s.operation, "CreateFleet") || mc_slice_eq_str(s.operation, "CreateStateTemplate");
    if (!uses)
      continue;
    mc_err err = call(other, &s);
    if (!err && !mc_slice_starts(s.operation, MC_LIT("Delete")) && !mc_slice_starts(s.operation, MC_LIT("Disassociate")))
      TAP_FAIL("%.*s %.*s was done in a tenant that has nothing", MC_FMT(s.operation), MC_FMT(s.input));
    if (fault.fault == MC_CONTROL_INTERNAL)
      TAP_FAIL("%.*s: our own failure", MC_FMT(s.operation));
  }
  snapshot(1, &after);
  CHECK(mc_slice_eq(mc_buf_slice(&before), mc_buf_slice(&after)));
  /* the same names in the other tenant: it lives and ends by itself */
  CHECK(live(other, false));
  mc_buf_clear(&after);
  snapshot(1, &after);
  CHECK(mc_slice_eq(mc_buf_slice(&before), mc_buf_slice(&after)));
  CHECK(live(other, true));
  mc_buf_clear(&after);
  snapshot(1, &after);
  CHECK(mc_slice_eq(mc_buf_slice(&before), mc_buf_slice(&after)));
  mc_buf_free(&before);
  mc_buf_free(&after);
  end();
}

static void test_a_name_can_be_used_again_and_inherits_nothing(void)
{
  CHECK(begin());
  CHECK(live(1, false));
  CHECK(live(1, true));
  CHECK(live(1, false));
  step tags = {.operation = MC_LIT("ListTagsForResource")};
  static const char *const arn[] = {"vehicle/car-1", "signal-catalog/life-1", "campaign/life-1"};
  for (size_t i = 0; i < 3; i++) { /* the tags of the second life only: one each */
    char input[200];
    snprintf(input, sizeof input, "{\"ResourceARN\":\"arn:aws:iotfleetwise:eu-central-1:000000000000:%s\"}", arn[i]);
    tags.input = mc_slice_str(input);
    CHECK_OK(call(1, &tags));
    size_t keys = 0;
    for (size_t at = 0; at + 5 < answer.len; at++)
      keys += memcmp(answer.data + at, "\"Key\"", 5) == 0;
    CHECK_INT(keys, 1);
  }
  end();
}

int main(int argc, char **argv)
{
  mc_log_configure(MC_LOG_OFF, MC_LOG_TEXT, 2);
  RUN(test_nothing_of_another_tenant_is_seen);
  RUN(test_nothing_of_another_tenant_is_changed);
  RUN(test_a_name_can_be_used_again_and_inherits_nothing);
  mc_buf_free(&ca);
  mc_buf_free(&ca_key);
  mc_buf_free(&story);
  return tap_done();
}
