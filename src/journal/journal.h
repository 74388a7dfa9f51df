/* journal: the one place where a message becomes durable.
 *
 * A segmented, checksummed, preallocated append-only log. Many writers (one a gateway loop) stage
 * records in memory; one committer thread gathers what all writers staged, writes it as one group with
 * one sync (group commit), and tells each writer's loop which of its records are on disk. Offsets are byte
 * positions in one endless virtual file; a segment file is named by its first offset. 16 logical partitions
 * (hash of the thing name, else the client id) are carried by every record and kept in order; readers may
 * filter by partition and stream. Consumers have names and durable offsets. Formats: README, byte tables.
 *
 * Threads: mc_journal_* any thread unless said; an mc_journal_writer and an mc_journal_reader belong to
 * one thread each. */
#ifndef MC_JOURNAL_H
#define MC_JOURNAL_H

#include "base/err.h"
#include "base/file.h"
#include "base/loop.h"
#include "base/slice.h"

enum { MC_JOURNAL_PARTITIONS = 16 };

typedef enum mc_stream {
  MC_STREAM_MESSAGE = 1,   /* MQTT publish on an ordinary topic */
  MC_STREAM_TELEMETRY = 2, /* publish on <prefix>vehicles/<thing>/signals (VehicleData) */
  MC_STREAM_CHECKIN = 3,   /* publish on <prefix>vehicles/<thing>/checkins */
  MC_STREAM_SESSION = 4,   /* gateway: session created, subscribed, acknowledged up to, ended */
  MC_STREAM_REGISTRY = 5,  /* registry and catalog changes, ids handed out */
  MC_STREAM_AUDIT = 6,     /* who did what through the API */
  MC_STREAM_COMMAND = 7,   /* messages from the platform to vehicles */
  MC_STREAM_SHADOW = 8,    /* requests for device shadows: publish on $aws/things/<thing>/shadow/... */
  MC_STREAM_GAP = 15       /* fills a range that a repair set aside; handed out only to readers that ask for it */
} mc_stream;

/* What was published, by whomever: subscribers get it. */
#define MC_STREAMS_PUBLISHED (1u << MC_STREAM_MESSAGE | 1u << MC_STREAM_TELEMETRY | 1u << MC_STREAM_CHECKIN | 1u << MC_STREAM_COMMAND | 1u << MC_STREAM_SHADOW)

enum { MC_RECORD_RETAIN = 1, MC_RECORD_QOS1 = 2, MC_RECORD_QOS2 = 4, MC_RECORD_ENCIPHERED = 8, MC_RECORD_V5 = 16 /* publisher spoke MQTT 5 */,
       MC_RECORD_ORIGIN = 32 /* its properties begin with whose it is: the gateway's, as with QoS 2 */ };

typedef struct mc_record {
  uint64_t offset;      /* filled when reading or once committed */
  uint8_t version;      /* of the record format; writers leave 0 */
  mc_stream stream;
  uint8_t partition;
  uint8_t flags;
  uint8_t source;       /* gateway loop that wrote it, counted from 1; 0 = nobody needs to know */
  uint32_t tenant;
  uint32_t key_id;      /* erasure key of the subject; 0 = not enciphered */
  uint32_t principal;   /* dense id of the publishing thing or service; 0 = the platform */
  int64_t time_us;      /* arrival, UTC */
  mc_slice topic;       /* or the kind of a registry/session record; <= 65,535 bytes */
  mc_slice props;       /* MQTT 5 properties to pass on, raw; <= 65,535 bytes */
  mc_slice payload;
} mc_record;

uint8_t mc_journal_partition_of(mc_slice thing_or_client);

typedef struct mc_journal mc_journal;
typedef struct mc_journal_writer mc_journal_writer;
typedef struct mc_journal_reader mc_journal_reader;

/* Enciphering (option): payloads and properties are sealed under data keys that the caller keeps; topics and headers stay readable, so that filters, retention,
 * compaction, verify and back-up need no key. All functions: any thread, no disk. */
enum { MC_CIPHER_EXTRA = 32 }; /* bytes that sealing adds */
typedef struct mc_journal_cipher {
  void *ctx;
  uint32_t (*key_of)(void *ctx, const mc_record *r); /* for a record that names no key; 0: it stays open */
  /* out: sum of text + MC_CIPHER_EXTRA bytes */
  mc_err (*seal)(void *ctx, uint32_t key_id, const mc_slice *aad, size_t aad_count, const mc_slice *text, size_t text_count, uint8_t *out);
  /* out: sealed.len - MC_CIPHER_EXTRA bytes. MC_ERR_NOT_FOUND: the key was destroyed */
  mc_err (*open)(void *ctx, uint32_t key_id, const mc_slice *aad, size_t aad_count, mc_slice sealed, uint8_t *out);
} mc_journal_cipher;

