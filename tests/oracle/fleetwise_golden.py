#!/usr/bin/env python3
"""Makes tests/format/golden/fleetwise.txt: what protobuf itself writes for the FleetWise messages that the contract has no vectors for.

usage: fleetwise_golden.py > tests/format/golden/fleetwise.txt     (needs the Python package protobuf)

The schemas stand here as contract fleetwise, section 5, lists them. One line a message: name, hex.
"""
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

F = descriptor_pb2.FieldDescriptorProto
SCALAR = {'u32': F.TYPE_UINT32, 'u64': F.TYPE_UINT64, 'i64': F.TYPE_INT64, 's64': F.TYPE_SINT64, 'f64': F.TYPE_DOUBLE, 'str': F.TYPE_STRING, 'bool': F.TYPE_BOOL}
# name: "tag type name", a * before the type: repeated, a | before it: member of the message's oneof
SCHEMA = {
    'Path': ['1 *u32 path'],
    'PathInSignal': ['1 u32 signal_id', '2 Path signal_path'],
    'Window': ['1 |u32 signal_id', '2 u32 window_type', '3 |PathInSignal path'],
    'Custom': ['1 str name', '2 *Node params'],
    'IsNull': ['1 Node expression'],
    'Function': ['1 |Window window', '3 |Custom custom', '4 |IsNull is_null'],
    'Operator': ['1 Node left', '2 Node right', '3 u32 op'],
    'Node': ['1 |Operator operator', '2 |Function function', '3 |f64 number', '4 |u32 signal', '5 |bool boolean', '6 |PathInSignal path', '7 |str text'],
    'OBD': ['1 u32 signal_id', '2 str interface_id', '3 u32 response_length', '4 u32 service_mode', '5 u32 pid', '6 f64 scaling', '7 f64 offset',
            '8 u32 start_byte', '9 u32 byte_length', '10 u32 shift', '11 u32 mask', '12 u32 type', '13 u32 value_type', '14 bool is_signed'],
    'Primitive': ['1 u32 type', '2 f64 scaling', '3 f64 offset'],
    'Member': ['1 u32 type_id'],
    'Struct': ['1 *Member members'],
    'Array': ['1 i64 size', '2 u32 type_id'],
    'String': ['1 u32 encoding', '2 i64 size'],
    'ComplexType': ['1 u32 type_id', '2 |Primitive primitive', '3 |Struct struct', '4 |Array array', '5 |String string'],
    'ComplexSignal': ['1 u32 signal_id', '2 str interface_id', '3 str message_id', '4 u32 root'],
    'Manifest': ['1 str sync_id', '3 *OBD obd', '4 *ComplexType types', '5 *ComplexSignal complex'],
    'Info': ['1 u32 signal_id', '2 u32 buffer', '6 Path path', '7 u32 partition'],
    'TimeFetch': ['1 u64 max', '2 u64 frequency', '3 u64 reset'],
    'ConditionFetch': ['1 Node condition', '2 u32 mode'],
    'Fetch': ['1 u32 signal_id', '2 |TimeFetch time', '3 |ConditionFetch condition', '4 u32 version', '5 *Node actions'],
    'S3': ['1 str bucket', '2 str prefix', '3 str region', '4 str owner'],
    'Storage': ['1 u64 size', '2 str location', '3 u32 ttl'],
    'Upload': ['1 Node condition'],
    'Partition': ['1 Storage storage', '2 Upload upload'],
    'Forward': ['1 *Partition partitions'],
    'TimeBased': ['1 u32 period'],
    'Scheme': ['1 str id', '2 str manifest', '5 TimeBased time', '9 *Info signals', '16 S3 s3', '17 Forward forward', '18 *Fetch fetch', '19 str arn'],
    'Schemes': ['1 *Scheme schemes', '2 u64 time'],
    'Captured': ['1 s64 relative', '2 |u32 signal', '10 |PathInSignal path', '3 f64 value', '4 str text'],
    'Object': ['1 str key', '2 u32 format'],
    'VehicleData': ['1 str campaign', '4 u64 time', '5 *Captured signals', '9 *Object objects'],
}


