/*
 * Makes reed-solomon.json with Intel ISA-L (Debian package libisal-dev, 2.30), which shares no code with this project:
 *   gcc -O2 test/vectors/reed-solomon.generate.c -lisal -o generate && ./generate > test/vectors/reed-solomon.json
 * Data: the top bytes of x -> 1664525 x + 1013904223 from x = k + 256 m, split as klauspost's Split does: shards of
 * ceil(length / k), zeros at the end. cauchy1 is gf_gen_cauchy1_matrix itself; vandermonde is Backblaze's construction
 * (V times the inverse of its top square, V[r][c] = r^c) in ISA-L's field arithmetic. lrc: a sum for each of l groups, then with up to two
 * others the powers of 2^(g + 17 i) for data shard i of group g, with more the parity rows of gf_gen_cauchy1_matrix; there m counts all
 * parity shards. Parity by ec_encode_data.
 */
#include <isa-l.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned char power(unsigned char a, int exponent) {
  unsigned char result = 1;
  while (exponent-- > 0) result = gf_mul(result, a);
  return result;
}

static void gen_vandermonde(unsigned char *matrix, int n, int k) {
  static unsigned char raw[255 * 255], top[255 * 255], inverse[255 * 255];
  for (int r = 0; r < n; r++)
    for (int c = 0; c < k; c++) raw[r * k + c] = power(r, c);
  memcpy(top, raw, k * k);
  if (gf_invert_matrix(top, inverse, k) != 0) fprintf(stderr, "singular\n");
  for (int r = 0; r < n; r++)
    for (int c = 0; c < k; c++) {
      unsigned char sum = 0;
      for (int i = 0; i < k; i++) sum ^= gf_mul(raw[r * k + i], inverse[i * k + c]);
      matrix[r * k + c] = sum;
    }
}

static void gen_lrc(unsigned char *matrix, int n, int k, int l) {
  static unsigned char cauchy[255 * 255];
  int globals = n - k - l, each = k / l;
  gf_gen_cauchy1_matrix(cauchy, k + globals, k);
  memset(matrix, 0, n * k);
  for (int c = 0; c < k; c++) {
    matrix[c * k + c] = 1;
    matrix[(k + c / each) * k + c] = 1;
    for (int r = 0; r < globals; r++)
      matrix[(k + l + r) * k + c] =
          globals > 2 ? cauchy[(k + r) * k + c] : power(power(2, c / each + 17 * (c % each)), r + 1);
  }
}

static void emit(const char *name, int k, int m, int l, int length, int last) {
  static unsigned char matrix[255 * 255], tables[255 * 255 * 32], shards[255][1024];
  unsigned char *pointers[255];
  int n = k + m, bytes = (length + k - 1) / k;
  memset(shards, 0, sizeof shards);
  for (int i = 0; i < n; i++) pointers[i] = shards[i];
  uint32_t x = k + 256 * m;
  for (int i = 0; i < length; i++) {
    x = x * 1664525u + 1013904223u;
    shards[i / bytes][i % bytes] = x >> 24;
  }
  if (strcmp(name, "cauchy1") == 0) gf_gen_cauchy1_matrix(matrix, n, k);
  else if (l > 0) gen_lrc(matrix, n, k, l);
  else gen_vandermonde(matrix, n, k);
  ec_init_tables(k, m, matrix + k * k, tables);
  ec_encode_data(bytes, k, m, tables, pointers, pointers + k);
  printf("    { \"matrix\": \"%s\", \"dataShards\": %d, \"parityShards\": %d, ", name, k, m);
  if (l > 0) printf("\"localGroups\": %d, ", l);
  printf("\"dataBytes\": %d, \"parity\": [", length);
  for (int i = k; i < n; i++) {
    printf(i == k ? "\"" : ", \"");
    for (int b = 0; b < bytes; b++) printf("%02x", shards[i][b]);
    printf("\"");
  }
  printf("] }%s\n", last ? "" : ",");
}

int main(void) {
  static const int cases[][3] = {{1, 1, 40},   {2, 1, 77},    {4, 2, 1000},   {6, 3, 601},    {8, 3, 1024},
                                 {10, 4, 999}, {17, 3, 1717}, {12, 9, 500}, {128, 127, 300}, {200, 55, 800}, {254, 1, 2000}};
  static const int grouped[][4] = {{6, 2, 2, 601}, {12, 2, 2, 1000}, {9, 3, 1, 333}, {12, 3, 3, 500}, {45, 3, 2, 450}, {34, 17, 2, 68}};
  int count = sizeof cases / sizeof cases[0], groupedCount = sizeof grouped / sizeof grouped[0];
  printf("{\n  \"origin\": \"Intel ISA-L 2.30; generator: reed-solomon.generate.c\",\n  \"stripes\": [\n");
  for (int i = 0; i < count; i++) {
    emit("vandermonde", cases[i][0], cases[i][1], 0, cases[i][2], 0);
    emit("cauchy1", cases[i][0], cases[i][1], 0, cases[i][2], 0);
  }
  for (int i = 0; i < groupedCount; i++)
    emit("lrc", grouped[i][0], grouped[i][1] + grouped[i][2], grouped[i][1], grouped[i][3], i == groupedCount - 1);
  printf("  ]\n}\n");
  return 0;
}
