#include "db/db.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

static char dir[64];

static const char *file_in_dir(const char *name)
{
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", dir, name);
  return path;
}

static mc_db *open_memory(void)
{
  mc_db *db = NULL;
  mc_why why = {0};
  if (mc_db_open_sqlite(":memory:", &db, &why))
    printf("# %s\n", why.text);
  return db;
}

static int64_t scalar(mc_db *db, const char *sql)
{
  mc_stmt *s;
  int64_t v = -1;
  mc_db_begin(db, false, NULL);
  if (!mc_db_prepare(db, sql, &s, NULL)) {
    if (!mc_stmt_step(s, NULL))
      v = mc_stmt_int(s, 0);
    mc_stmt_release(&s);
  }
  mc_db_end(db, true, NULL);
  return v;
}

static void test_keeps_every_kind_of_value(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  CHECK_OK(mc_db_run(db, &why, "CREATE TABLE t (i BIGINT, d DOUBLE PRECISION, t TEXT, b BYTEA, n TEXT)", ""));
  uint8_t raw[] = {0, 255, 0, 1};
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO t (i, d, t, b) VALUES ($1, $2, $3, $4)", "idtb", INT64_MIN, 0.1, MC_LIT("a\0b"),
                     mc_slice_of(raw, sizeof raw)));
  CHECK_OK(mc_db_begin(db, false, &why));
  mc_stmt *s;
  CHECK_OK(mc_db_prepare(db, "SELECT i, d, t, b, n FROM t", &s, &why));
  CHECK_OK(mc_stmt_step(s, &why));
  CHECK(mc_stmt_int(s, 0) == INT64_MIN);
  CHECK(mc_stmt_double(s, 1) == 0.1);
  CHECK(mc_slice_eq(mc_stmt_text(s, 2), MC_LIT("a\0b")));
  CHECK(mc_slice_eq(mc_stmt_blob(s, 3), mc_slice_of(raw, sizeof raw)));
  CHECK(mc_stmt_is_null(s, 4));
  CHECK_INT(mc_stmt_step(s, &why), MC_ERR_END);
  mc_stmt_release(&s);
  CHECK_OK(mc_db_end(db, true, &why));
  mc_db_close(&db);
  CHECK(db == NULL);
}

static void test_binds_parameters_by_number_not_by_appearance(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  CHECK_OK(mc_db_run(db, &why, "CREATE TABLE t (a BIGINT, b BIGINT)", ""));
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO t (a, b) VALUES ($2, $1)", "ii", (int64_t)1, (int64_t)2));
  CHECK_INT(scalar(db, "SELECT a FROM t"), 2);
  CHECK_INT(scalar(db, "SELECT b FROM t"), 1);
  CHECK_INT(mc_db_run(db, &why, "INSERT INTO t (a) VALUES (?)", "i", (int64_t)1), MC_ERR_INVALID);
  CHECK_INT(mc_db_run(db, &why, "INSERT INTO t (a) VALUES ($1)", "ii", (int64_t)1, (int64_t)2), MC_ERR_INVALID);
  CHECK_WHY(why, "parameter");
  mc_db_close(&db);
}

