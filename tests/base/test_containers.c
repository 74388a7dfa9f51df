#include "base/arena.h"
#include "base/map.h"
#include "base/vec.h"
#include "tap.h"

static void test_an_arena_gives_zeroed_aligned_memory_up_to_its_limit(void)
{
  mc_arena a = MC_ARENA(1 << 16);
  for (size_t n = 0; n < 300; n += 7) {
    uint8_t *p = mc_arena_alloc(&a, n);
    CHECK(p && (uintptr_t)p % 16 == 0);
    for (size_t i = 0; i < n; i++)
      CHECK(p[i] == 0);
    memset(p, 0xEE, n);
  }
  CHECK(mc_arena_alloc(&a, 1 << 16) == NULL);
  CHECK(mc_arena_alloc(&a, SIZE_MAX) == NULL);
  CHECK(mc_arena_array(&a, SIZE_MAX / 2, 3) == NULL);
  CHECK(a.used <= 1 << 16);
  mc_slice copy;
  CHECK_OK(mc_arena_copy(&a, MC_LIT("abc"), &copy));
  CHECK_SLICE(copy, "abc");
  CHECK_STR(mc_arena_str(&a, MC_LIT("xyz")), "xyz");
  CHECK_STR(mc_arena_printf(&a, "%d-%s", 7, "q"), "7-q");
  mc_arena_reset(&a);
  CHECK_INT(a.used, 0);
  uint8_t *again = mc_arena_alloc(&a, 64);
  CHECK(again && again[0] == 0 && again[63] == 0); /* reused memory is zeroed too */
  mc_arena_free(&a);
}

static void test_a_vector_grows_and_removes(void)
{
  MC_VEC(int) v = {0};
  for (int i = 0; i < 1000; i++)
    CHECK_OK(mc_vec_push(&v, i));
  CHECK_INT(v.len, 1000);
  CHECK_INT(v.at[999], 999);
  mc_vec_swap_remove(&v, 0);
  CHECK(v.len == 999 && v.at[0] == 999);
  mc_vec_swap_remove(&v, v.len - 1);
  CHECK_INT(v.len, 998);
  CHECK_INT(mc_vec_reserve(&v, SIZE_MAX), MC_ERR_MEMORY);
  CHECK_INT(mc_vec_reserve(&v, SIZE_MAX / sizeof(int)), MC_ERR_MEMORY);
  mc_vec_clear(&v);
  CHECK_INT(v.len, 0);
  mc_vec_free(&v);
  CHECK(v.at == NULL && v.cap == 0);
}

/* A map against an array, over many random puts and removes. */
static void test_a_map_agrees_with_an_array(void)
{
  enum { KEYS = 512 };
  static uint64_t truth[KEYS];
  static bool there[KEYS];
  mc_map m = {0};
  mc_strmap s = {0};
  uint32_t x = 7;
  size_t len = 0;
  CHECK(!mc_map_get(&m, 1, NULL) && !mc_map_remove(&m, 1, NULL));
  CHECK(!mc_strmap_get(&s, MC_LIT("k"), NULL) && !mc_strmap_remove(&s, MC_LIT("k"), NULL));
  for (int step = 0; step < 30000; step++) {
    x = x * 1664525 + 1013904223;
    uint32_t k = (x >> 8) % KEYS;
    uint64_t key = (uint64_t)k << 32, got = 0; /* keys that share their low bits */
    char name[16];
    snprintf(name, sizeof name, "key-%u", k);
    mc_slice text = k ? mc_slice_str(name) : MC_LIT("");
    if (x >> 30) {
      len += !there[k];
      there[k] = true;
      truth[k] = x;
      CHECK_OK(mc_map_put(&m, key, x));
      CHECK_OK(mc_strmap_put(&s, text, x));
    } else {
      CHECK_INT(mc_map_remove(&m, key, &got), there[k]);
      CHECK(!there[k] || got == truth[k]);
      CHECK_INT(mc_strmap_remove(&s, text, NULL), there[k]);
      len -= there[k];
      there[k] = false;
    }
    k = (x >> 16) % KEYS;
    snprintf(name, sizeof name, "key-%u", k);
    CHECK_INT(mc_map_get(&m, (uint64_t)k << 32, &got), there[k]);
    CHECK(!there[k] || got == truth[k]);
    CHECK_INT(mc_strmap_get(&s, k ? mc_slice_str(name) : MC_LIT(""), &got), there[k]);
    CHECK(!there[k] || got == truth[k]);
    CHECK(m.len == len && s.len == len);
  }
  size_t at = 0, seen = 0;
  uint64_t key, value;
  while (mc_map_next(&m, &at, &key, &value)) {
    CHECK(there[key >> 32] && truth[key >> 32] == value);
    seen++;
  }
  CHECK_INT(seen, len);
  mc_slice name;
  for (at = seen = 0; mc_strmap_next(&s, &at, &name, &value);)
    seen++;
  CHECK_INT(seen, len);
  mc_map_free(&m);
  mc_strmap_free(&s);
  mc_strmap_free(NULL);
}

int main(void)
{
  RUN(test_an_arena_gives_zeroed_aligned_memory_up_to_its_limit);
  RUN(test_a_vector_grows_and_removes);
  RUN(test_a_map_agrees_with_an_array);
  return tap_done();
}