/* What is kept, and for how long. A whole segment goes when bytes or age say so and every consumer's durable offset lies behind it. Of
 * what goes, the last retained message of each topic, the last record of each topic of a keyed stream, and streams with a longer life of
 * their own stay in the compacted file; a reader asks for them with mc_journal_filter.compacted. */
typedef struct mc_journal_retention {
  uint64_t bytes;             /* oldest whole segments beyond this go; 0: no bound */
  int64_t age_us;             /* segments whose last group is older go; 0: no bound */
  int64_t stream_age_us[16];  /* per mc_stream: records younger than this outlive their segment; 0: they do not */
  uint32_t keyed_streams;     /* bit per mc_stream: the last record of each (tenant, stream, topic) outlives its segment */
  int64_t tombstone_us;       /* an empty last record, which says that its topic has none, goes after this; 0: a day */
} mc_journal_retention;

/* How groups reach the disk. AUTO is what was measured to be the quicker one (docs/decisions/0007): plain calls. URING falls back to them where io_uring is not to be had,
 * at the start or later, and says so in the log and in mc_journal_state. */
typedef enum mc_journal_io { MC_JOURNAL_IO_AUTO, MC_JOURNAL_IO_PLAIN, MC_JOURNAL_IO_URING } mc_journal_io;

typedef struct mc_journal_config {
  const mc_fs *fs;
  const char *dir;           /* created when missing, locked */
  uint64_t segment_bytes;    /* 0: 64 MiB */
  uint32_t group_bytes;      /* commit at once when this much is staged; 0: 256 KiB */
  uint32_t group_wait_us;    /* else after this long at most, less at a light load; 0: 1000 */
  uint32_t patient_streams;  /* bit per mc_stream: its records may wait */
  uint32_t patient_wait_us;  /* longest that a group gathers which holds no others; 0: they do not wait either */
  mc_journal_retention keep;
  mc_journal_io io;
  uint32_t max_staged_bytes; /* per writer; append fails with MC_ERR_FULL beyond it, on a slow disk beyond twice; 0: 16 MiB */
  const mc_journal_cipher *cipher; /* copied; NULL: nothing is enciphered */
  uint64_t journal_id[2];    /* of a journal that is made; zeros: random. Only tests set it */
} mc_journal_config;

/* Opens, locks and recovers: finds the last valid group, cuts the torn tail. MC_ERR_CONFLICT when another process has it. */
mc_err mc_journal_open(const mc_journal_config *config, mc_journal **out, mc_why *why);
/* Commits what is staged, stops the committer, closes. Writers must have stopped appending. Writers, readers and commits may
 * be released later; appending, waiting and reading then give MC_ERR_CLOSED. */
void mc_journal_close(mc_journal **journal);

/* A committed piece of one writer's stream: whole records, in the order appended. Reference-counted, so that other
 * loops may deliver from it without copying. */
typedef struct mc_commit {
  mc_journal_writer *writer;
  uint64_t first_ticket; /* ticket of the first record */
  uint32_t count;        /* records */
  mc_err err;            /* MC_OK: all on disk. Otherwise none of them is: refuse them (disk full, I/O error) */
  uint64_t first_offset; /* journal offset of the first record; meaningless on error */
  mc_slice bytes;        /* the records, encoded: walk with mc_commit_next */
} mc_commit;
bool mc_commit_next(const mc_commit *c, size_t *at, mc_record *out); /* *at starts at 0; record borrows from the commit */
/* A record of a commit that is enciphered, opened into bytes; others are left as they are. MC_ERR_NOT_FOUND: its key was destroyed meanwhile. Any thread. */
mc_err mc_journal_decipher(const mc_journal *journal, mc_record *r, mc_buf *bytes);
/* The opposite, for files that keep a message elsewhere than in the journal (checkpoints): *out is r, sealed into bytes if it has a key. */
mc_err mc_journal_encipher(const mc_journal *journal, const mc_record *r, mc_buf *bytes, mc_record *out);
void mc_commit_retain(const mc_commit *c); /* any thread */
void mc_commit_release(const mc_commit *c); /* any thread; the last one frees the bytes */

/* on_commit runs on `loop`, in ticket order, at least once per group that held records of this writer (a group may hold several
 * pieces of one writer). The callee owns one reference: mc_commit_release it. */
mc_err mc_journal_writer_create(mc_journal *journal, mc_loop *loop, void (*on_commit)(void *ctx, const mc_commit *c), void *ctx, mc_journal_writer **out);
/* On the loop's thread, or when the loop no longer runs. What is staged is still committed, but on_commit is not called again and the loop may go.
 * May come before or after mc_journal_close. */
