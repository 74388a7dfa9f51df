// Made by tools/generate_api.py --typescript from src/api/operations.json. Do not edit.

export interface Problem {
  /** URI reference of the kind of problem */
  type: string
  title: string
  status: number
  /** what, where and what to do */
  detail?: string
  /** path of the field in the request, e.g. /signals/0/fqn */
  field?: string
  request_id: string
}

export interface SignIn {
  /** of another tenant than the first: tenant/name */
  name: string
  password: string
}

export interface LinkSignIn {
  /** one-time code from the sign-in link */
  code: string
}

export interface Me {
  name: string
  kind: "user" | "token"
  role: "viewer" | "operator" | "admin"
  tenant: string
  permissions: string[]
  /** to be sent as X-CSRF-Token with every change (browser sessions) */
  csrf?: string
}

export interface PasswordChange {
  current: string
  password: string
}

export interface User {
  id: number
  name: string
  role: "viewer" | "operator" | "admin"
  disabled: boolean
  created: string
  last_sign_in?: string
}

export interface UserCreate {
  name: string
  password: string
  role: "viewer" | "operator" | "admin"
}

export interface UserUpdate {
  role?: "viewer" | "operator" | "admin"
  disabled?: boolean
  password?: string
}

export interface UserList {
  items: User[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface Tenant {
  id: number
  name: string
  created: string
}

export interface TenantList {
  items: Tenant[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface TenantCreate {
  name: string
  /** its first user, who signs in as name/admin */
  admin: string
  /** of the admin */
  password: string
}

export interface Token {
  id: number
  name: string
  role: "viewer" | "operator" | "admin"
  created: string
  expires?: string
  last_used?: string
}

export interface TokenCreate {
  name: string
  role: "viewer" | "operator" | "admin"
  /** absent: never */
  expires?: string
}

export interface TokenCreated {
  token: Token
  /** shown once */
  secret: string
}

export interface TokenList {
  items: Token[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface AccessKey {
  id: number
  /** what AWS calls the access key id */
  key_id: string
  name: string
  role: "viewer" | "operator" | "admin"
  /** false: its secret does not open under the keys of this server */
  usable: boolean
  created: string
  last_used?: string
}

export interface AccessKeyCreate {
  name: string
  role: "viewer" | "operator" | "admin"
}

export interface AccessKeyCreated {
  access_key: AccessKey
  /** shown once */
  secret: string
}

export interface AccessKeyList {
  items: AccessKey[]
}

export interface Position {
  /** degrees WGS 84 */
  latitude: number
  /** degrees WGS 84 */
  longitude: number
  /** degrees clockwise from north */
  heading?: number
  time: string
}

export interface Vehicle {
  /** dense id, also the index in live frames */
  id: number
  name: string
  vin: string
  make: string
  model: string
  kind: string
  year?: number
  /** decoder manifest in use; empty: none */
  manifest: string
  motion: "unknown" | "moving" | "idle" | "parked" | "offline"
  position?: Position
  /** km/h */
  speed?: number
  /** km */
  odometer?: number
  /** percent */
  fuel?: number
  /** percent */
  charge?: number
  ignition?: boolean
  /** arrival of the last message */
  heard?: string
  created: string
}

export interface VehicleList {
  items: Vehicle[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface VehicleCreate {
  name: string
  vin?: string
  make?: string
  model?: string
  kind?: string
  year?: number
  manifest?: string
}

export interface Service {
  id: number
  name: string
  /** it may sign in by user name and password */
  password: boolean
  disabled: boolean
  created: string
}

export interface ServiceList {
  items: Service[]
}

export interface ServiceCreate {
  /** its MQTT user name, and the beginning of its client ids: the name, or name/anything */
  name: string
  /** JSON text with arrays publish, subscribe, connect of topic patterns; ${thing} stands for the name */
  policy: string
  /** 12 to 256 printable ASCII characters; absent: it gets in by certificate only */
  password?: string
}

export interface ServiceUpdate {
  /** a new one; empty: none any more. Live sessions end */
  password?: string
  disabled?: boolean
}

export interface ClientDetail {
  client: Client
  /** its last connects, ends and refusals, newest first */
  events: ConnectionEvent[]
}

export interface TraceStart {
  /** topic filter; # shows all */
  filter: string
  /** only what this client sends or gets; absent: all */
  client_id?: string
  /** one of so many messages is shown; absent: every one. Refused ones are always shown */
  sample?: number
  /** it ends after so long; absent: 300 */
  seconds?: number
}

export interface TraceStarted {
  id: number
}

export interface TraceEntry {
  /** send it as `after` to get what comes behind it */
  sequence: number
  time: string
  /** in: published by the client; out: delivered to it; refused: see note */
  kind: "in" | "out" | "refused"
  client_id: string
  topic: string
  qos: number
  retain: boolean
  /** bytes of the payload */
  size: number
  /** the payload's beginning, when it is text */
  text?: string
  /** the payload's beginning, when it is not */
  hex?: string
  /** why it was refused */
  note?: string
}

export interface TraceEntryList {
  items: TraceEntry[]
  /** entries that made room before they were read */
  missed: number
}

export interface VehicleRow {
  /** as in VehicleCreate, like the others; what does not fit is told for its row */
  name?: string
  vin?: string
  make?: string
  model?: string
  kind?: string
  year?: number
  manifest?: string
}

export interface VehicleBatch {
  vehicles: VehicleRow[]
}

export interface VehicleRowResult {
  /** position in the request, from 1 */
  row: number
  name: string
  /** unchanged: it was there with the same facts */
  state: "created" | "unchanged" | "refused"
  /** of the vehicle, unless refused */
  id?: number
  /** refused: path of the field in the row, e.g. /vin; absent when the text names it */
  field?: string
  /** refused: what is wrong and what to do */
  text?: string
}

export interface VehicleBatchResult {
  created: number
  unchanged: number
  refused: number
  /** one for each row, in the request's order */
  items: VehicleRowResult[]
}

export interface VehicleErasure {
  /** why, for the receipt and the audit */
  reason: string
}

export interface ErasureReceipt {
  /** two lines: the facts as JSON, and the certificate authority's signature over that line (`motorcade key check` verifies it) */
  receipt: string
}

export interface VehicleUpdate {
  vin?: string
  make?: string
  model?: string
  kind?: string
  year?: number
  manifest?: string
}

export interface Certificate {
  /** SHA-256 of the DER form, hex */
  id: string
  thing: string
  state: "active" | "inactive" | "revoked"
  not_after: string
  created: string
}

export interface CertificateList {
  items: Certificate[]
}

export interface CertificateIssue {
  days?: number
}

export interface CertificateIssued {
  certificate: Certificate
  certificate_pem: string
  /** shown once; not kept */
  private_key_pem: string
  ca_pem: string
}

export interface CertificateUpdate {
  state: "active" | "inactive" | "revoked"
}

export interface SignalInfo {
  id: number
  fqn: string
  unit: string
  description: string
  type: string
  min?: number
  max?: number
  values?: SignalValueName[]
}

export interface SignalValueName {
  value: number
  name: string
}

export interface SignalList {
  items: SignalInfo[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface Latest {
  signal: number
  fqn: string
  unit: string
  type: string
  /** physical value; absent for text */
  value?: number
  /** text value, or the name of the number in the signal's value table */
  text?: string
  raw?: number
  time: string
  /** now minus time, by the server's clock */
  age_ms: number
}

export interface LatestList {
  vehicle: number
  server_time: string
  items: Latest[]
}

export interface Series {
  signal: number
  fqn: string
  unit: string
  /** true: min, max, mean per bucket; false: single samples (min = max = mean) */
  downsampled: boolean
  bucket_ms?: number
  /** milliseconds since 1970, start of the bucket or time of the sample */
  time: number[]
  mean: number[]
  min: number[]
  max: number[]
  count: number[]
}

export interface History {
  vehicle: number
  server_time: string
  series: Series[]
}

export interface TrackPoint {
  /** ms since 1970 */
  time: number
  latitude: number
  longitude: number
  /** km/h */
  speed?: number
}

export interface Track {
  vehicle: number
  points: TrackPoint[]
}

export interface VehicleEvent {
  campaign: number
  campaign_name: string
  event_id: number
  time: string
  arrival: string
  messages: number
  samples: number
  /** journal offset */
  offset: number
}

export interface VehicleEventList {
  items: VehicleEvent[]
}

export interface CampaignCollect {
  fqn: string
  /** 0: 1,000 */
  max_samples?: number
  min_period_ms?: number
}

export interface CampaignDestination {
  kind: "s3" | "mqtt"
  /** s3: bucket of the object store */
  bucket?: string
  /** s3: before processed-data/... */
  prefix?: string
  /** s3: default parquet */
  format?: "json" | "parquet"
  /** s3: default gzip */
  compression?: "gzip" | "none"
  /** mqtt: gets FleetWise's JSON, one message an event */
  topic?: string
}

export interface CampaignDestinationShown {
  kind: "s3" | "mqtt" | "timeseries"
  bucket?: string
  prefix?: string
  format?: "json" | "parquet"
  compression?: "gzip" | "none"
  topic?: string
}

export interface CampaignCreate {
  name: string
  start_now?: boolean
  description?: string
  target_kind: "all" | "fleet" | "manifest" | "vehicle"
  /** manifest or vehicle name; empty for all */
  target?: string
  kind: "time" | "condition"
  /** time based */
  period_ms?: number
  /** condition based */
  expression?: string
  min_interval_ms?: number
  rising_edge?: boolean
  /** collect this long after the trigger */
  after_ms?: number
  compress?: boolean
  persist?: boolean
  priority?: number
  start?: string
  expiry?: string
  signals: CampaignCollect[]
  /** beside the platform's own history */
  destinations?: CampaignDestination[]
  /** vehicle attributes that go with the data */
  dimensions?: string[]
  caps?: CampaignCaps
  rollout?: CampaignRolloutPlan
}

export interface CampaignUpdate {
  description?: string
  target_kind: "all" | "fleet" | "manifest" | "vehicle"
  /** manifest or vehicle name; empty for all */
  target?: string
  kind: "time" | "condition"
  /** time based */
  period_ms?: number
  /** condition based */
  expression?: string
  min_interval_ms?: number
  rising_edge?: boolean
  /** collect this long after the trigger */
  after_ms?: number
  compress?: boolean
  persist?: boolean
  priority?: number
  start?: string
  expiry?: string
  signals: CampaignCollect[]
  /** beside the platform's own history */
  destinations?: CampaignDestination[]
  /** vehicle attributes that go with the data */
  dimensions?: string[]
  caps?: CampaignCaps
  rollout?: CampaignRolloutPlan
}

export interface Campaign {
  id: number
  name: string
  status: "draft" | "running" | "suspended" | "ended"
  /** empty while it touches no manifest */
  sync_id: string
  created: string
  updated: string
  /** that it runs on; of a draft or a suspended one: that it would run on */
  vehicles: number
  /** confirmed by the vehicle */
  healthy: number
  pending: number
  refused: number
  description?: string
  target_kind: "all" | "fleet" | "manifest" | "vehicle"
  /** manifest or vehicle name; empty for all */
  target?: string
  kind: "time" | "condition"
  /** time based */
  period_ms?: number
  /** condition based */
  expression?: string
  min_interval_ms?: number
  rising_edge?: boolean
  /** collect this long after the trigger */
  after_ms?: number
  compress?: boolean
  persist?: boolean
  priority?: number
  start?: string
  expiry?: string
  signals: CampaignCollect[]
  destinations: CampaignDestinationShown[]
  dimensions: string[]
  caps?: CampaignCaps
  rollout?: CampaignRolloutPlan
  /** of one with a rollout: whom it goes to now */
  phase?: "first" | "rest"
  /** why it suspended itself; absent: it did not */
  stopped?: string
}

export interface CampaignList {
  items: Campaign[]
}

export interface DestinationStatus {
  kind: "s3" | "mqtt" | "timeseries"
  /** bucket and prefix, or topic */
  place: string
  /** delivered since the platform started */
  rows: number
  /** delivered, likewise */
  objects: number
  /** published, likewise */
  messages: number
  /** objects that wait for their store */
  waiting: number
  /** of the last delivery */
  last?: string
  /** why the last one failed, or what is done otherwise than asked; empty: all is well */
  error: string
}

export interface DestinationStatusList {
  items: DestinationStatus[]
}

export interface CampaignStatusChange {
  status: "running" | "suspended" | "ended"
}

export interface CampaignVehicle {
  vehicle: number
  name: string
  /** none: it does not run there */
  state: "pending" | "healthy" | "refused" | "none"
  /** FleetWise's word for it */
  status: "CREATED" | "READY" | "READY_FOR_CHECKIN" | "HEALTHY" | "SUSPENDED" | "DELETING"
  /** why it stands there, as a word: never_checked_in, not_confirmed, wrong_manifest, too_much_memory, ... */
  reason: string
  /** what the reason means here and what to do; of refused: what the agent said */
  text?: string
  /** last check-in; absent: never heard of */
  changed?: string
  /** times, because of a cap, until midnight (UTC); absent: as written */
  slower?: number
  /** absent: false. It keeps what the campaign collected before it was changed, until the rollout goes on to the rest */
  former?: boolean
}

export interface CampaignVehicleList {
  items: CampaignVehicle[]
}

export interface ExpressionCheck {
  expression: string
}

export interface ExpressionResult {
  valid: boolean
  error?: string
  /** byte of the error */
  at?: number
  depth?: number
  signals?: string[]
}

export interface CampaignReachAsk {
  target_kind: "all" | "fleet" | "manifest" | "vehicle"
  /** manifest or vehicle name; empty for all */
  target?: string
  /** condition based; one that is not valid is passed over */
  expression?: string
  signals: string[]
}

export interface CampaignReachPart {
  /** empty: vehicles without one */
  manifest: string
  vehicles: number
  /** it decodes a signal to collect, and all that the expression names */
  reached: boolean
  /** signals of the campaign that it does not decode */
  missing: number
  /** the first of them */
  names: string[]
}

export interface CampaignReach {
  /** vehicles that the target names */
  targeted: number
  /** of them: that it would run on */
  vehicles: number
  /** by decoder manifest */
  parts: CampaignReachPart[]
}

export interface CampaignAmount {
  /** repeats too */
  messages?: number
  /** whole MQTT packets, without TLS and TCP */
  bytes?: number
  samples?: number
}

export interface CampaignCaps {
  vehicle?: CampaignAmount
  all?: CampaignAmount
}

export interface CampaignRolloutPlan {
  /** of the targeted vehicles that are first; which ones is drawn by their names, the same for ever */
  percent?: number
  /** names of vehicles that are first, beside those */
  vehicles?: string[]
  /** time from the last first vehicle's confirmation to the rest, default 3600 */
  hold_s?: number
  /** a vehicle that checked in just before it was sent it, and does not for so long after, counts as silent, default 900 */
  silent_s?: number
  /** goes on to the rest when hold_s is over; else a person says so (campaign_rollout_set) */
  by_itself?: boolean
  /** it suspends itself when more of the vehicles refuse it, default 0; 100: never */
  refused_percent?: number
  /** when more report other errors since, or send what cannot be read, default 5; 100: never */
  error_percent?: number
  /** when more are silent, default 50; 100: never */
  silent_percent?: number
  /** vehicles that must have been sent it before any of this is judged, default 1 */
  least?: number
}

export interface CampaignRollout {
  /** it has first vehicles; else it went to all at once and the numbers are 0 */
  staged: boolean
  phase: "first" | "rest"
  /** the first vehicles did well for hold_s: a person may let it go on */
  ready: boolean
  /** what it waits for; of one that suspended itself: why */
  text: string
  /** vehicles that it reaches in this phase */
  reached: number
  /** of them: it was sent to */
  sent: number
  /** in their last check-in */
  confirmed: number
  refused: number
  /** other errors reported since */
  errors: number
  /** not heard since it was sent */
  silent: number
  /** all first vehicles have it since; absent: not yet */
  held_since?: string
}

export interface CampaignRolloutSet {
  /** rest: on to all; first: back */
  phase: "first" | "rest"
}

export interface CampaignCostDay {
  /** UTC, of arrival */
  day: string
  /** repeats too */
  messages: number
  /** whole MQTT packets, without TLS and TCP */
  bytes: number
  samples: number
  /** by the prices of today's settings; 0 without */
  money: number
}

export interface CampaignCostVehicle {
  /** 0: all that were erased */
  vehicle: number
  /** empty: deleted or erased */
  name: string
  /** repeats too */
  messages: number
  /** whole MQTT packets, without TLS and TCP */
  bytes: number
  samples: number
  /** by the prices of today's settings; 0 without */
  money: number
  /** how many times slower it collects now, because of a cap; absent: as written */
  slower?: number
}

export interface CampaignCost {
  /** begin of the first day */
  from: string
  /** repeats too */
  messages: number
  /** whole MQTT packets, without TLS and TCP */
  bytes: number
  samples: number
  /** by the prices of today's settings; 0 without */
  money: number
  /** of money */
  currency: string
  /** those with messages */
  days: CampaignCostDay[]
  /** the most bytes first */
  vehicles: CampaignCostVehicle[]
  /** how many times slower it collects now, because of a cap; absent: as written */
  slower?: number
}

export interface CampaignDryRunAsk {
  /** names; without it some of those that the campaign names, evenly spread */
  vehicles?: string[]
  /** how many of them, default 10 */
  most?: number
  /** RFC 3339 time */
  from: string
  /** RFC 3339 time */
  to: string
  /** time to run, default 10; what is done by then is told */
  seconds?: number
  /** most that are listed, default 100 */
  triggers?: number
  /** price of a million bytes; without it the setting price_gb */
  per_mb?: number
  /** price of a message; without it the setting price_million_messages */
  per_message?: number
}

export interface CampaignDryRunVehicle {
  vehicle: number
  name: string
  /** empty: none */
  manifest: string
  /** no_data: nothing is stored of its signals; cut: the time was up */
  state: "done" | "cut" | "no_data" | "not_reached"
  /** why nothing would go to it, or what would be sent otherwise than asked */
  text?: string
  /** of the document, conditions included */
  signals: number
  /** of them: with stored samples */
  with_data: number
  samples_read: number
  /** stored texts, which an agent's conditions do not see */
  texts: number
  /** events */
  triggers: number
  messages: number
  /** samples */
  rows: number
  /** whole MQTT packets, without TLS and TCP */
  bytes: number
  /** how far it came */
  covered: string
}

export interface CampaignDryRunTrigger {
  vehicle: number
  time: string
  messages: number
  rows: number
  bytes: number
}

export interface CampaignDryRun {
  /** no vehicle was cut */
  complete: boolean
  /** vehicles that the campaign names */
  targeted: number
  /** vehicle days that were looked at */
  days: number
  samples_read: number
  /** events */
  triggers: number
  messages: number
  /** samples */
  rows: number
  /** whole MQTT packets, without TLS and TCP */
  bytes: number
  /** of what was looked at; 0 without prices */
  money: number
  /** of money, as the setting price_currency says */
  currency: string
  /** of all that it names, as those looked at; 0 when none has data */
  messages_a_day: number
  rows_a_day: number
  bytes_a_day: number
  money_a_day: number
  vehicles: CampaignDryRunVehicle[]
  /** the first of them, by vehicle and time */
  trigger_list: CampaignDryRunTrigger[]
}

export interface Manifest {
  name: string
  sync_id: string
  signals: number
  vehicles: number
  created: string
}

export interface ManifestList {
  items: Manifest[]
}

export interface ManifestSignals {
  name: string
  items: SignalInfo[]
}

export interface ManifestField {
  name: string
  /** empty: it had none */
  before: string
  /** empty: it has none */
  after: string
}

export interface ManifestDifference {
  kind: "added" | "removed" | "changed"
  signal: number
  fqn: string
  /** interface and message */
  place: string
  fields: ManifestField[]
}

export interface ManifestComparison {
  /** sync id */
  before: string
  /** sync id */
  after: string
  same: number
  added: number
  removed: number
  changed: number
  /** by name of the signal */
  items: ManifestDifference[]
}

export interface ModelDifference {
  kind: "added" | "removed" | "changed"
  fqn: string
  /** branch, sensor, actuator, attribute, ... */
  place: string
  fields: ManifestField[]
}

export interface ModelComparison {
  /** name */
  before: string
  /** name */
  after: string
  same: number
  added: number
  removed: number
  changed: number
  /** by name; what both have, as far as their catalogs say otherwise of it, is changed */
  items: ModelDifference[]
}

export interface DbcImport {
  name: string
  interface: string
  /** text of the DBC file */
  dbc: string
  /** JSON object FQN to "Message.Signal" */
  map?: string
}

export interface DbcImportResult {
  name: string
  sync_id: string
  signals: number
  messages: number
  multiplexed: number
  ieee: number
  warnings: string[]
}

export interface Limited {
  /** as the label of motorcade_mqtt_limited_total */
  cause: string
  meaning: string
  count: number
}

export interface Client {
  client_id: string
  thing: string
  address: string
  connected: boolean
  version: "3.1.1" | "5"
  clean: boolean
  /** s */
  keep_alive: number
  subscriptions: number
  queued: number
  inflight: number
  received: number
  delivered: number
  refused: number
  connected_at?: string
  disconnected_at?: string
  last_packet?: string
  last_error?: string
  /** MQTT profile of its last connection */
  profile?: "standard" | "aws-compat"
  /** what was refused, dropped or made to wait, by cause, since the server started; causes that did not occur are left out */
  limited: Limited[]
}

export interface ClientList {
  items: Client[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface ConnectionEvent {
  time: string
  client_id: string
  address: string
  kind: "connected" | "ended"
  /** MQTT reason code */
  code: number
  text: string
}

export interface ConnectionEventList {
  items: ConnectionEvent[]
}

export interface FleetCounts {
  vehicles: number
  moving: number
  idle: number
  parked: number
  offline: number
  unknown: number
}

export interface Overview {
  server_time: string
  counts: FleetCounts
  connections: number
  messages_per_s: number
  samples_per_s: number
  journal_bytes: number
  store_bytes: number
  campaigns_running: number
  /** age of the oldest journaled message not yet decoded */
  lag_ms: number
}

export interface HealthPart {
  name: string
  ok: boolean
  text: string
}

export interface Health {
  ok: boolean
  version: string
  uptime_s: number
  parts: HealthPart[]
}

export interface MapInfo {
  name: string
  attribution: string
  /** [west, south, east, north] */
  bounds: [number, number, number, number]
  center: [number, number]
  min_zoom: number
  max_zoom: number
}

export type Empty = Record<string, never>

export interface CatalogImport {
  /** VSS tree as JSON text */
  vss: string
}

export interface CatalogImportResult {
  /** new signals */
  added: number
  /** signals that were there already, unchanged */
  kept: number
}

export interface Group {
  id: number
  name: string
  /** MQTT profile of its members; absent: that of the listener */
  profile?: "standard" | "aws-compat"
  /** how many devices and services are in it */
  things: number
  created: string
}

export interface GroupList {
  items: Group[]
}

export interface GroupCreate {
  /** 1 to 128 of A-Z, a-z, 0-9, _, : and - */
  name: string
  /** MQTT profile of its members; absent: that of the listener */
  profile?: "standard" | "aws-compat"
}

export interface GroupThing {
  /** name of the device or service */
  thing: string
}

export interface GroupThingList {
  items: GroupThing[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface VehicleCampaign {
  /** 0: it is deleted, and the vehicle still lists it */
  id: number
  name: string
  /** none: it does not run there */
  state: "pending" | "healthy" | "refused" | "none"
  /** FleetWise's word for it */
  status: "CREATED" | "READY" | "READY_FOR_CHECKIN" | "HEALTHY" | "SUSPENDED" | "DELETING"
  /** why it stands there, as a word: never_checked_in, not_confirmed, wrong_manifest, too_much_memory, ... */
  reason: string
  /** what the reason means here and what to do */
  text?: string
  /** times, because of a cap, until midnight (UTC); absent: as written */
  slower?: number
  /** absent: false. It keeps what the campaign collected before it was changed, until the rollout goes on to the rest */
  former?: boolean
}

export interface VehicleTrouble {
  /** checkin_unreadable, ids_unknown, clock_ahead, ... */
  kind: string
  /** since the platform started */
  count: number
  last: string
  text: string
}

export interface VehicleAgent {
  kind: "motorcade" | "other"
  checkin: string
  /** its clock minus ours at that check-in */
  clock_skew_ms: number
  /** sync id that it holds; absent: none */
  manifest?: string
  /** sync id that it should hold; absent: the vehicle has no manifest */
  wanted_manifest?: string
  /** ids in its last check-in that are ours */
  documents: number
  /** ids that this platform never made */
  unknown: number
  /** ids beyond what is read of one check-in */
  dropped: number
  first_unknown?: string
}

export interface VehicleCampaignList {
  agent?: VehicleAgent
  items: VehicleCampaign[]
  /** what was wrong with its messages */
  troubles: VehicleTrouble[]
}

export interface TroubleCode {
  vehicle: number
  /** empty: deleted */
  vehicle_name: string
  /** "P0143"; from UDS with its failure type: "P0143-13" */
  code: string
  /** empty: OBD, which names none */
  ecu: string
  /** what it means */
  text: string
  system: "powertrain" | "chassis" | "body" | "network"
  /** the standard's; false: the manufacturer's own */
  generic: boolean
  /** in the newest report of its control unit */
  active: boolean
  first: string
  last: string
  /** absent: active */
  cleared?: string
  /** that listed it */
  reports: number
  /** times that it came up anew */
  episodes: number
  /** hex, from UDS */
  snapshot: string
  /** hex, from UDS */
  extended: string
}

export interface TroubleCodeList {
  items: TroubleCode[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface StateTemplate {
  /** 26 characters; the name serves as well */
  id: string
  name: string
  description: string
  /** fully qualified names */
  signals: string[]
  created: string
  updated: string
}

export interface StateTemplateList {
  items: StateTemplate[]
}

export interface StateTemplateCreate {
  name: string
  description?: string
  /** fully qualified names */
  signals: string[]
}

export interface StateTemplateUpdate {
  description?: string
  /** fully qualified names */
  signals: string[]
}

export interface VehicleTemplate {
  /** its name */
  template: string
  /** absent: on change */
  period_ms?: number
  state: "pending" | "healthy" | "none"
  /** as of campaigns */
  reason: string
  text?: string
  /** absent: nothing of it can be sent there */
  sync_id?: string
}

export interface StateCommand {
  id: string
  template: string
  action: "activate" | "deactivate" | "fetch"
  /** no_answer: our own timer ended it */
  status: "sent" | "in_progress" | "succeeded" | "failed" | "timed_out" | "no_answer"
  /** FleetWise's number; 0: none */
  reason: number
  text?: string
  issued: string
  answered?: string
}

export interface VehicleTemplateList {
  items: VehicleTemplate[]
  /** the newest first */
  commands: StateCommand[]
}

export interface VehicleTemplateGive {
  /** name or id */
  template: string
  /** 0: on change */
  period_ms?: number
}

export interface StateCommandCreate {
  action: "activate" | "deactivate" | "fetch"
  /** of activate; 0: never */
  deactivate_after_s?: number
  /** 0: 60 s */
  timeout_ms?: number
}

export interface StateCommandCreated {
  /** of the command, for the list of commands */
  id: string
}

export type ShadowDocument = Record<string, unknown>

export interface Shadow {
  /** empty: the classic one */
  name: string
  /** accepted updates so far */
  version: number
  /** RFC 3339 time */
  updated: string
}

export interface ShadowList {
  items: Shadow[]
  /** cursor of the next page */
  next?: string
}

export interface ShadowChange {
  /** that it made; of a deletion, the one that it ended */
  version: number
  /** RFC 3339 time */
  time: string
  /** device, or platform (a person, a program, a rule) */
  by: "device" | "platform"
  /** the shadow was deleted */
  deleted: boolean
  state?: ShadowDocument
}

export interface ShadowHistory {
  items: ShadowChange[]
  /** cursor of the next page */
  next?: string
}

export type FleetwiseDocument = Record<string, unknown>

export interface FleetwiseList {
  items: FleetwiseDocument[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface FleetwiseNames {
  items: string[]
  /** cursor of the next page; absent on the last */
  next?: string
}

export interface Policy {
  name: string
  /** the default one: what decides */
  version: number
  /** how many there are */
  versions: number
  /** certificates and groups that it is attached to */
  attachments: number
  created: string
  updated: string
}

export interface PolicyList {
  items: Policy[]
}

export interface PolicyVersion {
  version: number
  default: boolean
  created: string
  /** AWS IoT policy document, as it was given */
  document: string
}

export interface PolicyTarget {
  /** fingerprint of a certificate */
  certificate?: string
  /** id of a thing group */
  group?: number
  /** of the group, or of the certificate's device */
  name: string
}

export interface PolicyDetail {
  policy: Policy
  /** newest first */
  documents: PolicyVersion[]
  targets: PolicyTarget[]
}

export interface PolicyCreate {
  /** 1 to 128 of A-Z, a-z, 0-9 and + = , . @ _ - */
  name: string
  /** AWS IoT policy document: {"Version":"2012-10-17","Statement":[...]} */
  document?: string
  /** a ready-made document instead */
  template?: "fleetwise-vehicle"
}

export interface PolicyVersionCreate {
  /** AWS IoT policy document */
  document: string
  /** decide by it from now on */
  default?: boolean
}

export interface PolicyDefault {
  /** decide by this one from now on */
  version: number
}

export interface PolicyAttach {
  /** fingerprint */
  certificate?: string
  /** id of a thing group */
  group?: number
}

export interface PolicyQuestion {
  /** name of a device or service; by its newest active certificate */
  thing?: string
  /** fingerprint instead */
  certificate?: string
  /** as iot:Publish */
  action: string
  /** ARN, or its last part as topic/a/b */
  resource: string
  /** absent: the name of the device; of iot:Connect, the one in the resource */
  clientId?: string
  /** absent: none is known */
  sourceIp?: string
  /** server name that the client asks for; absent: none */
  domainName?: string
  /** iot:Connect with a session that is kept */
  persistent?: boolean
  /** iot:Connect with a will */
  will?: boolean
}

export interface PolicyFinding {
  policy: string
  version: number
  /** from 0, as in Statement[0] */
  statement: number
  sid?: string
  effect: "Allow" | "Deny"
  /** of the statement, that matches */
  resource: string
  /** matches: it counts; condition: one does not hold; attributes: it does not name what the connection asks for */
  reason: "matches" | "condition" | "attributes"
  /** that does not hold */
  condition?: string
}

export interface PolicyDecision {
  /** denied: by a statement; not-named: no statement allows it, which refuses it, too */
  decision: "allowed" | "denied" | "not-named"
  /** documents that are attached; the built-in policy of vehicles; a service's own */
  by: "documents" | "built-in" | "service"
  thing: string
  certificate?: string
  decided?: PolicyFinding
  /** all statements that name action and resource */
  findings: PolicyFinding[]
  /** variables that have no value here, or none that may stand in a resource: what names them matches nothing */
  withoutValue: string[]
}

export interface Operations {
  /** Is the platform able to work? No details without a sign-in. */
  health: { path: undefined; query: undefined; body: undefined; reply: Health }
  /** This description. */
  openapi: { path: undefined; query: undefined; body: undefined; reply: undefined }
  /** Sign in with name and password; sets the session cookie. */
  sign_in: { path: undefined; query: undefined; body: SignIn; reply: Me }
  /** Redeem a one-time sign-in link; sets the session cookie. */
  sign_in_link: { path: undefined; query: undefined; body: LinkSignIn; reply: Me }
  /** End this session. */
  sign_out: { path: undefined; query: undefined; body: undefined; reply: undefined }
  /** Who am I, and what may I do? */
  me: { path: undefined; query: undefined; body: undefined; reply: Me }
  /** Change one's own password. */
  password_change: { path: undefined; query: undefined; body: PasswordChange; reply: undefined }
  /** Users of this tenant. */
  user_list: { path: undefined; query: undefined; body: undefined; reply: UserList }
  /** Create a user. */
  user_create: { path: undefined; query: undefined; body: UserCreate; reply: User }
  /** Change role, password or disable. */
  user_update: { path: { id: string | number }; query: undefined; body: UserUpdate; reply: User }
  /** Tenants of this platform; for admins of the first one. */
  tenant_list: { path: undefined; query: undefined; body: undefined; reply: TenantList }
  /** Create a tenant with its first admin; for admins of the first one. */
  tenant_create: { path: undefined; query: undefined; body: TenantCreate; reply: Tenant }
  /** API tokens (never their secrets). */
  token_list: { path: undefined; query: undefined; body: undefined; reply: TokenList }
  /** Create an API token; its secret is shown once. Its role is at most the caller's. */
  token_create: { path: undefined; query: undefined; body: TokenCreate; reply: TokenCreated }
  /** Revoke an API token. */
  token_revoke: { path: { id: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Access keys of the AWS face (never their secrets). */
  access_key_list: { path: undefined; query: undefined; body: undefined; reply: AccessKeyList }
  /** Create an access key; its secret is shown once. Its role is at most the caller's. */
  access_key_create: { path: undefined; query: undefined; body: AccessKeyCreate; reply: AccessKeyCreated }
  /** Revoke an access key. */
  access_key_revoke: { path: { id: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Key figures of the fleet and the platform. */
  overview: { path: undefined; query: undefined; body: undefined; reply: Overview }
  /** Vehicles with what is true of them now, ordered by name. */
  vehicle_list: { path: undefined; query: { after?: string; limit?: number; filter?: string; motion?: "unknown" | "moving" | "idle" | "parked" | "offline" }; body: undefined; reply: VehicleList }
  /** Create a vehicle and its device. */
  vehicle_create: { path: undefined; query: undefined; body: VehicleCreate; reply: Vehicle }
  /** Create up to 1,000 vehicles and their devices in one transaction. Rows that do not fit are refused one by one and the others created; a row that is there already with the same facts is no mistake, so the same list may be sent again. */
  vehicle_create_many: { path: undefined; query: undefined; body: VehicleBatch; reply: VehicleBatchResult }
  /** One vehicle. */
  vehicle_get: { path: { id: string | number }; query: undefined; body: undefined; reply: Vehicle }
  /** Change facts or manifest of a vehicle. */
  vehicle_update: { path: { id: string | number }; query: undefined; body: VehicleUpdate; reply: Vehicle }
  /** Services: MQTT clients that are no vehicles. */
  service_list: { path: undefined; query: undefined; body: undefined; reply: ServiceList }
  /** Create a service with its policy, and with a password if it has no certificate. */
  service_create: { path: undefined; query: undefined; body: ServiceCreate; reply: Service }
  /** Change or take away a service's password, or switch it off; its live sessions end. */
  service_update: { path: { id: string | number }; query: undefined; body: ServiceUpdate; reply: Service }
  /** One client with its last events. */
  client_detail: { path: undefined; query: { client_id: string }; body: undefined; reply: ClientDetail }
  /** Begin to watch messages live. At most eight traces run; one that nobody reads for 30 s ends. */
  trace_start: { path: undefined; query: undefined; body: TraceStart; reply: TraceStarted }
  /** What passed since, at most 200 entries. */
  trace_read: { path: { id: string | number }; query: { after?: number }; body: undefined; reply: TraceEntryList }
  /** End a trace. */
  trace_end: { path: { id: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Destroy the vehicle's data key: its messages in the journal and in copies of it can no longer be read by anybody. The signed receipt says what is covered. The vehicle goes on under a new key. */
  vehicle_erase: { path: { id: string | number }; query: undefined; body: VehicleErasure; reply: ErasureReceipt }
  /** The last value of every signal, with its time. With `offset`, waits (at most 5 s) until that journal offset is visible. */
  vehicle_latest: { path: { id: string | number }; query: { offset?: number }; body: undefined; reply: LatestList }
  /** Samples of up to 16 signals in [from, to). More than `points` samples are down-sampled to min, max and mean per bucket. */
  vehicle_history: { path: { id: string | number }; query: { signals: string; from: string; to: string; points?: number }; body: undefined; reply: History }
  /** Positions in [from, to), thinned to at most `points`. */
  vehicle_track: { path: { id: string | number }; query: { from: string; to: string; points?: number }; body: undefined; reply: Track }
  /** Signals this vehicle has sent in the last 30 days or can send by its manifest. */
  vehicle_signals: { path: { id: string | number }; query: undefined; body: undefined; reply: SignalList }
  /** Campaign events received, newest first. */
  vehicle_events: { path: { id: string | number }; query: { limit?: number }; body: undefined; reply: VehicleEventList }
  /** Trouble codes of a vehicle with their history, last seen first. */
  vehicle_trouble_codes: { path: { id: string | number }; query: { after?: string; limit?: number; code?: string; state?: "active" | "any" }; body: undefined; reply: TroubleCodeList }
  /** Trouble codes of all vehicles, last seen first. */
  trouble_code_list: { path: undefined; query: { after?: string; limit?: number; code?: string; state?: "active" | "any" }; body: undefined; reply: TroubleCodeList }
  /** Where each campaign stands on a vehicle and why, and what is known of its agent. */
  vehicle_campaigns: { path: { id: string | number }; query: undefined; body: undefined; reply: VehicleCampaignList }
  /** The vehicle's MQTT connection: state, counters and last error in words. */
  vehicle_connection: { path: { id: string | number }; query: undefined; body: undefined; reply: Client }
  /** Certificates of the vehicle's device. */
  certificate_list: { path: { id: string | number }; query: undefined; body: undefined; reply: CertificateList }
  /** Issue a certificate with our own CA; the private key is shown once. */
  certificate_issue: { path: { id: string | number }; query: undefined; body: CertificateIssue; reply: CertificateIssued }
  /** Activate, deactivate or revoke. Live sessions of a certificate that stops being active are ended. */
  certificate_update: { path: { fingerprint: string | number }; query: undefined; body: CertificateUpdate; reply: Certificate }
  /** The signal catalog, ordered by name. */
  signal_list: { path: undefined; query: { after?: string; limit?: number; filter?: string }; body: undefined; reply: SignalList }
  /** One signal. */
  signal_get: { path: { id: string | number }; query: undefined; body: undefined; reply: SignalInfo }
  /** Decoder manifests. */
  manifest_list: { path: undefined; query: undefined; body: undefined; reply: ManifestList }
  /** Signals a manifest decodes. */
  manifest_signals: { path: { name: string | number }; query: undefined; body: undefined; reply: ManifestSignals }
  /** Make catalog, vehicle model and decoder manifest from a DBC. */
  manifest_import: { path: undefined; query: undefined; body: DbcImport; reply: DbcImportResult }
  /** Add a VSS tree to the signal catalog. Names that are there stay as they are: a manifest may decode them in another unit. */
  catalog_import: { path: undefined; query: undefined; body: CatalogImport; reply: CatalogImportResult }
  /** Campaigns. */
  campaign_list: { path: undefined; query: undefined; body: undefined; reply: CampaignList }
  /** Create a campaign. */
  campaign_create: { path: undefined; query: undefined; body: CampaignCreate; reply: Campaign }
  /** One campaign. */
  campaign_get: { path: { id: string | number }; query: undefined; body: undefined; reply: Campaign }
  /** Replace what a campaign collects; vehicles get a new version. */
  campaign_update: { path: { id: string | number }; query: undefined; body: CampaignUpdate; reply: Campaign }
  /** Run, suspend or end a campaign. */
  campaign_status: { path: { id: string | number }; query: undefined; body: CampaignStatusChange; reply: Campaign }
  /** Delete a campaign; vehicles drop it. */
  campaign_delete: { path: { id: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Where the campaign stands on each vehicle that it targets, and why. */
  campaign_vehicles: { path: { id: string | number }; query: { limit?: number; status?: "CREATED" | "READY" | "READY_FOR_CHECKIN" | "HEALTHY" | "SUSPENDED" | "DELETING" }; body: undefined; reply: CampaignVehicleList }
  /** How delivery to each destination of a campaign does. */
  campaign_destinations: { path: { id: string | number }; query: undefined; body: undefined; reply: DestinationStatusList }
  /** What a campaign sent: messages, bytes and samples, by day and by vehicle. */
  campaign_cost: { path: { id: string | number }; query: { days?: number; limit?: number }; body: undefined; reply: CampaignCost }
  /** How a campaign does on its way from its first vehicles to the rest. */
  campaign_rollout: { path: { id: string | number }; query: undefined; body: undefined; reply: CampaignRollout }
  /** Let a campaign go on to the rest of its vehicles, or take it back to the first. */
  campaign_rollout_set: { path: { id: string | number }; query: undefined; body: CampaignRolloutSet; reply: CampaignRollout }
  /** Set what a campaign may send on a UTC day, for one vehicle and for all together; what comes near a cap is collected slower until midnight. {} takes the caps away. */
  campaign_caps_set: { path: { id: string | number }; query: undefined; body: CampaignCaps; reply: Campaign }
  /** Tell on which vehicles a campaign would run, and what the others lack, without storing it. */
  campaign_reach: { path: undefined; query: undefined; body: CampaignReachAsk; reply: CampaignReach }
  /** Tell what a campaign would have sent of what is stored: events, messages, rows, bytes, money. Its document goes through an agent's own evaluation; nothing is sent or kept. */
  campaign_dry_run: { path: { id: string | number }; query: undefined; body: CampaignDryRunAsk; reply: CampaignDryRun }
  /** State templates: what of a vehicle's state is to be known at once. */
  template_list: { path: undefined; query: undefined; body: undefined; reply: StateTemplateList }
  /** Create a state template. */
  template_create: { path: undefined; query: undefined; body: StateTemplateCreate; reply: StateTemplate }
  /** One state template. */
  template_get: { path: { template: string | number }; query: undefined; body: undefined; reply: StateTemplate }
  /** Change a state template; vehicles that have it get the difference. */
  template_update: { path: { template: string | number }; query: undefined; body: StateTemplateUpdate; reply: StateTemplate }
  /** Delete a state template; vehicles lose it. */
  template_delete: { path: { template: string | number }; query: undefined; body: undefined; reply: undefined }
  /** State templates of a vehicle: where each stands and why, and commands about them. */
  vehicle_templates: { path: { id: string | number }; query: undefined; body: undefined; reply: VehicleTemplateList }
  /** Give a vehicle a state template, or change how it is sent. */
  vehicle_template_give: { path: { id: string | number }; query: undefined; body: VehicleTemplateGive; reply: VehicleTemplateList }
  /** Take a state template from a vehicle. */
  vehicle_template_take: { path: { id: string | number; template: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Activate or silence a state template in the vehicle, or ask for its state once. */
  vehicle_template_command: { path: { id: string | number; template: string | number }; query: undefined; body: StateCommandCreate; reply: StateCommandCreated }
  /** Check a trigger expression without storing it. */
  expression_check: { path: undefined; query: undefined; body: ExpressionCheck; reply: ExpressionResult }
  /** Thing groups, ordered by name. */
  group_list: { path: undefined; query: undefined; body: undefined; reply: GroupList }
  /** Create a thing group. Its MQTT profile goes before that of the listener, for each member from its next connection on. */
  group_create: { path: undefined; query: undefined; body: GroupCreate; reply: Group }
  /** Devices and services of a group, ordered by name. */
  group_things: { path: { id: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: GroupThingList }
  /** Put a device or service into a group. */
  group_add: { path: { id: string | number }; query: undefined; body: GroupThing; reply: Group }
  /** Take a device or service out of a group. */
  group_remove: { path: { id: string | number; thing: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Policies of devices, ordered by name. */
  policy_list: { path: undefined; query: undefined; body: undefined; reply: PolicyList }
  /** Create a policy of an AWS IoT policy document; it is version 1 and decides where it is attached. */
  policy_create: { path: undefined; query: undefined; body: PolicyCreate; reply: PolicyDetail }
  /** A policy with its versions and what it is attached to. */
  policy_get: { path: { name: string | number }; query: undefined; body: undefined; reply: PolicyDetail }
  /** Delete a policy that is attached nowhere, with its versions. */
  policy_delete: { path: { name: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Add a version; live connections are decided by it at once when it is the default. */
  policy_version_create: { path: { name: string | number }; query: undefined; body: PolicyVersionCreate; reply: PolicyDetail }
  /** Delete a version that is not the default. */
  policy_version_delete: { path: { name: string | number; version: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Decide by this version from now on, live connections too. */
  policy_default: { path: { name: string | number }; query: undefined; body: PolicyDefault; reply: PolicyDetail }
  /** Attach to a certificate or a thing group. A device with anything attached is decided by that alone, and no longer by the built-in policy. */
  policy_attach: { path: { name: string | number }; query: undefined; body: PolicyAttach; reply: PolicyDetail }
  /** Detach from a certificate (fingerprint) or a thing group (id). */
  policy_detach: { path: { name: string | number; target: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Which statement of which version decides, or that none does. */
  policy_explain: { path: undefined; query: undefined; body: PolicyQuestion; reply: PolicyDecision }
  /** MQTT clients and sessions. */
  client_list: { path: undefined; query: { after?: string; limit?: number }; body: undefined; reply: ClientList }
  /** The last connects, disconnects and refusals, newest first. */
  connection_events: { path: undefined; query: { limit?: number }; body: undefined; reply: ConnectionEventList }
  /** The base map: bounds, zoom range, attribution. */
  map_info: { path: undefined; query: undefined; body: undefined; reply: MapInfo }
  /** A Mapbox vector tile; 204 where there is nothing. */
  map_tile: { path: { z: string | number; x: string | number; y: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Metrics in Prometheus text format. */
  metrics: { path: undefined; query: undefined; body: undefined; reply: undefined }
  /** WebSocket with live positions and values; see `live`. */
  live: { path: undefined; query: undefined; body: undefined; reply: undefined }
  /** Signal catalogs, ordered by name. */
  catalog_list: { path: undefined; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseList }
  /** Create a signal catalog: as CreateSignalCatalog (name, description, nodes), or with vss as ImportSignalCatalog. */
  catalog_create: { path: undefined; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** One signal catalog with the number of its nodes. */
  catalog_get: { path: { name: string | number }; query: undefined; body: undefined; reply: FleetwiseDocument }
  /** Change a catalog: as UpdateSignalCatalog (description, nodesToAdd, nodesToUpdate, nodesToRemove). Whole or not at all. */
  catalog_update: { path: { name: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** Delete a catalog that no model and no fleet names. */
  catalog_delete: { path: { name: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Nodes of a catalog, ordered by name. */
  catalog_nodes: { path: { name: string | number }; query: { after?: string; limit?: number; type?: "SENSOR" | "ACTUATOR" | "ATTRIBUTE" | "BRANCH" | "CUSTOM_STRUCT" | "CUSTOM_PROPERTY" }; body: undefined; reply: FleetwiseList }
  /** Vehicle models, ordered by name. */
  model_list: { path: undefined; query: { after?: string; limit?: number; catalog?: string }; body: undefined; reply: FleetwiseList }
  /** Create a vehicle model: as CreateModelManifest (name, signalCatalogArn, nodes; a branch stands for all below it). */
  model_create: { path: undefined; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** One vehicle model. */
  model_get: { path: { name: string | number }; query: undefined; body: undefined; reply: FleetwiseDocument }
  /** Change a model that is a draft, or its status: as UpdateModelManifest. */
  model_update: { path: { name: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** Delete a model that no decoder manifest is made for. */
  model_delete: { path: { name: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Nodes of a model, ordered by name. */
  model_nodes: { path: { name: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseList }
  /** Tell what differs between two vehicle models, node by node. */
  model_compare: { path: { name: string | number }; query: { with: string }; body: undefined; reply: ModelComparison }
  /** Decoder manifests in any state, ordered by name. */
  decoder_list: { path: undefined; query: { after?: string; limit?: number; model?: string }; body: undefined; reply: FleetwiseList }
  /** Create a decoder manifest as a draft: as CreateDecoderManifest. */
  decoder_create: { path: undefined; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** One decoder manifest. */
  decoder_get: { path: { name: string | number }; query: undefined; body: undefined; reply: FleetwiseDocument }
  /** Change a decoder manifest that is a draft, or its status: as UpdateDecoderManifest. An ACTIVE one goes to its vehicles. */
  decoder_update: { path: { name: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** Delete a decoder manifest that no vehicle uses. */
  decoder_delete: { path: { name: string | number }; query: undefined; body: undefined; reply: undefined }
  /** DBC files into a draft: as ImportDecoderManifest (networkFileDefinitions). */
  decoder_import: { path: { name: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** Decoders of a manifest, ordered by signal. */
  decoder_signals: { path: { name: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseList }
  /** Network interfaces of a decoder manifest. */
  decoder_interfaces: { path: { name: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseList }
  /** Tell what differs between two compiled decoder manifests, decoder by decoder. */
  decoder_compare: { path: { name: string | number }; query: { with: string }; body: undefined; reply: ManifestComparison }
  /** What FleetWise knows of the vehicle: model, decoder manifest, attributes, state templates. */
  vehicle_definition: { path: { id: string | number }; query: undefined; body: undefined; reply: FleetwiseDocument }
  /** Change it: as UpdateVehicle (attributes with attributeUpdateMode, manifests, state templates). */
  vehicle_define: { path: { id: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** Delete a vehicle. Its device stays, and can be fitted to another vehicle. */
  vehicle_delete: { path: { id: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Fleets that the vehicle is in. */
  vehicle_fleets: { path: { id: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseNames }
  /** Fleets, ordered by id. */
  fleet_list: { path: undefined; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseList }
  /** Create a fleet: as CreateFleet (fleetId, description, signalCatalogArn). */
  fleet_create: { path: undefined; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** One fleet. */
  fleet_get: { path: { fleet: string | number }; query: undefined; body: undefined; reply: FleetwiseDocument }
  /** Change a fleet's description. */
  fleet_update: { path: { fleet: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** Delete a fleet that has no vehicles. */
  fleet_delete: { path: { fleet: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Names of the vehicles in a fleet. */
  fleet_vehicles: { path: { fleet: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: FleetwiseNames }
  /** Put a vehicle into a fleet. Campaigns of the fleet go to it. */
  fleet_join: { path: { fleet: string | number; vehicle: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Take a vehicle out of a fleet. */
  fleet_leave: { path: { fleet: string | number; vehicle: string | number }; query: undefined; body: undefined; reply: undefined }
  /** Run one of FleetWise's operations over its own document, as the AWS facade does; needs the permission of the operation, too. */
  fleetwise_call: { path: { operation: string | number }; query: undefined; body: FleetwiseDocument; reply: FleetwiseDocument }
  /** The shadows of a thing, by name; the classic one, without a name, first. */
  shadow_list: { path: { thing: string | number }; query: { after?: string; limit?: number }; body: undefined; reply: ShadowList }
  /** A device shadow: what is desired, reported and outstanding, with the time of each value. AWS's document. */
  shadow_get: { path: { thing: string | number }; query: { name?: string }; body: undefined; reply: ShadowDocument }
  /** Change a device shadow: {"state": {"desired": ..., "reported": ...}, "version": n}. Members that are null go; with a version, only if it is that one (409). The device is told at once, or when it connects. */
  shadow_update: { path: { thing: string | number }; query: { name?: string }; body: ShadowDocument; reply: ShadowDocument }
  /** Delete a device shadow. Its version goes on where it was if it is made again. */
  shadow_delete: { path: { thing: string | number }; query: { name?: string }; body: undefined; reply: ShadowDocument }
  /** What was asked of a shadow and was done, newest first. */
  shadow_history: { path: { thing: string | number }; query: { name?: string; after?: string; limit?: number }; body: undefined; reply: ShadowHistory }
}

export const operations = {
  health: { method: "GET", path: "/api/v1/health", permission: "public" },
  openapi: { method: "GET", path: "/api/v1/openapi.json", permission: "public" },
  sign_in: { method: "POST", path: "/api/v1/session", permission: "public" },
  sign_in_link: { method: "POST", path: "/api/v1/session/link", permission: "public" },
  sign_out: { method: "DELETE", path: "/api/v1/session", permission: "self:read" },
  me: { method: "GET", path: "/api/v1/me", permission: "self:read" },
  password_change: { method: "PUT", path: "/api/v1/me/password", permission: "self:write" },
  user_list: { method: "GET", path: "/api/v1/users", permission: "user:read" },
  user_create: { method: "POST", path: "/api/v1/users", permission: "user:write" },
  user_update: { method: "PATCH", path: "/api/v1/users/{id}", permission: "user:write" },
  tenant_list: { method: "GET", path: "/api/v1/tenants", permission: "tenant:read" },
  tenant_create: { method: "POST", path: "/api/v1/tenants", permission: "tenant:write" },
  token_list: { method: "GET", path: "/api/v1/tokens", permission: "token:read" },
  token_create: { method: "POST", path: "/api/v1/tokens", permission: "token:write" },
  token_revoke: { method: "DELETE", path: "/api/v1/tokens/{id}", permission: "token:write" },
  access_key_list: { method: "GET", path: "/api/v1/access-keys", permission: "token:read" },
  access_key_create: { method: "POST", path: "/api/v1/access-keys", permission: "token:write" },
  access_key_revoke: { method: "DELETE", path: "/api/v1/access-keys/{id}", permission: "token:write" },
  overview: { method: "GET", path: "/api/v1/overview", permission: "vehicle:read" },
  vehicle_list: { method: "GET", path: "/api/v1/vehicles", permission: "vehicle:read" },
  vehicle_create: { method: "POST", path: "/api/v1/vehicles", permission: "vehicle:write" },
  vehicle_create_many: { method: "POST", path: "/api/v1/vehicles/batch", permission: "vehicle:write" },
  vehicle_get: { method: "GET", path: "/api/v1/vehicles/{id}", permission: "vehicle:read" },
  vehicle_update: { method: "PATCH", path: "/api/v1/vehicles/{id}", permission: "vehicle:write" },
  service_list: { method: "GET", path: "/api/v1/services", permission: "certificate:read" },
  service_create: { method: "POST", path: "/api/v1/services", permission: "certificate:write" },
  service_update: { method: "PATCH", path: "/api/v1/services/{id}", permission: "certificate:write" },
  client_detail: { method: "GET", path: "/api/v1/clients/detail", permission: "system:read" },
  trace_start: { method: "POST", path: "/api/v1/traces", permission: "trace:write" },
  trace_read: { method: "GET", path: "/api/v1/traces/{id}", permission: "trace:write" },
  trace_end: { method: "DELETE", path: "/api/v1/traces/{id}", permission: "trace:write" },
  vehicle_erase: { method: "POST", path: "/api/v1/vehicles/{id}/erasure", permission: "erasure:write" },
  vehicle_latest: { method: "GET", path: "/api/v1/vehicles/{id}/latest", permission: "vehicle:read" },
  vehicle_history: { method: "GET", path: "/api/v1/vehicles/{id}/history", permission: "vehicle:read" },
  vehicle_track: { method: "GET", path: "/api/v1/vehicles/{id}/track", permission: "vehicle:read" },
  vehicle_signals: { method: "GET", path: "/api/v1/vehicles/{id}/signals", permission: "vehicle:read" },
  vehicle_events: { method: "GET", path: "/api/v1/vehicles/{id}/events", permission: "vehicle:read" },
  vehicle_trouble_codes: { method: "GET", path: "/api/v1/vehicles/{id}/trouble-codes", permission: "vehicle:read" },
  trouble_code_list: { method: "GET", path: "/api/v1/trouble-codes", permission: "vehicle:read" },
  vehicle_campaigns: { method: "GET", path: "/api/v1/vehicles/{id}/campaigns", permission: "campaign:read" },
  vehicle_connection: { method: "GET", path: "/api/v1/vehicles/{id}/connection", permission: "vehicle:read" },
  certificate_list: { method: "GET", path: "/api/v1/vehicles/{id}/certificates", permission: "certificate:read" },
  certificate_issue: { method: "POST", path: "/api/v1/vehicles/{id}/certificates", permission: "certificate:write" },
  certificate_update: { method: "PATCH", path: "/api/v1/certificates/{fingerprint}", permission: "certificate:write" },
  signal_list: { method: "GET", path: "/api/v1/signals", permission: "signal:read" },
  signal_get: { method: "GET", path: "/api/v1/signals/{id}", permission: "signal:read" },
  manifest_list: { method: "GET", path: "/api/v1/manifests", permission: "signal:read" },
  manifest_signals: { method: "GET", path: "/api/v1/manifests/{name}/signals", permission: "signal:read" },
  manifest_import: { method: "POST", path: "/api/v1/manifests", permission: "signal:write" },
  catalog_import: { method: "POST", path: "/api/v1/signals", permission: "signal:write" },
  campaign_list: { method: "GET", path: "/api/v1/campaigns", permission: "campaign:read" },
  campaign_create: { method: "POST", path: "/api/v1/campaigns", permission: "campaign:write" },
  campaign_get: { method: "GET", path: "/api/v1/campaigns/{id}", permission: "campaign:read" },
  campaign_update: { method: "PUT", path: "/api/v1/campaigns/{id}", permission: "campaign:write" },
  campaign_status: { method: "POST", path: "/api/v1/campaigns/{id}/status", permission: "campaign:write" },
  campaign_delete: { method: "DELETE", path: "/api/v1/campaigns/{id}", permission: "campaign:write" },
  campaign_vehicles: { method: "GET", path: "/api/v1/campaigns/{id}/vehicles", permission: "campaign:read" },
  campaign_destinations: { method: "GET", path: "/api/v1/campaigns/{id}/destinations", permission: "campaign:read" },
  campaign_cost: { method: "GET", path: "/api/v1/campaigns/{id}/cost", permission: "campaign:read" },
  campaign_rollout: { method: "GET", path: "/api/v1/campaigns/{id}/rollout", permission: "campaign:read" },
  campaign_rollout_set: { method: "POST", path: "/api/v1/campaigns/{id}/rollout", permission: "campaign:write" },
  campaign_caps_set: { method: "PUT", path: "/api/v1/campaigns/{id}/caps", permission: "campaign:write" },
  campaign_reach: { method: "POST", path: "/api/v1/campaigns/reach", permission: "campaign:read" },
  campaign_dry_run: { method: "POST", path: "/api/v1/campaigns/{id}/dry-run", permission: "campaign:read" },
  template_list: { method: "GET", path: "/api/v1/templates", permission: "campaign:read" },
  template_create: { method: "POST", path: "/api/v1/templates", permission: "campaign:write" },
  template_get: { method: "GET", path: "/api/v1/templates/{template}", permission: "campaign:read" },
  template_update: { method: "PUT", path: "/api/v1/templates/{template}", permission: "campaign:write" },
  template_delete: { method: "DELETE", path: "/api/v1/templates/{template}", permission: "campaign:write" },
  vehicle_templates: { method: "GET", path: "/api/v1/vehicles/{id}/templates", permission: "campaign:read" },
  vehicle_template_give: { method: "POST", path: "/api/v1/vehicles/{id}/templates", permission: "campaign:write" },
  vehicle_template_take: { method: "DELETE", path: "/api/v1/vehicles/{id}/templates/{template}", permission: "campaign:write" },
  vehicle_template_command: { method: "POST", path: "/api/v1/vehicles/{id}/templates/{template}/commands", permission: "campaign:write" },
  expression_check: { method: "POST", path: "/api/v1/expressions/check", permission: "campaign:read" },
  group_list: { method: "GET", path: "/api/v1/groups", permission: "vehicle:read" },
  group_create: { method: "POST", path: "/api/v1/groups", permission: "vehicle:write" },
  group_things: { method: "GET", path: "/api/v1/groups/{id}/things", permission: "vehicle:read" },
  group_add: { method: "POST", path: "/api/v1/groups/{id}/things", permission: "vehicle:write" },
  group_remove: { method: "DELETE", path: "/api/v1/groups/{id}/things/{thing}", permission: "vehicle:write" },
  policy_list: { method: "GET", path: "/api/v1/policies", permission: "policy:read" },
  policy_create: { method: "POST", path: "/api/v1/policies", permission: "policy:write" },
  policy_get: { method: "GET", path: "/api/v1/policies/{name}", permission: "policy:read" },
  policy_delete: { method: "DELETE", path: "/api/v1/policies/{name}", permission: "policy:write" },
  policy_version_create: { method: "POST", path: "/api/v1/policies/{name}/versions", permission: "policy:write" },
  policy_version_delete: { method: "DELETE", path: "/api/v1/policies/{name}/versions/{version}", permission: "policy:write" },
  policy_default: { method: "PUT", path: "/api/v1/policies/{name}/default", permission: "policy:write" },
  policy_attach: { method: "POST", path: "/api/v1/policies/{name}/attachments", permission: "policy:write" },
  policy_detach: { method: "DELETE", path: "/api/v1/policies/{name}/attachments/{target}", permission: "policy:write" },
  policy_explain: { method: "POST", path: "/api/v1/policy-decisions", permission: "policy:read" },
  client_list: { method: "GET", path: "/api/v1/clients", permission: "system:read" },
  connection_events: { method: "GET", path: "/api/v1/clients/events", permission: "system:read" },
  map_info: { method: "GET", path: "/api/v1/map", permission: "vehicle:read" },
  map_tile: { method: "GET", path: "/api/v1/map/tiles/{z}/{x}/{y}", permission: "vehicle:read" },
  metrics: { method: "GET", path: "/metrics", permission: "system:read" },
  live: { method: "GET", path: "/api/v1/live", permission: "vehicle:read" },
  catalog_list: { method: "GET", path: "/api/v1/catalogs", permission: "signal:read" },
  catalog_create: { method: "POST", path: "/api/v1/catalogs", permission: "signal:write" },
  catalog_get: { method: "GET", path: "/api/v1/catalogs/{name}", permission: "signal:read" },
  catalog_update: { method: "PATCH", path: "/api/v1/catalogs/{name}", permission: "signal:write" },
  catalog_delete: { method: "DELETE", path: "/api/v1/catalogs/{name}", permission: "signal:write" },
  catalog_nodes: { method: "GET", path: "/api/v1/catalogs/{name}/nodes", permission: "signal:read" },
  model_list: { method: "GET", path: "/api/v1/models", permission: "signal:read" },
  model_create: { method: "POST", path: "/api/v1/models", permission: "signal:write" },
  model_get: { method: "GET", path: "/api/v1/models/{name}", permission: "signal:read" },
  model_update: { method: "PATCH", path: "/api/v1/models/{name}", permission: "signal:write" },
  model_delete: { method: "DELETE", path: "/api/v1/models/{name}", permission: "signal:write" },
  model_nodes: { method: "GET", path: "/api/v1/models/{name}/nodes", permission: "signal:read" },
  model_compare: { method: "GET", path: "/api/v1/models/{name}/compare", permission: "signal:read" },
  decoder_list: { method: "GET", path: "/api/v1/decoders", permission: "signal:read" },
  decoder_create: { method: "POST", path: "/api/v1/decoders", permission: "signal:write" },
  decoder_get: { method: "GET", path: "/api/v1/decoders/{name}", permission: "signal:read" },
  decoder_update: { method: "PATCH", path: "/api/v1/decoders/{name}", permission: "signal:write" },
  decoder_delete: { method: "DELETE", path: "/api/v1/decoders/{name}", permission: "signal:write" },
  decoder_import: { method: "POST", path: "/api/v1/decoders/{name}/import", permission: "signal:write" },
  decoder_signals: { method: "GET", path: "/api/v1/decoders/{name}/signals", permission: "signal:read" },
  decoder_interfaces: { method: "GET", path: "/api/v1/decoders/{name}/interfaces", permission: "signal:read" },
  decoder_compare: { method: "GET", path: "/api/v1/decoders/{name}/compare", permission: "signal:read" },
  vehicle_definition: { method: "GET", path: "/api/v1/vehicles/{id}/definition", permission: "vehicle:read" },
  vehicle_define: { method: "PATCH", path: "/api/v1/vehicles/{id}/definition", permission: "vehicle:write" },
  vehicle_delete: { method: "DELETE", path: "/api/v1/vehicles/{id}", permission: "vehicle:write" },
  vehicle_fleets: { method: "GET", path: "/api/v1/vehicles/{id}/fleets", permission: "vehicle:read" },
  fleet_list: { method: "GET", path: "/api/v1/fleets", permission: "vehicle:read" },
  fleet_create: { method: "POST", path: "/api/v1/fleets", permission: "vehicle:write" },
  fleet_get: { method: "GET", path: "/api/v1/fleets/{fleet}", permission: "vehicle:read" },
  fleet_update: { method: "PATCH", path: "/api/v1/fleets/{fleet}", permission: "vehicle:write" },
  fleet_delete: { method: "DELETE", path: "/api/v1/fleets/{fleet}", permission: "vehicle:write" },
  fleet_vehicles: { method: "GET", path: "/api/v1/fleets/{fleet}/vehicles", permission: "vehicle:read" },
  fleet_join: { method: "PUT", path: "/api/v1/fleets/{fleet}/vehicles/{vehicle}", permission: "vehicle:write" },
  fleet_leave: { method: "DELETE", path: "/api/v1/fleets/{fleet}/vehicles/{vehicle}", permission: "vehicle:write" },
  fleetwise_call: { method: "POST", path: "/api/v1/fleetwise/{operation}", permission: "campaign:read" },
  shadow_list: { method: "GET", path: "/api/v1/things/{thing}/shadows", permission: "shadow:read" },
  shadow_get: { method: "GET", path: "/api/v1/things/{thing}/shadow", permission: "shadow:read" },
  shadow_update: { method: "PATCH", path: "/api/v1/things/{thing}/shadow", permission: "shadow:write" },
  shadow_delete: { method: "DELETE", path: "/api/v1/things/{thing}/shadow", permission: "shadow:write" },
  shadow_history: { method: "GET", path: "/api/v1/things/{thing}/shadow/history", permission: "shadow:read" },
} as const

/** Sizes in bytes of the live stream's binary frames. */
export const live = {
  header: 24,
  fleetRecord: 17,
  valueRecord: 20,
  valueHeaderExtra: 4,
  protocol: "motorcade.live.v1",
} as const
