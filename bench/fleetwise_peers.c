/* What `motorcade bench fleetwise` measures itself against: the protobuf library (upb, by its Python face) and cantools, where a Python of this machine has them. */
#include <stdio.h>

#include "bench/fleetwise_peers.h"

/* Code goes to the shell between single quotes, so it holds none. The printed number of the first Python that can; 0: none can. */
static double ask_python(const char *code, const char *argument)
{
  static const char *const python[] = {"/usr/bin/python3", "python3"};
  char command[4000];
  double value = 0;
  for (int i = 0; i < 2 && value <= 0; i++) {
    snprintf(command, sizeof command, "%s -c '%s' '%s' 2>/dev/null", python[i], code, argument);
    FILE *f = popen(command, "r");
    if (f && fscanf(f, "%lf", &value) != 1)
      value = 0;
    if (f)
      pclose(f);
  }
  return value;
}

static mc_err write_file(const char *path, const uint8_t *bytes, size_t len)
{
  FILE *f = fopen(path, "wb");
  bool whole = f && fwrite(bytes, 1, len, f) == len;
  return f && !fclose(f) && whole ? MC_OK : MC_ERR_IO;
}

/* Parsing alone, of the same messages: no look-ups, nothing is made of the samples. Messages lie one behind the other, each behind its length in four bytes. */
double bench_upb_samples_per_s(const bench_options *o, const mc_buf *framed)
{
  static const char code[] = "import sys, struct, time\n"
                             "from google.protobuf import descriptor_pb2, descriptor_pool, message_factory\n"
                             "from google.protobuf.internal import api_implementation\n"
                             "assert api_implementation.Type() == \"upb\"\n"
                             "F = descriptor_pb2.FieldDescriptorProto\n"
                             "f = descriptor_pb2.FileDescriptorProto(name=\"v.proto\", package=\"v\", syntax=\"proto3\")\n"
                             "def message(name, fields):\n"
                             "  m = f.message_type.add(name=name)\n"
                             "  for number, kind, label, of in fields:\n"
                             "    m.field.add(name=\"f%d\" % number, number=number, type=kind, label=label, type_name=of)\n"
                             "message(\"S\", [(1, F.TYPE_SINT64, 1, None), (2, F.TYPE_UINT32, 1, None), (3, F.TYPE_DOUBLE, 1, None), (4, F.TYPE_STRING, 1, None)])\n"
                             "message(\"D\", [(1, F.TYPE_STRING, 1, None), (2, F.TYPE_STRING, 1, None), (3, F.TYPE_UINT32, 1, None), (4, F.TYPE_UINT64, 1, None), (5, F.TYPE_MESSAGE, 3, \".v.S\")])\n"
                             "pool = descriptor_pool.DescriptorPool()\n"
                             "pool.Add(f)\n"
                             "D = message_factory.GetMessageClass(pool.FindMessageTypeByName(\"v.D\"))\n"
                             "data, at, parts = open(sys.argv[1], \"rb\").read(), 0, []\n"
                             "while at < len(data):\n"
                             "  n = struct.unpack_from(\"<I\", data, at)[0]\n"
                             "  parts.append(data[at + 4:at + 4 + n])\n"
                             "  at += 4 + n\n"
                             "rates = []\n"
                             "for _ in range(5):\n"
                             "  samples, began = 0, time.process_time()\n"
                             "  for p in parts:\n"
                             "    samples += len(D.FromString(p).f5)\n"
                             "  rates.append(samples / (time.process_time() - began))\n"
                             "print(sorted(rates)[2])\n";
  char path[600];
  snprintf(path, sizeof path, "%s/messages", o->dir);
  return write_file(path, framed->data, framed->len) ? 0 : ask_python(code, path);
}

/* From the text of a DBC to its messages in memory: what cantools does before one could make a catalog of it. */
double bench_cantools_seconds(const bench_options *o, mc_slice dbc)
{
  static const char code[] = "import sys, time, cantools\n"
                             "text, times = open(sys.argv[1]).read(), []\n"
                             "for _ in range(3):\n"
                             "  began = time.perf_counter()\n"
                             "  assert len(cantools.database.load_string(text, \"dbc\").messages) > 0\n"
                             "  times.append(time.perf_counter() - began)\n"
                             "print(sorted(times)[1])\n";
  char path[600];
  snprintf(path, sizeof path, "%s/peer.dbc", o->dir);
  return write_file(path, dbc.data, dbc.len) ? 0 : ask_python(code, path);
}
