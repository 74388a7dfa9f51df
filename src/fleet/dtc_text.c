/* What trouble codes mean: our own short texts for codes of the standard (SAE J2012), as families where the standard counts them through. */
#include <stdio.h>
#include <stdlib.h>

#include "fleet/fleet.h"

/* How a family's codes follow each other. */
typedef enum endings { ONE, CIRCUIT5, CIRCUIT4, OPEN_LOW_HIGH, HEATER3, OXYGEN6, CAM3, CYLINDERS, INJECTOR_DRIVER, SHIFT5, LOW_HIGH, TRIM, SHAFT3, GEARS, COILS, FANS } endings;
typedef struct family {
  const char *code; /* the first one */
  endings endings;
  uint8_t count;
  const char *what;
} family;

static const char *const circuit5[] = {"circuit", "circuit: out of range or implausible", "circuit: low", "circuit: high", "circuit: intermittent"};
static const char *const circuit4[] = {"circuit open", "circuit: out of range or implausible", "circuit: low", "circuit: high"};
static const char *const open_low_high[] = {"circuit open", "circuit: low", "circuit: high"};
static const char *const heater3[] = {"heater control circuit", "heater control circuit: low", "heater control circuit: high"};
static const char *const oxygen6[] = {"circuit", "circuit: low voltage", "circuit: high voltage", "slow response", "no activity", "heater circuit"};
static const char *const cam3[] = {"actuator circuit", "timing too far advanced", "timing too far retarded"};
static const char *const injector3[] = {"injector circuit: low", "injector circuit: high", "contribution or balance"};
static const char *const shift5[] = {"", ": performance or stuck off", ": stuck on", ": electrical", ": intermittent"};
static const char *const low_high[] = {"circuit: low", "circuit: high"};
static const char *const shaft3[] = {"circuit", "circuit: out of range or implausible", "circuit: no signal"};
static const char *const trim[] = {"fuel trim", "mixture too lean", "mixture too rich"};

