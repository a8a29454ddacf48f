// Loops over one column of a mini-batch, for the instructions that the processor has.
#ifndef CCOLUMNKERNEL_H
#define CCOLUMNKERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The instructions that the loops are compiled for. All of them give the same bits.
typedef enum ColumnInstructions {
  COLUMN_BASELINE,
  COLUMN_AVX2,
  COLUMN_AVX512,
} ColumnInstructions;

// The best of them that this processor has.
ColumnInstructions column_instructions_best(void);

// The sum of a column; NaN if a value is missing.
double column_sum_float(ColumnInstructions instructions, const float *_Nonnull values,
                        size_t count);
double column_sum_double(ColumnInstructions instructions, const double *_Nonnull values,
                         size_t count);

// Asks for the start of a column that is read soon.
static inline void column_prefetch(const void *_Nonnull values) {
  __builtin_prefetch(values);
  __builtin_prefetch((const char *)values + 64);
}

// The result of one pass over a column. A missing value is NaN and counts for nothing.
typedef struct ColumnSums {
  int64_t present_count;
  double sum;
  // Infinity and -infinity if no value is present.
  double minimum, maximum;
} ColumnSums;

ColumnSums column_sums_float(ColumnInstructions instructions, const float *_Nonnull values,
                             size_t count);
ColumnSums column_sums_double(ColumnInstructions instructions, const double *_Nonnull values,
                              size_t count);

// The sums of the present values' deviations from `center`, and of their squares; `has_missing` says
// whether some may be missing.
typedef struct ColumnDeviations {
  double sum;
  double squares;
} ColumnDeviations;

ColumnDeviations column_deviations_float(ColumnInstructions instructions,
                                         const float *_Nonnull values, size_t count,
                                         double center, bool has_missing);
ColumnDeviations column_deviations_double(ColumnInstructions instructions,
                                          const double *_Nonnull values, size_t count,
                                          double center, bool has_missing);

// The result of one pass over a column with a weight for each value. The weights are finite and 0
// or more.
typedef struct ColumnWeightedSums {
  // The values with a weight above 0.
  int64_t counted;
  double sum;
  double weight;
  double weight_squares;
  // Of the values with a weight above 0; infinity and -infinity if there is none.
  double minimum, maximum;
} ColumnWeightedSums;

ColumnWeightedSums column_weighted_sums_float(ColumnInstructions instructions,
                                              const float *_Nonnull values,
                                              const double *_Nonnull weights, size_t count);
ColumnWeightedSums column_weighted_sums_double(ColumnInstructions instructions,
                                               const double *_Nonnull values,
                                               const double *_Nonnull weights, size_t count);

// The weighed sums of the deviations from `center`, and of their squares.
ColumnDeviations column_weighted_deviations_float(ColumnInstructions instructions,
                                                  const float *_Nonnull values,
                                                  const double *_Nonnull weights, size_t count,
                                                  double center);
ColumnDeviations column_weighted_deviations_double(ColumnInstructions instructions,
                                                   const double *_Nonnull values,
                                                   const double *_Nonnull weights, size_t count,
                                                   double center);

// y = min(max(x - center, low), high) * scale + shift; a missing value becomes `fill`, or stays as
// it is, to the bit, if that is NaN. Without `has_missing` no value is missing.
typedef struct ColumnMap {
  double center, low, high, scale, shift, fill;
  bool has_missing;
} ColumnMap;

// Replaces the values; returns how many of them were outside low ... high.
int64_t column_map_float(ColumnInstructions instructions, float *_Nonnull values, size_t count,
                         ColumnMap map);
int64_t column_map_double(ColumnInstructions instructions, double *_Nonnull values, size_t count,
                          ColumnMap map);

// The moments of one key: a number for each feature, or one weight that all of them share. A weight of 0 is the
// moments of nothing.
typedef struct KeyRow {
  const double *_Nonnull weights;
  const double *_Nonnull means;
  const double *_Nonnull variances;
  bool shares_weight;
} KeyRow;

typedef struct MutableKeyRow {
  double *_Nonnull weights;
  double *_Nonnull means;
  double *_Nonnull variances;
  bool shares_weight;
} MutableKeyRow;

// How the values of a key are normalised: the center, the greatest distance from it, and the scale of
// each feature. A scale of NaN stands for the map of all records.
typedef struct KeyTransforms {
  double *_Nonnull centers;
  double *_Nonnull reaches;
  double *_Nonnull scales;
} KeyTransforms;

typedef struct KeyRule {
  // The number of values that the moments of all records count as.
  double prior;
  // The deviation is the root of max(variance, floor) * (1 + share) + added.
  double epsilon_share, epsilon_added, variance_floor;
  // In deviations; infinity is none.
  double clip;
  // Whether values are divided by the deviation.
  bool divides;
} KeyRule;

// The least and the greatest mean and variance of each feature by which values may be normalised.
typedef struct KeyBounds {
  const double *_Nonnull least_means;
  const double *_Nonnull greatest_means;
  const double *_Nonnull least_variances;
  const double *_Nonnull greatest_variances;
} KeyBounds;

// Plans the transforms of one key, whose weights count `factor` times. The weights of `whole`, the
// moments of all records, are not read. Without `bounds` nothing holds the moments.
void key_plan(ColumnInstructions instructions, KeyRow row, double factor, KeyRow whole,
              const KeyBounds *_Nullable bounds, const double *_Nonnull gammas, KeyRule rule,
              size_t count, KeyTransforms out);

// Adds one value of each feature, of weight `added`, after those before it were multiplied by `kept`. If the features
// share their weight, no value may be missing.
void key_add(ColumnInstructions instructions, MutableKeyRow row, const double *_Nonnull values,
             double kept, double added, size_t count);

// Copies the values of `count` records to rows, which have a number for each of `width` features. The columns are
// `capacity` values apart.
void key_rows_float(ColumnInstructions instructions, const float *_Nonnull values, size_t capacity,
                    size_t count, size_t width, double *_Nonnull rows);
void key_rows_double(ColumnInstructions instructions, const double *_Nonnull values,
                     size_t capacity, size_t count, size_t width, double *_Nonnull rows);

// Replaces the values of the features that keys normalise, each by the transform of its record's key, and adds to
// `clipped` how many of each feature were limited. A number of -1 stands for the maps of all records, whose `has_missing`
// is not read.
void key_map_float(ColumnInstructions instructions, float *_Nonnull values, size_t capacity,
                   size_t count, const int32_t *_Nonnull numbers, KeyTransforms keys, size_t width,
                   const ColumnMap *_Nonnull wholes, const bool *_Nonnull is_by_key,
                   bool is_centred, int64_t *_Nonnull clipped);
void key_map_double(ColumnInstructions instructions, double *_Nonnull values, size_t capacity,
                    size_t count, const int32_t *_Nonnull numbers, KeyTransforms keys,
                    size_t width, const ColumnMap *_Nonnull wholes,
                    const bool *_Nonnull is_by_key, bool is_centred, int64_t *_Nonnull clipped);

#ifdef __cplusplus
}
#endif
#endif
