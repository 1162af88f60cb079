// As many windows at a time as a vector of the processor has lanes: the arithmetic that training and scoring share.
//
// An activation of F features and C columns (tokens) is V[F][C].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

namespace {

// Vectors as wide as the registers, and as many of them at once as there are registers: a compiler keeps wider or more
// vectors on the stack, which makes everything several times as slow.
#if defined(__AVX512F__)
constexpr int LANES = 16, REGISTERS = 32;
#elif defined(__AVX__)
constexpr int LANES = 8, REGISTERS = 16;
#elif defined(__aarch64__)
constexpr int LANES = 4, REGISTERS = 32;
#else
constexpr int LANES = 4, REGISTERS = 16;
#endif
constexpr int BYTES = 4 * LANES;

typedef float V __attribute__((vector_size(BYTES)));
typedef float Unaligned __attribute__((vector_size(BYTES), aligned(4), may_alias));
typedef int32_t I __attribute__((vector_size(BYTES)));
typedef uint32_t N __attribute__((vector_size(BYTES)));

// ---------------------------------------------------------------------------------------------- vector arithmetic

inline V all(float value) { return value - V{}; }

inline V maximum(V a, V b) { return a > b ? a : b; }

inline V exponential(V x) {  // Cephes' expf: within 2 units in the last place
  x = x < -87.0f ? all(-87.0f) : x;  // what is no number stays so, and training sees that it diverged
  x = x > 88.0f ? all(88.0f) : x;
  const V n = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
  const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  V p = all(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const V y = p * r * r + r + 1.0f;
  return y * (V)((__builtin_convertvector(n, I) + 127) << 23);
}

inline V inverse_root(V x) {
  V y;
  for (int l = 0; l < LANES; l++) y[l] = 1.0f / std::sqrt(x[l]);
  return y;
}

inline float sum_of(V x) {
  float sum = 0;
  for (int l = 0; l < LANES; l++) sum += x[l];
  return sum;
}

template <int S, size_t... E>
inline V keep_low(V a, V b, std::index_sequence<E...>) {
  return __builtin_shufflevector(a, b, ((E & S) ? LANES + E - S : E)...);
}
template <int S, size_t... E>
inline V keep_high(V a, V b, std::index_sequence<E...>) {
  return __builtin_shufflevector(a, b, ((E & S) ? LANES + E : E + S)...);
}
template <int S>
inline void exchange(V *rows) {
  for (int i = 0; i < LANES; i++)
    if (!(i & S)) {
      const V a = rows[i], b = rows[i | S];
      rows[i] = keep_low<S>(a, b, std::make_index_sequence<LANES>());
      rows[i | S] = keep_high<S>(a, b, std::make_index_sequence<LANES>());
    }
}
inline void transpose(V *rows) {  // LANES × LANES
  exchange<1>(rows);
  exchange<2>(rows);
  if constexpr (LANES > 4) exchange<4>(rows);
  if constexpr (LANES > 8) exchange<8>(rows);
}

// V[features][columns] to a row of `features` floats for each (column, lane).
inline void to_rows(const V *in, int features, int columns, float *out) {
  V rows[LANES];
  for (int c = 0; c < columns; c++)
    for (int f = 0; f < features; f += LANES) {
      for (int i = 0; i < LANES; i++) rows[i] = in[(f + i) * columns + c];
      transpose(rows);
      for (int l = 0; l < LANES; l++) std::memcpy(out + (size_t)(c * LANES + l) * features + f, &rows[l], sizeof(V));
    }
}

// Rows of `features` floats, one for each lane, to V[features] in every `columns`-th place of `out`.
inline void from_rows(const float *table, const int64_t *index, int features, V *out, int columns) {
  V rows[LANES];
  for (int f = 0; f < features; f += LANES) {
    for (int l = 0; l < LANES; l++) std::memcpy(&rows[l], table + index[l] * features + f, sizeof(V));
    transpose(rows);
    for (int i = 0; i < LANES; i++) out[(f + i) * columns] = rows[i];
  }
}

// ---------------------------------------------------------------------------------------------- matrix products

// out[n][c] (+)= bias[n] + sum over k of a[n * an + k * ak] * in[k][c]; rows of `in` and `out` are `is` and `os` apart.
template <int NB, int CB, bool ADD>
inline void product_tile(const float *a, int an, int ak, const V *in, int is, int size, const float *bias, V *out, int os) {
  V sum[NB][CB];
  for (int n = 0; n < NB; n++)
    for (int c = 0; c < CB; c++) sum[n][c] = ADD ? out[n * os + c] : bias ? all(bias[n]) : V{};
  for (int k = 0; k < size; k++) {
    for (int n = 0; n < NB; n++) {
      const float w = a[n * an + k * ak];
      for (int c = 0; c < CB; c++) sum[n][c] += w * in[k * is + c];
    }
  }
  for (int n = 0; n < NB; n++)
    for (int c = 0; c < CB; c++) out[n * os + c] = sum[n][c];
}

template <int CB, bool ADD>
inline void product_columns(const float *a, int an, int ak, const V *in, int is, int count, int size, const float *bias,
                            V *out, int os) {
  constexpr int NB = CB == 1 ? 8 : CB * 4 + 2 < REGISTERS ? 4 : 2;  // sums of a tile stay in registers
  int n = 0;
  for (; n + NB <= count; n += NB)
    product_tile<NB, CB, ADD>(a + n * an, an, ak, in, is, size, bias ? bias + n : nullptr, out + n * os, os);
  for (; n < count; n++)
    product_tile<1, CB, ADD>(a + n * an, an, ak, in, is, size, bias ? bias + n : nullptr, out + n * os, os);
}

// GELU with tanh: x times the logistic function of 2 √(2/π) (x + 0.044715 x³).
inline V gelu(V x) { return x / (1.0f + exponential(-1.5957691216057308f * x * (1.0f + 0.044715f * x * x))); }

}  // namespace