/* Ordered by code. */
static const family families[] = {
    {"B0001", ONE, 1, "driver's frontal airbag, stage 1: deployment control"},
    {"C0031", ONE, 1, "wheel speed sensor, front left"},
    {"C0034", ONE, 1, "wheel speed sensor, front right"},
    {"C0037", ONE, 1, "wheel speed sensor, rear left"},
    {"C003A", ONE, 1, "wheel speed sensor, rear right"},
    {"C0040", ONE, 1, "brake pedal switch A"},
    {"C0051", ONE, 1, "steering wheel position sensor"},
    {"P0001", CIRCUIT4, 4, "fuel volume regulator control"},
    {"P0005", OPEN_LOW_HIGH, 3, "fuel shut-off valve control"},
    {"P0010", CAM3, 3, "intake camshaft, bank 1:"},
    {"P0013", CAM3, 3, "exhaust camshaft, bank 1:"},
    {"P0016", ONE, 1, "crankshaft and camshaft do not agree: bank 1, sensor A"},
    {"P0017", ONE, 1, "crankshaft and camshaft do not agree: bank 1, sensor B"},
    {"P0018", ONE, 1, "crankshaft and camshaft do not agree: bank 2, sensor A"},
    {"P0019", ONE, 1, "crankshaft and camshaft do not agree: bank 2, sensor B"},
    {"P0020", CAM3, 3, "intake camshaft, bank 2:"},
    {"P0023", CAM3, 3, "exhaust camshaft, bank 2:"},
    {"P0030", HEATER3, 3, "oxygen sensor, bank 1 sensor 1:"},
    {"P0036", HEATER3, 3, "oxygen sensor, bank 1 sensor 2:"},
    {"P0042", HEATER3, 3, "oxygen sensor, bank 1 sensor 3:"},
    {"P0050", HEATER3, 3, "oxygen sensor, bank 2 sensor 1:"},
    {"P0056", HEATER3, 3, "oxygen sensor, bank 2 sensor 2:"},
    {"P0068", ONE, 1, "manifold pressure or air mass does not agree with the throttle position"},
    {"P0069", ONE, 1, "manifold pressure does not agree with barometric pressure"},
    {"P0070", CIRCUIT5, 5, "ambient air temperature sensor"},
    {"P0087", ONE, 1, "fuel rail pressure too low"},
    {"P0088", ONE, 1, "fuel rail pressure too high"},
    {"P0089", ONE, 1, "fuel pressure regulator 1: performance"},
    {"P0090", OPEN_LOW_HIGH, 3, "fuel pressure regulator 1 control"},
    {"P0095", CIRCUIT5, 5, "intake air temperature sensor 2"},
    {"P0100", CIRCUIT5, 5, "air mass or volume sensor A"},
    {"P0105", CIRCUIT5, 5, "manifold or barometric pressure sensor"},
    {"P0110", CIRCUIT5, 5, "intake air temperature sensor 1"},
    {"P0115", CIRCUIT5, 5, "engine coolant temperature sensor 1"},
    {"P0120", CIRCUIT5, 5, "throttle or pedal position sensor A"},
    {"P0125", ONE, 1, "coolant too cold for closed-loop fuel control"},
    {"P0126", ONE, 1, "coolant too cold for stable operation"},
    {"P0127", ONE, 1, "intake air too hot"},
    {"P0128", ONE, 1, "coolant stays below the thermostat's temperature"},
    {"P0130", OXYGEN6, 6, "oxygen sensor, bank 1 sensor 1:"},
    {"P0136", OXYGEN6, 6, "oxygen sensor, bank 1 sensor 2:"},
    {"P0142", OXYGEN6, 6, "oxygen sensor, bank 1 sensor 3:"},
    {"P0150", OXYGEN6, 6, "oxygen sensor, bank 2 sensor 1:"},
    {"P0156", OXYGEN6, 6, "oxygen sensor, bank 2 sensor 2:"},
    {"P0162", OXYGEN6, 6, "oxygen sensor, bank 2 sensor 3:"},
    {"P0170", TRIM, 3, "bank 1:"},
    {"P0173", TRIM, 3, "bank 2:"},
    {"P0180", CIRCUIT5, 5, "fuel temperature sensor A"},
    {"P0185", CIRCUIT5, 5, "fuel temperature sensor B"},
    {"P0190", CIRCUIT5, 5, "fuel rail pressure sensor"},
    {"P0195", CIRCUIT5, 5, "engine oil temperature sensor"},
    {"P0200", ONE, 1, "injector circuit"},
    {"P0201", CYLINDERS, 12, "injector circuit, cylinder"},
    {"P0217", ONE, 1, "engine too hot"},
    {"P0218", ONE, 1, "transmission too hot"},
    {"P0219", ONE, 1, "engine overspeed"},
    {"P0220", CIRCUIT5, 5, "throttle or pedal position sensor B"},
    {"P0225", CIRCUIT5, 5, "throttle or pedal position sensor C"},
    {"P0230", ONE, 1, "fuel pump primary circuit"},
    {"P0234", ONE, 1, "turbocharger or supercharger: boost too high"},
    {"P0235", CIRCUIT5, 4, "boost pressure sensor A"},
    {"P0243", ONE, 1, "wastegate solenoid A"},
    {"P0261", INJECTOR_DRIVER, 36, "cylinder"},
    {"P0299", ONE, 1, "turbocharger or supercharger: boost too low"},
    {"P0300", ONE, 1, "misfire in changing or several cylinders"},
    {"P0301", CYLINDERS, 12, "misfire, cylinder"},
    {"P0313", ONE, 1, "misfire with little fuel in the tank"},
    {"P0325", CIRCUIT5, 5, "knock sensor 1"},
    {"P0330", CIRCUIT5, 5, "knock sensor 2"},
    {"P0335", CIRCUIT5, 5, "crankshaft position sensor A"},
    {"P0340", CIRCUIT5, 5, "camshaft position sensor A, bank 1"},
    {"P0345", CIRCUIT5, 5, "camshaft position sensor A, bank 2"},
    {"P0350", ONE, 1, "ignition coil: primary or secondary circuit"},
    {"P0351", COILS, 12, "ignition coil"},
    {"P0365", CIRCUIT5, 5, "camshaft position sensor B, bank 1"},
    {"P0380", ONE, 1, "glow plug or heater circuit A"},
    {"P0400", ONE, 1, "exhaust gas recirculation: flow"},
    {"P0401", ONE, 1, "exhaust gas recirculation: too little flow"},
    {"P0402", ONE, 1, "exhaust gas recirculation: too much flow"},
    {"P0403", ONE, 1, "exhaust gas recirculation: control circuit"},
    {"P0404", ONE, 1, "exhaust gas recirculation: out of range or implausible"},
    {"P0405", LOW_HIGH, 2, "exhaust gas recirculation sensor A"},
    {"P0407", LOW_HIGH, 2, "exhaust gas recirculation sensor B"},
    {"P0410", ONE, 1, "secondary air injection"},
    {"P0411", ONE, 1, "secondary air injection: wrong flow"},
    {"P0420", ONE, 1, "catalyst works too little, bank 1"},
    {"P0421", ONE, 1, "warm-up catalyst works too little, bank 1"},
    {"P0430", ONE, 1, "catalyst works too little, bank 2"},
    {"P0440", ONE, 1, "fuel vapour system"},
    {"P0441", ONE, 1, "fuel vapour system: wrong purge flow"},
    {"P0442", ONE, 1, "fuel vapour system: small leak"},
    {"P0443", ONE, 1, "fuel vapour system: purge valve circuit"},
    {"P0446", ONE, 1, "fuel vapour system: vent control circuit"},
    {"P0450", CIRCUIT5, 5, "fuel vapour pressure sensor"},
    {"P0455", ONE, 1, "fuel vapour system: large leak"},
    {"P0456", ONE, 1, "fuel vapour system: very small leak"},
    {"P0457", ONE, 1, "fuel vapour system: leak, filler cap loose or off"},
    {"P0460", CIRCUIT5, 5, "fuel level sensor A"},
    {"P0480", FANS, 3, "cooling fan control circuit"},
    {"P0496", ONE, 1, "fuel vapour system: too much purge flow"},
    {"P0500", ONE, 1, "vehicle speed sensor A"},
    {"P0501", ONE, 1, "vehicle speed sensor A: out of range or implausible"},
    {"P0505", ONE, 1, "idle control"},
    {"P0506", ONE, 1, "idle control: engine speed lower than asked"},
    {"P0507", ONE, 1, "idle control: engine speed higher than asked"},
    {"P0520", CIRCUIT5, 4, "engine oil pressure sensor or switch"},
    {"P0524", ONE, 1, "engine oil pressure too low"},
    {"P0530", CIRCUIT5, 4, "air conditioning refrigerant pressure sensor A"},
    {"P0560", ONE, 1, "system voltage"},
    {"P0561", ONE, 1, "system voltage unstable"},
    {"P0562", ONE, 1, "system voltage low"},
    {"P0563", ONE, 1, "system voltage high"},
    {"P0600", ONE, 1, "serial communication link"},
    {"P0601", ONE, 1, "control module: memory checksum"},
    {"P0602", ONE, 1, "control module: programming"},
    {"P0603", ONE, 1, "control module: keep-alive memory"},
    {"P0604", ONE, 1, "control module: random access memory"},
    {"P0605", ONE, 1, "control module: read-only memory"},
    {"P0606", ONE, 1, "control module: processor"},
    {"P0607", ONE, 1, "control module: performance"},
    {"P0620", ONE, 1, "generator control circuit"},
    {"P0627", OPEN_LOW_HIGH, 3, "fuel pump A control"},
    {"P0641", ONE, 1, "sensor reference voltage A: open"},
    {"P0642", ONE, 1, "sensor reference voltage A: low"},
    {"P0643", ONE, 1, "sensor reference voltage A: high"},
    {"P0650", ONE, 1, "malfunction indicator lamp control circuit"},
    {"P0651", ONE, 1, "sensor reference voltage B: open"},
    {"P0652", ONE, 1, "sensor reference voltage B: low"},
    {"P0653", ONE, 1, "sensor reference voltage B: high"},
    {"P0700", ONE, 1, "transmission control system"},
    {"P0705", CIRCUIT5, 5, "transmission range sensor A"},
    {"P0710", CIRCUIT5, 5, "transmission fluid temperature sensor A"},
    {"P0715", SHAFT3, 3, "input or turbine speed sensor A"},
    {"P0720", SHAFT3, 3, "output speed sensor"},
    {"P0730", ONE, 1, "wrong gear ratio"},
    {"P0731", GEARS, 6, "wrong ratio in gear"},
    {"P0740", ONE, 1, "torque converter clutch circuit open"},
    {"P0741", ONE, 1, "torque converter clutch: performance or stuck off"},
    {"P0742", ONE, 1, "torque converter clutch: stuck on"},
    {"P0743", ONE, 1, "torque converter clutch: electrical"},
    {"P0744", ONE, 1, "torque converter clutch: intermittent"},
    {"P0745", SHIFT5, 5, "pressure control solenoid A"},
    {"P0750", SHIFT5, 5, "shift solenoid A"},
    {"P0755", SHIFT5, 5, "shift solenoid B"},
    {"P0760", SHIFT5, 5, "shift solenoid C"},
    {"P0765", SHIFT5, 5, "shift solenoid D"},
    {"P0770", SHIFT5, 5, "shift solenoid E"},
    {"P0A0F", ONE, 1, "engine did not start"},
    {"P0A1B", ONE, 1, "drive motor A control module"},
    {"P0A1F", ONE, 1, "battery energy control module"},
    {"P0A7F", ONE, 1, "hybrid battery pack worn"},
    {"P0A80", ONE, 1, "hybrid battery pack is to be replaced"},
    {"P0A94", ONE, 1, "DC/DC converter: performance"},
    {"P0AA6", ONE, 1, "high voltage system: isolation"},
    {"P2002", ONE, 1, "particulate filter works too little, bank 1"},
    {"P2096", ONE, 1, "mixture behind the catalyst too lean, bank 1"},
    {"P2097", ONE, 1, "mixture behind the catalyst too rich, bank 1"},
    {"P2100", ONE, 1, "throttle actuator motor circuit open"},
    {"P2101", ONE, 1, "throttle actuator motor circuit: out of range or implausible"},
    {"P2111", ONE, 1, "throttle actuator: stuck open"},
    {"P2112", ONE, 1, "throttle actuator: stuck closed"},
    {"P2122", LOW_HIGH, 2, "throttle or pedal position sensor D"},
    {"P2127", LOW_HIGH, 2, "throttle or pedal position sensor E"},
    {"P2135", ONE, 1, "throttle or pedal position sensors A and B do not agree"},
    {"P2138", ONE, 1, "throttle or pedal position sensors D and E do not agree"},
    {"P2181", ONE, 1, "cooling system: performance"},
    {"P2187", ONE, 1, "mixture too lean at idle, bank 1"},
    {"P2188", ONE, 1, "mixture too rich at idle, bank 1"},
    {"P2195", ONE, 1, "oxygen sensor stuck lean, bank 1 sensor 1"},
    {"P2196", ONE, 1, "oxygen sensor stuck rich, bank 1 sensor 1"},
    {"P2262", ONE, 1, "turbocharger: boost pressure not detected"},
    {"P2263", ONE, 1, "turbocharger: boost performance"},
    {"P2452", ONE, 1, "particulate filter pressure sensor A circuit"},
    {"P2463", ONE, 1, "particulate filter: soot"},
    {"U0001", ONE, 1, "high speed CAN bus"},
    {"U0073", ONE, 1, "control module communication bus A off"},
    {"U0100", ONE, 1, "no communication with the engine control module A"},
    {"U0101", ONE, 1, "no communication with the transmission control module"},
    {"U0121", ONE, 1, "no communication with the brake control module"},
    {"U0126", ONE, 1, "no communication with the steering angle sensor"},
    {"U0131", ONE, 1, "no communication with the power steering control module"},
    {"U0140", ONE, 1, "no communication with the body control module"},
    {"U0151", ONE, 1, "no communication with the restraints control module"},
    {"U0155", ONE, 1, "no communication with the instrument cluster"},
    {"U0293", ONE, 1, "no communication with the hybrid powertrain control module"},
    {"U0401", ONE, 1, "invalid data from the engine control module A"},
    {"U0402", ONE, 1, "invalid data from the transmission control module"},
    {"U0415", ONE, 1, "invalid data from the brake control module"},
    {"U0422", ONE, 1, "invalid data from the body control module"},
    {"U0423", ONE, 1, "invalid data from the instrument cluster"},
};
enum { FAMILIES = sizeof families / sizeof families[0] };