void mc_journal_writer_destroy(mc_journal_writer **writer);
/* Stages a record: one copy, no system call in the common case. *ticket counts this writer's records from 1.
 * MC_ERR_FULL: the disk is behind (back-pressure), nothing staged. MC_ERR_TOO_LARGE beyond 16 MiB a record. */
mc_err mc_journal_append(mc_journal_writer *writer, const mc_record *record, uint64_t *ticket);
/* From now on the committer gets what was appended only when it is handed over, or fills a group: what was read in one turn of a loop is then answered in one
 * turn, and an append takes no lock. The owner hands over at the end of each turn in which it appended, and before it closes the journal. */
void mc_journal_writer_batch(mc_journal_writer *writer);
void mc_journal_writer_hand_over(mc_journal_writer *writer); /* the owner's thread; fine when there is nothing */
/* For threads without a loop: stages, waits until it is on disk, returns its offset. Any thread. */
mc_err mc_journal_append_sync(mc_journal *journal, const mc_record *record, uint64_t *offset, mc_why *why);

uint64_t mc_journal_first_offset(const mc_journal *journal); /* oldest kept */
/* Start of the segment that holds this offset: a reader can always begin there. MC_ERR_NOT_FOUND when it is not kept. */
mc_err mc_journal_segment_start(mc_journal *journal, uint64_t offset, uint64_t *start, mc_why *why);
/* The last place at or below offset at which a record begins, the segment does, or reading goes on behind damage; of an offset beyond the end: the end. For
 * offsets kept elsewhere, at which no record begins. Reads up to one segment. MC_ERR_NOT_FOUND when it is not kept. */
mc_err mc_journal_boundary(mc_journal *journal, uint64_t offset, uint64_t *at, mc_why *why);
uint64_t mc_journal_end_offset(const mc_journal *journal);   /* everything below is durable */
/* How the journal does; shown by metrics too. */
typedef struct mc_journal_state {
  uint64_t first_offset, end_offset;
  uint64_t compacted_records, compacted_bytes;
  uint64_t held_bytes; /* due to go, kept for a consumer or a tool */
  char held_by[80];    /* the consumer's name, or what else; empty: nobody */
  bool recycles;       /* its next segment is a file of its own that retention gave up: it needs no more room */
  bool uring;          /* groups go by io_uring */
  char uring_refused[MC_WHY_TEXT]; /* it was asked for, and why it is not used; else empty */
} mc_journal_state;
void mc_journal_state_get(mc_journal *journal, mc_journal_state *out);
mc_err mc_journal_room(const mc_journal *journal, uint64_t *free_bytes); /* of its disk */

/* Blocks until end > offset or timeout; MC_ERR_TIMEOUT. For reader threads. */
mc_err mc_journal_wait(mc_journal *journal, uint64_t offset, int timeout_ms);

/* Reads committed records from `offset` (any group or record boundary that was handed out) on. */
typedef struct mc_journal_filter {
  uint32_t streams;    /* bit per mc_stream; 0 all but fillers */
  uint32_t partitions; /* bit each; 0 all */
  bool compacted;      /* below the oldest offset: what outlived its segment, then on */
} mc_journal_filter;
mc_err mc_journal_reader_create(mc_journal *journal, uint64_t offset, mc_journal_filter filter, mc_journal_reader **out, mc_why *why);
/* For an offset that was kept elsewhere: where no record begins - the journal was mended or replaced - reading begins at the place before (mc_journal_boundary), so
 * that nothing is left out and something may come again. *at: where it begins; the caller says so when it is not the offset. */
mc_err mc_journal_reader_create_near(mc_journal *journal, uint64_t offset, mc_journal_filter filter, mc_journal_reader **out, uint64_t *at, mc_why *why);
void mc_journal_reader_destroy(mc_journal_reader **reader);
/* Next record; it borrows until the next call. MC_ERR_END: caught up for now (see mc_journal_wait).
 * MC_ERR_NOT_FOUND: retention has passed this reader; the text names the oldest offset kept, make a new reader there.
 * MC_ERR_CHECKSUM: damaged bytes, told once with their offset; the next call goes on behind them.
 * Enciphered records come opened; those whose key was destroyed are passed over. Without a cipher (offline) they come sealed. */
mc_err mc_journal_reader_next(mc_journal_reader *reader, mc_record *out, mc_why *why);
uint64_t mc_journal_reader_offset(const mc_journal_reader *reader); /* where the next record begins */
/* One record by its exact offset; copies into out_bytes. For offline queues. MC_ERR_NOT_FOUND also when its key was destroyed. */
mc_err mc_journal_read_at(mc_journal *journal, uint64_t offset, mc_buf *bytes, mc_record *out, mc_why *why);

