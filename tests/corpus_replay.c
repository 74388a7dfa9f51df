/* Runs a fuzz target over files named on the command line: the seed corpus as an ordinary test. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
  if (argc < 2) {
    printf("not ok 1 - no seeds: put small files into tests/<module>/corpus/<target>/\n1..1\n");
    return 1;
  }
  for (int i = 1; i < argc; i++) {
    FILE *f = fopen(argv[i], "rb");
    if (!f) {
      printf("not ok %d - corpus %s: cannot open\n", i, argv[i]);
      return 1;
    }
    static uint8_t bytes[1 << 22];
    size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    uint8_t *exact = malloc(n ? n : 1); /* so that the sanitizer sees the end */
    if (!exact)
      return 1;
    for (size_t k = 0; k < n; k++)
      exact[k] = bytes[k];
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
  }
  printf("ok 1 - corpus of %d files\n1..1\n", argc - 1);
  return 0;
}