/* The third byte of UDS: how it fails (ISO 15031-6). */
static const struct {
  uint8_t type;
  const char *text;
} failures[] = {
    {0x01, "general electrical failure"}, {0x02, "general signal failure"}, {0x04, "internal failure"}, {0x07, "mechanical failure"}, {0x08, "bus signal or message failure"},
    {0x11, "short to ground"}, {0x12, "short to battery"}, {0x13, "open circuit"}, {0x14, "short to ground or open"}, {0x15, "short to battery or open"},
    {0x16, "voltage too low"}, {0x17, "voltage too high"}, {0x18, "current too low"}, {0x19, "current too high"}, {0x1C, "voltage out of range"}, {0x1D, "current out of range"},
    {0x21, "amplitude too low"}, {0x22, "amplitude too high"}, {0x23, "stuck low"}, {0x24, "stuck high"}, {0x29, "signal invalid"}, {0x2F, "signal erratic"},
    {0x31, "no signal"}, {0x38, "frequency wrong"}, {0x41, "checksum wrong"}, {0x42, "memory failure"}, {0x44, "data memory failure"}, {0x45, "program memory failure"},
    {0x46, "calibration memory failure"}, {0x47, "watchdog failure"}, {0x49, "internal electronic failure"}, {0x4A, "wrong component"}, {0x4B, "too hot"},
    {0x51, "not programmed"}, {0x54, "calibration missing"}, {0x55, "not configured"}, {0x62, "signals do not agree"}, {0x64, "signal implausible"},
    {0x71, "actuator stuck"}, {0x72, "stuck open"}, {0x73, "stuck closed"}, {0x81, "invalid data received"}, {0x82, "sequence counter wrong"},
    {0x83, "protection value wrong"}, {0x84, "below the allowed range"}, {0x85, "above the allowed range"}, {0x86, "signal invalid"}, {0x87, "message missing"},
    {0x88, "bus off"}, {0x92, "works wrongly"}, {0x93, "does not work"}, {0x96, "internal failure of the component"}, {0x97, "obstructed or blocked"}, {0x98, "too hot"},
};

