/* Tables. Forward only: a released entry is never changed, new ones are added behind it. */
#include "campaign/state.h"

const mc_migration campaign_migrations[] = {
    {"campaign", 1,
     "CREATE TABLE catalog_node (tenant BIGINT NOT NULL, signal BIGINT NOT NULL, fqn TEXT NOT NULL, kind TEXT NOT NULL, type BIGINT NOT "
     "NULL, unit TEXT NOT NULL, description TEXT NOT NULL,"
     " low DOUBLE PRECISION, high DOUBLE PRECISION, value_names TEXT NOT NULL, PRIMARY KEY (tenant, signal));"
     "CREATE INDEX catalog_node_fqn ON catalog_node (tenant, fqn);"
     "CREATE TABLE vehicle_model (tenant BIGINT NOT NULL, name TEXT NOT NULL, signals TEXT NOT NULL, created_us BIGINT NOT NULL, PRIMARY "
     "KEY (tenant, name));"
     "CREATE TABLE decoder_manifest (tenant BIGINT NOT NULL, sync_id TEXT NOT NULL, name TEXT NOT NULL, foreign_sync_id TEXT NOT NULL, "
     "document BYTEA NOT NULL, foreign_document BYTEA NOT NULL,"
     " created_us BIGINT NOT NULL, PRIMARY KEY (tenant, sync_id));"
     "CREATE TABLE campaign (id BIGINT NOT NULL PRIMARY KEY, tenant BIGINT NOT NULL, name TEXT NOT NULL, status BIGINT NOT NULL, document "
     "TEXT NOT NULL, created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL);"
     "CREATE UNIQUE INDEX campaign_name ON campaign (tenant, name);"
     "CREATE TABLE scheme_version (tenant BIGINT NOT NULL, sync_id TEXT NOT NULL, campaign BIGINT NOT NULL, compress BIGINT NOT NULL, "
     "created_us BIGINT NOT NULL, PRIMARY KEY (tenant, sync_id));"
     "CREATE TABLE campaign_checkin (tenant BIGINT NOT NULL, vehicle BIGINT NOT NULL, name TEXT NOT NULL, prefix TEXT NOT NULL, ours "
     "BIGINT NOT NULL, time_us BIGINT NOT NULL, sync_ids TEXT NOT NULL, errors TEXT NOT NULL,"
     " PRIMARY KEY (tenant, vehicle));"
     "CREATE TABLE campaign_event (tenant BIGINT NOT NULL, vehicle BIGINT NOT NULL, campaign BIGINT NOT NULL, time_us BIGINT NOT NULL, "
     "event_id BIGINT NOT NULL, arrival_us BIGINT NOT NULL, first_offset BIGINT NOT NULL,"
     " messages BIGINT NOT NULL, samples BIGINT NOT NULL, PRIMARY KEY (tenant, vehicle, campaign, time_us, event_id));"
     "CREATE INDEX campaign_event_arrival ON campaign_event (arrival_us);"
     "CREATE TABLE campaign_state (name TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL)"},
    /* what a tenant said about its account (logging, encryption, registration), and tags of resources of any kind */
    {"campaign", 2,
     "CREATE TABLE control_account (tenant BIGINT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, created_us BIGINT NOT NULL, "
     "updated_us BIGINT NOT NULL, PRIMARY KEY (tenant, name));"
     "CREATE TABLE control_tag (tenant BIGINT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, "
     "PRIMARY KEY (tenant, kind, name, key))"},
    {"campaign", 3, "ALTER TABLE campaign_checkin ADD COLUMN progress TEXT NOT NULL DEFAULT ''"},
    /* catalogs (kind 1), models (2) and decoder manifests (3) as documents; decoder_manifest stays the table of compiled versions */
    {"campaign.vocabulary", 1,
     "CREATE TABLE vocabulary_resource (tenant BIGINT NOT NULL, kind BIGINT NOT NULL, name TEXT NOT NULL, description TEXT NOT NULL, parent TEXT NOT NULL, message TEXT NOT NULL, "
     "status BIGINT NOT NULL, unmapped BIGINT NOT NULL, created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL, PRIMARY KEY (tenant, kind, name));"
     "CREATE INDEX vocabulary_resource_parent ON vocabulary_resource (tenant, kind, parent, name);"
     "CREATE TABLE catalog_document (tenant BIGINT NOT NULL, catalog TEXT NOT NULL, fqn TEXT NOT NULL, kind BIGINT NOT NULL, data_type TEXT NOT NULL, structure TEXT NOT NULL, "
     "document TEXT NOT NULL, PRIMARY KEY (tenant, catalog, fqn));"
     "CREATE TABLE model_node (tenant BIGINT NOT NULL, model TEXT NOT NULL, fqn TEXT NOT NULL, PRIMARY KEY (tenant, model, fqn));"
     "CREATE TABLE decoder_interface (tenant BIGINT NOT NULL, manifest TEXT NOT NULL, id TEXT NOT NULL, kind BIGINT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (tenant, manifest, id));"
     "CREATE TABLE decoder_signal (tenant BIGINT NOT NULL, manifest TEXT NOT NULL, key TEXT NOT NULL, fqn TEXT NOT NULL, interface TEXT NOT NULL, kind BIGINT NOT NULL, "
     "document TEXT NOT NULL, PRIMARY KEY (tenant, manifest, key));"
     "CREATE TABLE vehicle_template (tenant BIGINT NOT NULL, vehicle BIGINT NOT NULL, template TEXT NOT NULL, period_ms BIGINT NOT NULL, PRIMARY KEY (tenant, vehicle, template));"
     "CREATE INDEX vehicle_template_of ON vehicle_template (tenant, template)"},
    {"campaign.template", 1,
     "CREATE TABLE state_template (tenant BIGINT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, document TEXT NOT NULL, created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL, "
     "PRIMARY KEY (tenant, id));"
     "CREATE UNIQUE INDEX state_template_name ON state_template (tenant, name);"
     "CREATE TABLE template_version (tenant BIGINT NOT NULL, sync_id TEXT NOT NULL, name TEXT NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (tenant, sync_id));"
     "CREATE TABLE state_command (tenant BIGINT NOT NULL, id TEXT NOT NULL, vehicle BIGINT NOT NULL, template TEXT NOT NULL, action BIGINT NOT NULL, timeout_ms BIGINT NOT NULL, "
     "issued_us BIGINT NOT NULL, answered_us BIGINT NOT NULL, status BIGINT NOT NULL, reason BIGINT NOT NULL, text TEXT NOT NULL, PRIMARY KEY (tenant, id));"
     "CREATE INDEX state_command_issued ON state_command (issued_us)"},
    /* what campaigns sent: by day of arrival since 1970 (UTC); upto: journal offset behind the last message that counts */
    {"campaign.cost", 1,
     "CREATE TABLE campaign_cost (tenant BIGINT NOT NULL, day BIGINT NOT NULL, campaign BIGINT NOT NULL, vehicle BIGINT NOT NULL, messages BIGINT NOT NULL, bytes BIGINT NOT NULL, "
     "samples BIGINT NOT NULL, upto BIGINT NOT NULL, PRIMARY KEY (tenant, day, campaign, vehicle));"
     "CREATE INDEX campaign_cost_of ON campaign_cost (tenant, campaign, day);"
     "CREATE INDEX campaign_cost_upto ON campaign_cost (upto)"},
    /* how much slower caps make a campaign on a vehicle (0: everywhere) on a day; since_us of the day, and what was spent by then */
    {"campaign.pace", 1,
     "CREATE TABLE campaign_pace (campaign BIGINT NOT NULL, vehicle BIGINT NOT NULL, tenant BIGINT NOT NULL, day BIGINT NOT NULL, pace BIGINT NOT NULL, since_us BIGINT NOT NULL, "
     "messages BIGINT NOT NULL, bytes BIGINT NOT NULL, samples BIGINT NOT NULL, PRIMARY KEY (campaign, vehicle))"},
    /* where a roll-out stands: phase 0 first vehicles, 1 the rest; before: what the others keep meanwhile */
    {"campaign.rollout", 1,
     "ALTER TABLE campaign ADD COLUMN phase BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE campaign ADD COLUMN held_us BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE campaign ADD COLUMN stopped TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE campaign ADD COLUMN before_document TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE campaign ADD COLUMN before_us BIGINT NOT NULL DEFAULT 0"},
};
const size_t campaign_migration_count = sizeof campaign_migrations / sizeof campaign_migrations[0];
