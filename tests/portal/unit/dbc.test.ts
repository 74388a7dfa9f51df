import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readDbc, signalsOf } from '../../../portal/src/pages/import/dbc'

const file = String.raw`VERSION "1"
NS_ :
    CM_
    BA_
    VAL_
BS_:
BU_: ECU1 ECU2
BO_ 2364540158 EEC1: 8 ECU1
 SG_ EngSpd : 24|16@1+ (0.125,0) [0|8031.875] "rpm" ECU2
 SG_ Torq_Mode : 0|4@1+ (1,0) [0|15] ""  ECU2
BO_ 100 Body: 8 ECU1
 SG_ Mux M : 0|8@1+ (1,0) [0|0] "" ECU2
 SG_ Door_FL m1 : 8|1@1+ (1,0) [0|1] "" ECU2
 SG_ Temp m2M : 16|8@0- (1,-40) [-40|87] "°C" ECU2
BO_ 3221225472 VECTOR__INDEPENDENT_SIG_MSG: 0 Vector__XXX
 SG_ Lost : 0|8@1+ (1,0) [0|0] "" Vector__XXX
CM_ SG_ 2364540158 EngSpd "Speed of the \"engine\";
 SG_ Fake : 0|8@1+ over two lines";
CM_ "BO_ 7 NotAMessage: 8 X";
BA_DEF_ SG_ "GenSigStartValue" FLOAT 0 100;
BA_DEF_ BO_ "GenMsgCycleTime" INT 0 1000;
BA_ "GenSigStartValue" SG_ 100 Mux 0;
BA_ "GenMsgCycleTime" BO_ 100 20;
SIG_GROUP_ 100 Group 1 : Mux Door_FL;
VAL_ 100 Door_FL 0 "closed" 1 "open" ;
BA_ "SystemSignalLongSymbol" SG_ 100 Temp "OutsideAirTemperatureOfTheWholeVehicle";
BA_ "SystemMessageLongSymbol" BO_ 100 "BodyControllerStatus";
`

test('messages, signals, ranges, comments and value names are found, whatever stands in texts', () => {
  const found = readDbc(file)
  assert.deepEqual(found.passed, [])
  assert.deepEqual(found.messages.map((m) => [m.name, m.id, m.extended, m.signals.length]), [['EEC1', 217056510, true, 2], ['BodyControllerStatus', 100, false, 3]])
  const speed = found.messages[0]?.signals[0]
  assert.deepEqual([speed?.source, speed?.unit, speed?.min, speed?.max, speed?.length, speed?.signed], ['EEC1.EngSpd', 'rpm', 0, 8031.875, 16, false])
  assert.match(speed?.comment ?? '', /^Speed of the "engine";\n SG_ Fake/)
})

test('a range of nothing is no range; a multiplexed signal is told from its switch', () => {
  const [mux, door, temp] = readDbc(file).messages[1]?.signals ?? []
  assert.deepEqual([mux?.min, mux?.max, mux?.multiplexed], [undefined, undefined, false])
  assert.deepEqual([door?.multiplexed, door?.values], [true, [[0, 'closed'], [1, 'open']]])
  assert.deepEqual([temp?.multiplexed, temp?.signed, temp?.min], [true, true, -40])
})

test('long names stand for the short ones, as on the server', () => {
  assert.equal(readDbc(file).messages[1]?.signals[2]?.source, 'BodyControllerStatus.OutsideAirTemperatureOfTheWholeVehicle')
})

test('what cannot be read is told with its line and does not stop the rest', () => {
  const found = readDbc('BO_ abc Broken: 8 X\n SG_ A : 0|8@1+ (1,0) [0|1] "" X\nBO_ 5 Good: 8 X\n SG_ B 0|8\n SG_ C : 8|8@1+ (1,0) [0|1] "V" X\nBO_ 5 Twin: 8 X\n')
  assert.deepEqual(found.passed, [{ line: 1, text: 'BO_' }, { line: 4, text: 'SG_ B' }, { line: 6, text: 'Twin' }])
  assert.deepEqual(signalsOf(found).map((s) => s.source), ['Good.C'])
})

test('text that is no DBC has no signals, and an open quotation mark ends nothing early', () => {
  assert.deepEqual(signalsOf(readDbc('{"not": "a dbc"}')), [])
  assert.deepEqual(signalsOf(readDbc('')), [])
  assert.deepEqual(signalsOf(readDbc('BO_ 1 M: 8 X\n SG_ A : 0|8@1+ (1,0) [0|1] "km/h" X\nCM_ SG_ 1 A "open')).map((s) => [s.source, s.unit]), [['M.A', 'km/h']])
})

test('messages of one name under two ids give their signal once', () => {
  const text = 'BO_ 1 M: 8 X\n SG_ A : 0|8@1+ (1,0) [0|1] "" X\nBO_ 2 M: 8 X\n SG_ A : 0|8@1+ (1,0) [0|1] "" X\n'
  assert.deepEqual(signalsOf(readDbc(text)).map((s) => s.source), ['M.A'])
})