static const char *const powertrain[] = {"fuel and air metering, auxiliary emission controls", "fuel and air metering", "fuel and air metering, injectors", "ignition or misfire",
                                         "auxiliary emission controls", "vehicle speed, idle control, auxiliary inputs", "control module and outputs", "transmission", "transmission",
                                         "transmission", "hybrid drive", "hybrid drive", "hybrid drive"};

const char *mc_dtc_system(const char *code)
{
  return code[0] == 'P' ? "powertrain" : code[0] == 'C' ? "chassis" : code[0] == 'B' ? "body" : "network";
}

/* Second character: 0 is the standard's; 2 too in P; 3 in P from P34 on, and in U. */
bool mc_dtc_generic(const char *code)
{
  if (code[1] == '0')
    return true;
  if (code[0] == 'P')
    return code[1] == '2' || (code[1] == '3' && code[2] >= '4');
  return code[0] == 'U' && code[1] == '3';
}

/* The number behind the letter, so that families can be counted through: hexadecimal order, decimal steps where the standard has them. */
static unsigned number_of(const char *code)
{
  char digits[5];
  snprintf(digits, sizeof digits, "%.4s", code + 1);
  return (unsigned)strtoul(digits, NULL, 16);
}

/* P0209 is followed by P0210: the standard counts these in decimal. */
static unsigned decimal_of(const char *code)
{
  char digits[5];
  snprintf(digits, sizeof digits, "%.4s", code + 1);
  return (unsigned)strtoul(digits, NULL, 10);
}

