/* The tables of registry. Forward only: add entries, never change one that was released. */
#ifndef MC_REGISTRY_SCHEMA_H
#define MC_REGISTRY_SCHEMA_H

#include "db/db.h"

static const mc_migration registry_migration[] = {
    {"registry", 1,
     "CREATE TABLE tenant (id BIGINT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created_us BIGINT NOT NULL);"
     "INSERT INTO tenant (id, name, created_us) VALUES (1, 'default', 0);"
     "INSERT INTO id_series (name, last) VALUES ('tenant', 1);"
     "CREATE TABLE vehicle (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), name TEXT NOT NULL, vin TEXT NOT NULL,"
     " make TEXT NOT NULL, model TEXT NOT NULL, kind TEXT NOT NULL, manifest TEXT NOT NULL, year BIGINT NOT NULL,"
     " created_us BIGINT NOT NULL, UNIQUE (tenant, name));"
     "CREATE UNIQUE INDEX vehicle_vin ON vehicle (tenant, vin) WHERE vin <> '';"
     "CREATE TABLE thing (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), name TEXT NOT NULL, is_service BIGINT NOT NULL,"
     " disabled BIGINT NOT NULL, policy TEXT, created_us BIGINT NOT NULL, UNIQUE (tenant, name));"
     "CREATE TABLE fitting (thing BIGINT NOT NULL REFERENCES thing (id), vehicle BIGINT NOT NULL REFERENCES vehicle (id),"
     " from_us BIGINT NOT NULL, to_us BIGINT, PRIMARY KEY (thing, from_us));"
     "CREATE UNIQUE INDEX fitting_now ON fitting (thing) WHERE to_us IS NULL;"
     "CREATE TABLE certificate (fingerprint BYTEA PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id),"
     " thing BIGINT NOT NULL REFERENCES thing (id), state BIGINT NOT NULL, pinned BIGINT NOT NULL, not_after_us BIGINT NOT NULL,"
     " created_us BIGINT NOT NULL, changed_us BIGINT NOT NULL);"
     "CREATE INDEX certificate_thing ON certificate (thing);"
     "CREATE TABLE account (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), name TEXT NOT NULL, password TEXT NOT NULL,"
     " role BIGINT NOT NULL, disabled BIGINT NOT NULL, created_us BIGINT NOT NULL, last_sign_in_us BIGINT NOT NULL, UNIQUE (tenant, name));"
     "CREATE TABLE signin_link (digest BYTEA PRIMARY KEY, account BIGINT NOT NULL REFERENCES account (id), expires_us BIGINT NOT NULL);"
     "CREATE TABLE session (digest BYTEA PRIMARY KEY, account BIGINT NOT NULL REFERENCES account (id), created_us BIGINT NOT NULL,"
     " seen_us BIGINT NOT NULL);"
     "CREATE TABLE token (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), name TEXT NOT NULL, digest BYTEA NOT NULL UNIQUE,"
     " role BIGINT NOT NULL, created_us BIGINT NOT NULL, expires_us BIGINT NOT NULL, last_used_us BIGINT NOT NULL,"
     " revoked BIGINT NOT NULL);"
     "CREATE TABLE signal (tenant BIGINT NOT NULL REFERENCES tenant (id), id BIGINT NOT NULL, fqn TEXT NOT NULL, PRIMARY KEY (tenant, id),"
     " UNIQUE (tenant, fqn));"
     "CREATE TABLE encoding (id BIGINT PRIMARY KEY, type BIGINT NOT NULL, factor BYTEA NOT NULL, shift BYTEA NOT NULL,"
     " UNIQUE (type, factor, shift))"},
    {"registry.password", 1,
     "CREATE TABLE thing_password (thing BIGINT PRIMARY KEY REFERENCES thing (id), iterations BIGINT NOT NULL, salt BYTEA NOT NULL, stored_key BYTEA NOT NULL,"
     " server_key BYTEA NOT NULL, changed_us BIGINT NOT NULL)"},
    {"registry.group", 1,
     "CREATE TABLE thing_group (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), name TEXT NOT NULL, profile TEXT NOT NULL,"
     " created_us BIGINT NOT NULL, UNIQUE (tenant, name));"
     "CREATE TABLE thing_group_member (thing_group BIGINT NOT NULL REFERENCES thing_group (id), thing BIGINT NOT NULL REFERENCES thing (id),"
     " PRIMARY KEY (thing_group, thing));"
     "CREATE INDEX thing_group_of ON thing_group_member (thing)"},
    {"registry.fleet", 1,
     "ALTER TABLE vehicle ADD COLUMN updated_us BIGINT NOT NULL DEFAULT 0;"
     "CREATE TABLE vehicle_attribute (vehicle BIGINT NOT NULL REFERENCES vehicle (id), name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (vehicle, name));"
     "CREATE INDEX vehicle_attribute_value ON vehicle_attribute (name, value);"
     "CREATE TABLE fleet (tenant BIGINT NOT NULL REFERENCES tenant (id), id TEXT NOT NULL, description TEXT NOT NULL, catalog TEXT NOT NULL,"
     " created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL, PRIMARY KEY (tenant, id));"
     "CREATE TABLE fleet_member (tenant BIGINT NOT NULL, fleet TEXT NOT NULL, vehicle BIGINT NOT NULL REFERENCES vehicle (id), PRIMARY KEY (tenant, fleet, vehicle),"
     " FOREIGN KEY (tenant, fleet) REFERENCES fleet (tenant, id));"
     "CREATE INDEX fleet_of_vehicle ON fleet_member (vehicle)"},
    {"registry.access_key", 1,
     "CREATE TABLE access_key (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), key_id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,"
     " role BIGINT NOT NULL, secret BYTEA NOT NULL, under_master BIGINT NOT NULL, created_us BIGINT NOT NULL, last_used_us BIGINT NOT NULL,"
     " revoked BIGINT NOT NULL)"},
    {"registry.policy", 1,
     "CREATE TABLE policy (id BIGINT PRIMARY KEY, tenant BIGINT NOT NULL REFERENCES tenant (id), name TEXT NOT NULL, version BIGINT NOT NULL, last_version BIGINT NOT NULL,"
     " created_us BIGINT NOT NULL, updated_us BIGINT NOT NULL, UNIQUE (tenant, name));"
     "CREATE TABLE policy_version (policy BIGINT NOT NULL REFERENCES policy (id), version BIGINT NOT NULL, document TEXT NOT NULL, created_us BIGINT NOT NULL,"
     " PRIMARY KEY (policy, version));"
     "CREATE TABLE policy_certificate (policy BIGINT NOT NULL REFERENCES policy (id), fingerprint BYTEA NOT NULL REFERENCES certificate (fingerprint), PRIMARY KEY (fingerprint, policy));"
     "CREATE INDEX policy_certificate_of ON policy_certificate (policy);"
     "CREATE TABLE policy_group (policy BIGINT NOT NULL REFERENCES policy (id), thing_group BIGINT NOT NULL REFERENCES thing_group (id), PRIMARY KEY (thing_group, policy));"
     "CREATE INDEX policy_group_of ON policy_group (policy);"
     "CREATE TABLE certificate_field (fingerprint BYTEA PRIMARY KEY REFERENCES certificate (fingerprint), fields BYTEA NOT NULL)"},
};

#endif