/* Consumers hold what they have not read: retention removes no segment at or behind their offset. On disk within about 0.2 s. */
/* Durable offsets of named consumers ([a-z0-9-], <= 63). Unknown names read as 0 / not found. */
mc_err mc_journal_consumer_commit(mc_journal *journal, const char *name, uint64_t offset, mc_why *why);
mc_err mc_journal_consumer_offset(mc_journal *journal, const char *name, uint64_t *offset);
mc_err mc_journal_consumer_remove(mc_journal *journal, const char *name, mc_why *why);

/* Offline tools: work on a directory, no lock taken, safe beside a live process. */
typedef struct mc_journal_report {
  uint64_t first_offset, end_offset, segments, groups, records, bytes;
  uint64_t records_by_stream[16];
  uint64_t damaged_at; /* first offset that fails, or UINT64_MAX */
  uint64_t compacted_records;
  bool compacted_damaged; /* the compacted file is; why says where unless a segment is damaged too */
  bool torn_tail;      /* ends inside a group: normal after a crash, cut at next open */
} mc_journal_report;
/* Offsets of the named consumers as they are on disk. visit returns an error to stop. No file: none. */
typedef mc_err (*mc_journal_consumer_visit)(void *ctx, mc_slice name, uint64_t offset);
mc_err mc_journal_consumers_read(const mc_fs *fs, const char *dir, mc_journal_consumer_visit visit, void *ctx, mc_why *why);
/* MC_OK when the folder could be read, damaged or not; with damage, `why` says what and where. */
mc_err mc_journal_verify(const mc_fs *fs, const char *dir, mc_journal_report *out, mc_why *why);
/* One range that a repair set aside. */
typedef struct mc_journal_loss {
  uint64_t from, to;      /* offsets; of the compacted file: positions in it */
  bool compacted;         /* in the compacted file */
  bool missing;           /* no file held it */
  uint64_t records_saved; /* whole records inside that stay */
  uint64_t records_lost;  /* runs of bytes that are no whole record: at least so many records */
  mc_stream stream;       /* of the first lost record, when its header says so; else 0 */
  char topic[128];        /* likewise; cut */
  char kept_as[64];       /* name of the quarantine file in the journal's folder; empty when there were no bytes */
} mc_journal_loss;
typedef void (*mc_journal_repair_told)(void *ctx, const mc_journal_loss *loss);
typedef struct mc_journal_repair_report {
  uint64_t segments, ranges, bytes, records_saved, records_lost;
  uint64_t left_alone; /* first offset of the segment that a running process writes; UINT64_MAX: none runs */
} mc_journal_repair_report;
/* Sets damaged ranges aside into quarantine files and makes the journal whole again; beside a running process too, whose active segment is
 * left alone. told (may be NULL) hears of each range. MC_ERR_CONFLICT: a backup or repair is at work. */
mc_err mc_journal_repair(const mc_fs *fs, const char *dir, mc_journal_repair_told told, void *ctx, mc_journal_repair_report *out, mc_why *why);
/* What a backup or restore copied. */
typedef struct mc_journal_copy {
  uint64_t first_offset, end_offset; /* of the groups copied */
  int64_t end_time_us;               /* when the last of them was written; 0: none */
  uint64_t groups, files, bytes;
  uint64_t reused; /* bytes shared with the base */
} mc_journal_copy;
/* Hears of each file of a backup: its name, size and CRC-32C. */
typedef mc_err (*mc_journal_copied)(void *ctx, const char *name, uint64_t bytes, uint32_t crc, mc_why *why);
/* Copies a journal's folder beside its running process, up to the last whole group; checks every group on the way. base (may be NULL): the journal
 * folder of an earlier backup, whose sealed segments are shared by hard links. MC_ERR_CHECKSUM: damaged, repair it first. MC_ERR_CONFLICT: a backup
 * or repair is at work. */
mc_err mc_journal_backup(const mc_fs *fs, const char *dir, const char *to, const char *base, mc_journal_copied told, void *ctx, mc_journal_copy *out, mc_why *why);
/* Makes a journal's folder out of a backup's, with all groups that end at or before at_offset (UINT64_MAX: all) or, unless at_us is INT64_MAX, up to
 * the last one written at or before at_us. to is empty or missing. */
mc_err mc_journal_restore(const mc_fs *fs, const char *from, const char *to, uint64_t at_offset, int64_t at_us, mc_journal_copy *out, mc_why *why);
/* Opens for reading only (tail, stats). Follows a live writer. offset UINT64_MAX: from the end on. */
mc_err mc_journal_open_reader(const mc_fs *fs, const char *dir, uint64_t offset, mc_journal_filter filter, mc_journal_reader **out, mc_why *why);

#endif