def build():
    file = descriptor_pb2.FileDescriptorProto(name='fw.proto', package='fw', syntax='proto3')
    for name, fields in SCHEMA.items():
        m = file.message_type.add(name=name)
        if any('|' in f for f in fields):
            m.oneof_decl.add(name='one')
        for text in fields:
            tag, kind, field = text.split()
            f = m.field.add(name=field, number=int(tag), label=F.LABEL_REPEATED if '*' in kind else F.LABEL_OPTIONAL)
            if '|' in kind:
                f.oneof_index = 0
            kind = kind.strip('*|')
            if kind in SCALAR:
                f.type = SCALAR[kind]
            else:
                f.type, f.type_name = F.TYPE_MESSAGE, '.fw.' + kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {n: message_factory.GetMessageClass(pool.FindMessageTypeByName('fw.' + n)) for n in SCHEMA}


M = build()


def show(name, message):
    print(name, message.SerializeToString(deterministic=True).hex())


signal = lambda i: M['Node'](signal=i)
call = lambda name, *params: M['Node'](function=M['Function'](custom=M['Custom'](name=name, params=list(params))))
more = lambda a, b: M['Node'](operator=M['Operator'](left=a, right=b, op=1))
show('manifest_obd', M['Manifest'](sync_id='dm1', obd=[
    M['OBD'](signal_id=3, interface_id='obd', response_length=2, service_mode=1, pid=0x0C, scaling=0.25, start_byte=0, byte_length=2, mask=8, type=11),
    M['OBD'](signal_id=4, interface_id='obd', response_length=1, service_mode=1, pid=0x05, scaling=1, offset=-40, byte_length=1, shift=1, mask=3, type=8, is_signed=True)]))
show('manifest_complex', M['Manifest'](sync_id='dm2', types=[
    M['ComplexType'](type_id=1, primitive=M['Primitive'](type=10, scaling=0.5, offset=2)),
    M['ComplexType'](type_id=2, array=M['Array'](size=-100, type_id=1)),
    M['ComplexType'](type_id=3, string=M['String'](encoding=1, size=16)),
    M['ComplexType'](type_id=4, struct=M['Struct'](members=[M['Member'](type_id=2), M['Member'](type_id=3)])),
    M['ComplexType'](type_id=5, struct=M['Struct']())],
    complex=[M['ComplexSignal'](signal_id=9, interface_id='ros', message_id='/lidar:sensor_msgs/msg/PointCloud2', root=4)]))
show('schemes_all', M['Schemes'](time=1700000000000, schemes=[M['Scheme'](
    id='c1', manifest='dm1', time=M['TimeBased'](period=1000), arn='arn:aws:iotfleetwise:local:000000000000:campaign/c1',
    signals=[M['Info'](signal_id=1, buffer=10), M['Info'](signal_id=9, buffer=2, path=M['Path'](path=[0, 300, 2]), partition=1)],
    s3=M['S3'](bucket='b', prefix='p/', region='local', owner='000000000000'),
    forward=M['Forward'](partitions=[
        M['Partition'](storage=M['Storage'](size=1 << 33, location='/var/a', ttl=86400)),
        M['Partition'](storage=M['Storage'](size=16384, location='b'), upload=M['Upload'](condition=more(signal(1), M['Node'](number=0))))]),
    fetch=[M['Fetch'](signal_id=7, time=M['TimeFetch'](max=3, frequency=5000, reset=60000), version=1,
                      actions=[call('DTC_QUERY', M['Node'](number=-1), M['Node'](number=2), M['Node'](number=-1))]),
           M['Fetch'](signal_id=7, condition=M['ConditionFetch'](condition=more(signal(1), M['Node'](number=50)), mode=1), version=1,
                      actions=[call('a', M['Node'](text='x')), call('b', M['Node'](boolean=False))])])]))
show('data_paths', M['VehicleData'](campaign='c1', time=1700000000000, signals=[
    M['Captured'](relative=-5, path=M['PathInSignal'](signal_id=9, signal_path=M['Path'](path=[0, 300])), value=1.5),
    M['Captured'](signal=1, value=2),
    M['Captured'](relative=7, path=M['PathInSignal'](signal_id=9), text='name')],
    objects=[M['Object'](key='raw/1-1700000000000.10n', format=1), M['Object'](key='raw/2')]))
