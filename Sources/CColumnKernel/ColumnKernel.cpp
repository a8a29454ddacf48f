#include "CColumnKernel.h"

#include <type_traits>

// The same bits whatever the instructions: where some can multiply and add at once, others cannot.
#pragma clang fp contract(off)

// All that takes or gives vectors is inlined, so how they would be passed does not matter.
#pragma clang diagnostic ignored "-Wpsabi"
#define INLINED inline __attribute__((always_inline))
#define INLINED_LAMBDA __attribute__((always_inline))

namespace {

typedef double Lanes __attribute__((vector_size(64)));
typedef int64_t Integers __attribute__((vector_size(64)));

namespace baseline {
#include "ColumnLoops.h"
#include "KeyLoops.h"
#include "ChartLoops.h"
}

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
namespace avx2 {
#include "ColumnLoops.h"
#include "KeyLoops.h"
#include "ChartLoops.h"
}
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
namespace avx512 {
#include "ColumnLoops.h"
#include "KeyLoops.h"
#include "ChartLoops.h"
}
#pragma clang attribute pop

#define WITH(instructions, call)                 \
  switch (instructions) {                        \
    case COLUMN_AVX512: return avx512::call;     \
    case COLUMN_AVX2: return avx2::call;         \
    case COLUMN_BASELINE: return baseline::call; \
  }
#else
#define WITH(instructions, call) return baseline::call;
#endif

}  // namespace

ColumnInstructions column_instructions_best(void) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return COLUMN_AVX512;
  if (__builtin_cpu_supports("avx2")) return COLUMN_AVX2;
#endif
  return COLUMN_BASELINE;
}

double column_sum_float(ColumnInstructions instructions, const float *values, size_t count) {
  WITH(instructions, sum(values, count))
}

ColumnSums column_sums_float(ColumnInstructions instructions, const float *values, size_t count) {
  WITH(instructions, sums(values, count))
}

ColumnDeviations column_deviations_float(ColumnInstructions instructions, const float *values,
                                         size_t count, double center, bool has_missing) {
  if (has_missing) WITH(instructions, deviations<true>(values, count, center))
  WITH(instructions, deviations<false>(values, count, center))
}

ColumnWeightedSums column_weighted_sums_float(ColumnInstructions instructions, const float *values,
                                               const double *weights, size_t count) {
  WITH(instructions, weighted_sums(values, weights, count))
}

ColumnDeviations column_weighted_deviations_float(ColumnInstructions instructions,
                                                   const float *values, const double *weights,
                                                   size_t count, double center) {
  WITH(instructions, weighted_deviations(values, weights, count, center))
}

int64_t column_map_float(ColumnInstructions instructions, float *values, size_t count,
                         ColumnMap map) {
  WITH(instructions, map(values, count, map))
}

double column_sum_double(ColumnInstructions instructions, const double *values, size_t count) {
  WITH(instructions, sum(values, count))
}

ColumnSums column_sums_double(ColumnInstructions instructions, const double *values, size_t count) {
  WITH(instructions, sums(values, count))
}

ColumnDeviations column_deviations_double(ColumnInstructions instructions, const double *values,
                                         size_t count, double center, bool has_missing) {
  if (has_missing) WITH(instructions, deviations<true>(values, count, center))
  WITH(instructions, deviations<false>(values, count, center))
}

ColumnWeightedSums column_weighted_sums_double(ColumnInstructions instructions, const double *values,
                                               const double *weights, size_t count) {
  WITH(instructions, weighted_sums(values, weights, count))
}

ColumnDeviations column_weighted_deviations_double(ColumnInstructions instructions,
                                                   const double *values, const double *weights,
                                                   size_t count, double center) {
  WITH(instructions, weighted_deviations(values, weights, count, center))
}

int64_t column_map_double(ColumnInstructions instructions, double *values, size_t count,
                         ColumnMap map) {
  WITH(instructions, map(values, count, map))
}

void key_plan(ColumnInstructions instructions, KeyRow row, double factor, KeyRow whole,
              const KeyBounds *bounds, const double *gammas, KeyRule rule, size_t count,
              KeyTransforms out) {
  if (row.shares_weight)
    WITH(instructions, key_plan_row<true>(row, factor, whole, bounds, gammas, rule, count, out))
  WITH(instructions, key_plan_row<false>(row, factor, whole, bounds, gammas, rule, count, out))
}

void key_add(ColumnInstructions instructions, MutableKeyRow row, const double *values,
             double kept, double added, size_t count) {
  if (row.shares_weight) WITH(instructions, key_add_row<true>(row, values, kept, added, count))
  WITH(instructions, key_add_row<false>(row, values, kept, added, count))
}

void key_sums(ColumnInstructions instructions, const double *values, const int32_t *numbers,
              size_t count, size_t width, double *sums, double *counts) {
  WITH(instructions, key_sums_rows(values, numbers, count, width, sums, counts))
}

void key_away(ColumnInstructions instructions, KeyRow row, const double *sums,
              const double *counts, double least, double square_reach, size_t width,
              double *judged, double *away) {
  if (row.shares_weight)
    WITH(instructions,
         key_away_row<true>(row, sums, counts, least, square_reach, width, judged, away))
  WITH(instructions,
       key_away_row<false>(row, sums, counts, least, square_reach, width, judged, away))
}

void key_rows_float(ColumnInstructions instructions, const float *values, size_t capacity,
                    size_t count, size_t width, double *rows) {
  WITH(instructions, key_rows(values, capacity, count, width, rows))
}

void key_rows_double(ColumnInstructions instructions, const double *values, size_t capacity,
                     size_t count, size_t width, double *rows) {
  WITH(instructions, key_rows(values, capacity, count, width, rows))
}

void key_map_float(ColumnInstructions instructions, float *values, size_t capacity, size_t count,
                   const int32_t *numbers, KeyTransforms keys, size_t width,
                   const ColumnMap *wholes, const bool *is_by_key, bool is_centred,
                   int64_t *clipped) {
  WITH(instructions, key_map(values, capacity, count, numbers, keys, width, wholes, is_by_key,
                             is_centred, clipped))
}

void key_map_double(ColumnInstructions instructions, double *values, size_t capacity, size_t count,
                    const int32_t *numbers, KeyTransforms keys, size_t width,
                    const ColumnMap *wholes, const bool *is_by_key, bool is_centred,
                    int64_t *clipped) {
  WITH(instructions, key_map(values, capacity, count, numbers, keys, width, wholes, is_by_key,
                             is_centred, clipped))
}

size_t chart_observe_moments(ColumnInstructions instructions, ChartColumns columns, size_t count,
                             ChartMoments moments, ChartRule rule, ChartPlace place,
                             uint8_t *left) {
  WITH(instructions, observe_moments(columns, count, moments, rule, place, left))
}

size_t chart_observe_shares(ColumnInstructions instructions, ChartColumns columns, size_t row,
                            size_t count, ChartPools pools, double floor, ChartRule rule,
                            ChartPlace place, uint8_t *left) {
  WITH(instructions, observe_shares(columns, row, count, pools, floor, rule, place, left))
}

double chart_logarithm(double value) { return baseline::logarithm(value); }

double chart_exponential(double value) { return baseline::exponential(value); }