static void test_refuses_more_than_one_statement_and_broken_sql(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  mc_stmt *s;
  CHECK_INT(mc_db_prepare(db, "SELECT 1; DROP TABLE x", &s, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "one statement");
  CHECK(s == NULL);
  CHECK_INT(mc_db_prepare(db, "SELEKT", &s, &why), MC_ERR_INVALID);
  CHECK_WHY(why, "SELEKT");
  CHECK_INT(mc_db_prepare(db, "  ", &s, &why), MC_ERR_INVALID);
  mc_db_close(&db);
}

static void test_tells_unique_from_other_constraints(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  CHECK_OK(mc_db_run(db, &why, "CREATE TABLE p (id BIGINT PRIMARY KEY, name TEXT UNIQUE, age BIGINT CHECK (age > 0))", ""));
  CHECK_OK(mc_db_run(db, &why, "CREATE TABLE c (p BIGINT NOT NULL REFERENCES p (id))", ""));
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO p VALUES (1, 'a', 1)", ""));
  CHECK_INT(mc_db_run(db, &why, "INSERT INTO p VALUES (2, 'a', 1)", ""), MC_ERR_EXISTS);
  CHECK_WHY(why, "p.name");
  CHECK_INT(mc_db_run(db, &why, "INSERT INTO p VALUES (1, 'b', 1)", ""), MC_ERR_EXISTS);
  CHECK_INT(mc_db_run(db, &why, "INSERT INTO p VALUES (3, 'c', 0)", ""), MC_ERR_CONFLICT);
  CHECK_INT(mc_db_run(db, &why, "INSERT INTO c VALUES (9)", ""), MC_ERR_CONFLICT);
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM p"), 1);
  mc_db_close(&db);
}

static void test_inner_failure_undoes_the_whole_change(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  CHECK_OK(mc_db_run(db, &why, "CREATE TABLE t (a BIGINT)", ""));
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK(mc_db_in_transaction(db));
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO t VALUES (1)", ""));
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO t VALUES (2)", ""));
  CHECK_OK(mc_db_end(db, false, &why));
  CHECK_INT(mc_db_end(db, true, &why), MC_ERR_CONFLICT);
  CHECK(!mc_db_in_transaction(db));
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM t"), 0);
  CHECK_OK(mc_db_begin(db, false, &why)); /* a write inside a plain hold commits at its own end */
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO t VALUES (3)", ""));
  CHECK_OK(mc_db_end(db, true, &why));
  CHECK(!mc_db_in_transaction(db));
  CHECK_OK(mc_db_end(db, false, &why));
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM t"), 1);
  mc_db_close(&db);
}

static const mc_migration three[] = {{"x", 1, "CREATE TABLE a (v TEXT DEFAULT ';'); CREATE TABLE b (v TEXT)"},
                                     {"x", 2, "INSERT INTO a (v) VALUES ('one;two')"},
                                     {"y", 1, "CREATE TABLE c (v TEXT)"}};

static void test_migrates_forward_once_and_refuses_newer(void)
{
  mc_db *db = NULL;
  mc_why why = {0};
  CHECK_OK(mc_db_open_sqlite(file_in_dir("m.db"), &db, &why));
  CHECK_OK(mc_db_migrate(db, three, 1, &why));
  CHECK_OK(mc_db_migrate(db, three, 3, &why));
  CHECK_OK(mc_db_migrate(db, three, 3, &why));
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM a"), 1);
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM schema_migration"), 3);
  CHECK_INT(mc_db_migrate(db, three, 1, &why), MC_ERR_UNSUPPORTED);
  CHECK_WHY(why, "version 2 of x");
  CHECK_WHY(why, "back-up");
  const mc_migration swapped[] = {three[1], three[0]};
  CHECK_INT(mc_db_migrate(db, swapped, 2, &why), MC_ERR_INVALID);
  mc_db_close(&db);
}

static void test_a_failing_migration_leaves_nothing(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  const mc_migration bad[] = {{"z", 1, "CREATE TABLE good (v TEXT); CREATE TABLE good (v TEXT)"}};
  CHECK(mc_db_migrate(db, bad, 1, &why) != MC_OK);
  CHECK_WHY(why, "migration 1 of z");
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM sqlite_master WHERE name = 'good'"), 0);
  CHECK_INT(scalar(db, "SELECT COUNT(*) FROM schema_migration"), 0);
  mc_db_close(&db);
}

static void test_ids_go_up_and_never_come_back(void)
{
  mc_db *db = open_memory();
  mc_why why = {0};
  uint32_t id = 7;
  CHECK_OK(mc_db_migrate(db, NULL, 0, &why));
  CHECK_INT(mc_db_next_id(db, "vehicle", &id, &why), MC_ERR_INVALID);
  CHECK_OK(mc_db_begin(db, true, &why));
  for (uint32_t i = 1; i <= 3; i++) {
    CHECK_OK(mc_db_next_id(db, "vehicle", &id, &why));
    CHECK_INT(id, i);
  }
  CHECK_OK(mc_db_next_id(db, "signal/1", &id, &why));
  CHECK_INT(id, 1);
  CHECK_OK(mc_db_end(db, true, &why));
  CHECK_OK(mc_db_run(db, &why, "UPDATE id_series SET last = 4294967295 WHERE name = 'vehicle'", ""));
  CHECK_OK(mc_db_begin(db, true, &why));
  CHECK_INT(mc_db_next_id(db, "vehicle", &id, &why), MC_ERR_FULL);
  CHECK_OK(mc_db_end(db, false, &why));
  mc_db_close(&db);
}

/* A child hands out ids, tells each committed one through a pipe, and is killed at random. No id told may come again. */
static void test_ids_survive_kill_nine(void)
{
  uint32_t last_told = 0;
  char path[128];
  snprintf(path, sizeof path, "%s", file_in_dir("kill.db"));
  for (int round = 0; round < 8; round++) {
    int fd[2];
    CHECK(pipe(fd) == 0);
    pid_t child = fork();
    if (child == 0) {
      mc_db *db;
      if (mc_db_open_sqlite(path, &db, NULL) || mc_db_migrate(db, NULL, 0, NULL))
        _exit(2);
      for (;;) {
        uint32_t id;
        if (mc_db_begin(db, true, NULL) || mc_db_next_id(db, "s", &id, NULL) || mc_db_end(db, true, NULL))
          _exit(3);
        if (write(fd[1], &id, sizeof id) != sizeof id)
          _exit(4);
      }
    }
    close(fd[1]);
    uint32_t id, seen = 0;
    uint32_t stop_after = 1 + (uint32_t)(round * 7);
    while (read(fd[0], &id, sizeof id) == sizeof id) {
      if (id <= last_told)
        TAP_FAIL("id %u came again after %u", id, last_told);
      last_told = id;
      if (++seen == stop_after)
        kill(child, SIGKILL); /* ids still in the pipe were committed, too: read on to the end */
    }
    close(fd[0]);
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  }
  mc_db *db = NULL;
  CHECK_OK(mc_db_open_sqlite(path, &db, NULL));
  CHECK(scalar(db, "SELECT last FROM id_series WHERE name = 's'") >= last_told);
  mc_db_close(&db);
}

static void *adder(void *arg)
{
  mc_db *db = arg;
  for (int i = 0; i < 50; i++) {
    mc_db_begin(db, true, NULL);
    mc_db_run(db, NULL, "UPDATE n SET v = v + 1", "");
    mc_db_end(db, true, NULL);
  }
  return NULL;
}

static void test_threads_take_turns(void)
{
  mc_db *db = open_memory();
  CHECK_OK(mc_db_run(db, NULL, "CREATE TABLE n (v BIGINT)", ""));
  CHECK_OK(mc_db_run(db, NULL, "INSERT INTO n VALUES (0)", ""));
  pthread_t t[4];
  for (int i = 0; i < 4; i++)
    pthread_create(&t[i], NULL, adder, db);
  for (int i = 0; i < 4; i++)
    pthread_join(t[i], NULL);
  CHECK_INT(scalar(db, "SELECT v FROM n"), 200);
  mc_db_close(&db);
}

static void test_backs_up_while_open_and_never_over_a_file(void)
{
  mc_db *db = NULL, *copy = NULL;
  mc_why why = {0};
  char path[128];
  CHECK_OK(mc_db_open_sqlite(file_in_dir("live.db"), &db, &why));
  CHECK_OK(mc_db_run(db, &why, "CREATE TABLE t (a BIGINT)", ""));
  CHECK_OK(mc_db_run(db, &why, "INSERT INTO t VALUES (42)", ""));
  snprintf(path, sizeof path, "%s", file_in_dir("copy.db"));
  CHECK_OK(mc_db_backup(db, path, &why));
  struct stat st;
  CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
  CHECK_OK(mc_db_open_sqlite(path, &copy, &why));
  CHECK_INT(scalar(copy, "SELECT a FROM t"), 42);
  CHECK_INT(mc_db_backup(db, path, &why), MC_ERR_EXISTS);
  mc_db_close(&copy);
  mc_db_close(&db);
}

static void test_refuses_what_is_no_database(void)
{
  mc_db *db = NULL;
  mc_why why = {0};
  CHECK(mc_db_open_sqlite("/nowhere/at/all.db", &db, &why) != MC_OK);
  CHECK_WHY(why, "/nowhere/at/all.db");
  FILE *f = fopen(file_in_dir("junk.db"), "w");
  for (int i = 0; i < 200; i++)
    fputs("this is not a database ", f);
  fclose(f);
  CHECK_INT(mc_db_open_sqlite(file_in_dir("junk.db"), &db, &why), MC_ERR_CHECKSUM);
  CHECK_WHY(why, "restore a back-up");
  CHECK(db == NULL);
}

int main(void)
{
  snprintf(dir, sizeof dir, "/tmp/mc-db-XXXXXX");
  if (!mkdtemp(dir))
    return 1;
  RUN(test_keeps_every_kind_of_value);
  RUN(test_binds_parameters_by_number_not_by_appearance);
  RUN(test_refuses_more_than_one_statement_and_broken_sql);
  RUN(test_tells_unique_from_other_constraints);
  RUN(test_inner_failure_undoes_the_whole_change);
  RUN(test_migrates_forward_once_and_refuses_newer);
  RUN(test_a_failing_migration_leaves_nothing);
  RUN(test_ids_go_up_and_never_come_back);
  RUN(test_ids_survive_kill_nine);
  RUN(test_threads_take_turns);
  RUN(test_backs_up_while_open_and_never_over_a_file);
  RUN(test_refuses_what_is_no_database);
  char rm[80];
  snprintf(rm, sizeof rm, "rm -rf %s", dir);
  if (system(rm))
    return 1;
  return tap_done();
}
