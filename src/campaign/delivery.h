/* Data out: the parts of one delivery. Private to this module. README, "Data out".
 *
 * reader thread: journal -> collector -> (MQTT) and, at a cut, files in the outbox with their rows in one transaction with the offset
 * sender thread: outbox -> object store */
#ifndef MC_CAMPAIGN_DELIVERY_H
#define MC_CAMPAIGN_DELIVERY_H

#include "campaign/state.h"
#include "object/object.h"
#include "store/store.h"

typedef enum destination_kind { DESTINATION_S3, DESTINATION_MQTT, DESTINATION_STORE /* time series: our own, always */ } destination_kind;
typedef struct destination {
  destination_kind kind;
  uint32_t index;            /* in the campaign's list */
  mc_slice bucket, prefix;   /* S3 */
  bool parquet, gzip;
  mc_slice topic;            /* MQTT */
} destination;

/* A campaign's destinations and dimensions, read from its document. */
typedef struct delivery_target {
  uint32_t tenant, campaign;
  mc_slice name;
  destination *to;
  uint32_t to_count;
  mc_slice *dimension;
  uint32_t dimension_count;
  bool files, messages; /* one of them is S3, MQTT */
  mc_arena arena;
} delivery_target;
/* destination.c. The target owns its arena. MC_ERR_NOT_FOUND: no such campaign. */
mc_err delivery_target_read(mc_campaigns *c, uint32_t tenant, uint32_t campaign, delivery_target **out, mc_why *why);
void delivery_target_free(delivery_target *t);

/* collect.c: messages -> rows of one campaign. */
typedef enum row_kind { ROW_BOOLEAN, ROW_BIGINT, ROW_DOUBLE, ROW_TEXT, ROW_STRUCT /* JSON in text */, ROW_KINDS } row_kind;
typedef struct delivery_row {
  uint32_t event_id;
  uint32_t vehicle; /* index into the batch's vehicles */
  int64_t event_us, time_us;
  mc_slice measure; /* lives as long as the registry */
  const char *type; /* FleetWise's data type */
  row_kind kind;
  union {
    int64_t number; /* BOOLEAN, BIGINT */
    double real;
    mc_slice text; /* in the batch's arena */
  };
} delivery_row;
typedef struct delivery_vehicle {
  uint32_t id;
  mc_slice name;
  mc_slice *dimension; /* as many as the target has; data NULL: it has none */
} delivery_vehicle;
typedef struct delivery_batch {
  const delivery_target *target;
  uint64_t first_offset;
  int64_t arrival_us; /* of its first message: says the hour */
  MC_VEC(delivery_row) row;
  MC_VEC(delivery_vehicle) vehicle;
  mc_map vehicle_index;
  mc_arena arena;
} delivery_batch;
void delivery_batch_free(delivery_batch *b);

typedef struct collector {
  mc_campaigns *c;
  mc_arena arena; /* of one message */
  mc_buf plain;
  struct repeat_table *repeats;
  mc_map type; /* tenant << 32 | signal -> mc_fw_type + 1 as the catalog has it */
} collector;
mc_err collector_open(collector *k, mc_campaigns *c);
void collector_close(collector *k);
/* What a record holds: whose it is, and its data (borrowed until the next call). MC_ERR_END: nothing for anyone (unreadable, a repeat, of no campaign). */
typedef struct collected {
  uint32_t vehicle;
  mc_slice vehicle_name;
  uint32_t campaign;
  mc_fw_vehicle_data data;
} collected;
mc_err collector_read(collector *k, const mc_record *record, collected *out);
/* Adds the samples to a batch. */
mc_err collector_add(collector *k, delivery_batch *b, const mc_record *record, const collected *m, mc_why *why);
/* A JSON object or list that may stand in a row as it is: on one line, so that no vehicle writes rows of another into a file of JSON lines. */
bool collector_text_is_structure(mc_slice text);

/* delivery_file.c: a batch as a file. parquet says what was really written: without DuckDB it is JSON. */
mc_err delivery_file_write(const delivery_batch *b, const destination *to, mc_duckdb *duckdb, const char *path, bool *parquet, mc_why *why);
/* [<prefix>/]processed-data/year=YYYY/month=MM/date=DD/hour=HH/part-0000-<id>.<ending> */
mc_err delivery_key(const delivery_batch *b, const destination *to, bool parquet, const char *instance, mc_buf *out);

/* delivery_mqtt.c: the rows of one message as FleetWise's JSON, in pieces that fit a packet. */
enum { DELIVERY_MQTT_ROWS = 4000, DELIVERY_ID = 48 };
void delivery_message_id(const mc_record *record, const destination *to, uint32_t campaign, uint32_t piece, char out[DELIVERY_ID]);
mc_err delivery_message(const delivery_batch *b, size_t first, size_t count, const char *message_id, mc_buf *out);
/* The id of a message that delivery_message wrote; empty: it is none. */
mc_slice delivery_message_id_of(mc_slice payload);

/* delivery_state.c: last known state for customers, one message a template, given on. */
bool delivery_is_state(mc_slice topic);
typedef mc_err delivery_give(void *ctx, uint32_t tenant, mc_slice topic, mc_slice props, mc_slice payload, mc_why *why);
void delivery_state_note(collector *k, const mc_record *r); /* it was given: what the agent sends again of it is known */
mc_err delivery_state_give(collector *k, const mc_record *r, delivery_give *give, void *ctx, mc_why *why);

/* outbox.c: files that wait for their object store. Any thread. */
typedef struct delivery_outbox delivery_outbox;
typedef struct outbox_item {
  uint32_t tenant, campaign, destination;
  mc_slice bucket, key, file; /* file: name in the outbox's folder */
  uint64_t rows;
} outbox_item;
mc_err outbox_open(mc_db *db, const char *dir, delivery_outbox **out, mc_why *why); /* drops files that no row names */
void outbox_close(delivery_outbox **o);
/* Inside the caller's write transaction. */
mc_err outbox_add(delivery_outbox *o, const outbox_item *item, mc_why *why);
void outbox_added(delivery_outbox *o, uint64_t bytes); /* after the commit */
uint64_t outbox_bytes(const delivery_outbox *o);
/* The next one that is due, sent. MC_ERR_END: none is due. What fails is tried again later, the rest of its bucket with it. sent and failed may be told. */
typedef void (*outbox_told)(void *ctx, const outbox_item *item, mc_err err, const char *text);
mc_err outbox_send(delivery_outbox *o, mc_object_store *objects, outbox_told told, void *ctx, mc_why *why);

#endif