static bool only_decimal(const char *code)
{
  for (int i = 1; i < 5; i++)
    if (code[i] < '0' || code[i] > '9')
      return false;
  return true;
}

static const family *find_family(const char *code, unsigned *step)
{
  for (size_t i = 0; i < FAMILIES; i++) {
    const family *f = &families[i];
    if (f->code[0] != code[0])
      continue;
    bool decimal = only_decimal(code) && only_decimal(f->code);
    unsigned at = decimal ? decimal_of(code) : number_of(code), from = decimal ? decimal_of(f->code) : number_of(f->code);
    if (at < from || at - from >= (decimal ? f->count : 1u))
      continue;
    *step = at - from;
    return f;
  }
  return NULL;
}

static mc_err describe_member(const family *f, unsigned step, mc_buf *out)
{
  static const char *const *const texts[] = {[CIRCUIT5] = circuit5, [CIRCUIT4] = circuit4, [OPEN_LOW_HIGH] = open_low_high, [HEATER3] = heater3, [OXYGEN6] = oxygen6,
                                             [CAM3] = cam3, [LOW_HIGH] = low_high, [TRIM] = trim, [SHAFT3] = shaft3};
  switch (f->endings) {
  case ONE:
    return mc_buf_append_str(out, f->what);
  case CYLINDERS:
  case GEARS:
  case FANS:
    return mc_buf_printf(out, "%s %u", f->what, step + 1);
  case COILS:
    return mc_buf_printf(out, "%s %c: primary or secondary circuit", f->what, 'A' + (char)step);
  case INJECTOR_DRIVER:
    return mc_buf_printf(out, "%s %u: %s", f->what, step / 3 + 1, injector3[step % 3]);
  case SHIFT5:
    return mc_buf_printf(out, "%s%s", f->what, shift5[step]);
  default:
    return mc_buf_printf(out, "%s %s", f->what, texts[f->endings][step]);
  }
}

static mc_err describe_area(const char *code, mc_buf *out)
{
  if (!mc_dtc_generic(code))
    return mc_buf_printf(out, "%s: the manufacturer's own code", mc_dtc_system(code));
  unsigned area = code[2] <= '9' ? (unsigned)(code[2] - '0') : (unsigned)(code[2] - 'A') + 10;
  if (code[0] == 'P' && area < sizeof powertrain / sizeof powertrain[0])
    return mc_buf_printf(out, "powertrain: %s", powertrain[area]);
  return mc_buf_append_str(out, code[0] == 'U' ? "network: communication between control modules" : mc_dtc_system(code));
}

mc_err mc_dtc_describe(const char *code, mc_buf *out)
{
  unsigned step = 0;
  const family *f = find_family(code, &step);
  MC_TRY(f ? describe_member(f, step, out) : describe_area(code, out));
  if (strlen(code) < 8)
    return MC_OK;
  unsigned type = (unsigned)strtoul(code + 6, NULL, 16);
  for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
    if (failures[i].type == type)
      return mc_buf_printf(out, "; %s", failures[i].text);
  return MC_OK;
}
