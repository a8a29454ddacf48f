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

// Adds the present values of `count` records to the sums of their keys, a number for each of `width` features, and their
// number to the counts. A number of -1 stands for a record that counts for nothing.
void key_sums(ColumnInstructions instructions, const double *_Nonnull values,
              const int32_t *_Nonnull numbers, size_t count, size_t width,
              double *_Nonnull sums, double *_Nonnull counts);

// Adds 1 to `judged` of each feature of which a key has values and a weight of `least` or more, and to `away` if the mean
// of the values lies farther from that of the key than the root of `square_reach` standard errors.
void key_away(ColumnInstructions instructions, KeyRow row, const double *_Nonnull sums,
              const double *_Nonnull counts, double least, double square_reach, size_t width,
              double *_Nonnull judged, double *_Nonnull away);

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

// The columns of drift charts: a number for each kind and feature, one kind after another.
enum {
  CHART_REFERENCE,
  CHART_MEAN,
  CHART_VARIANCE,
  CHART_COVARIANCE,
  CHART_COVARIANCE2,
  CHART_LONG_RUN,
  CHART_LAST,
  CHART_LAST_ROOT,
  CHART_LAST2,
  CHART_LAST_ROOT2,
  CHART_LAST_NEW,
  CHART_LAST_NEW2,
  // Each side: its score, the sum and the weight of its level, and the seconds since when.
  CHART_ABOVE,
  CHART_BELOW = CHART_ABOVE + 4,
};

// Those of counts. Each side has two: the batch and the record since when.
enum {
  CHART_POOLS,
  CHART_PHASE,
  CHART_ALARMS,
  CHART_GIVEN,
  CHART_ABOVE_BATCH,
  CHART_ABOVE_RECORD,
  CHART_BELOW_BATCH,
  CHART_BELOW_RECORD,
};

typedef struct ChartColumns {
  double *_Nonnull const *_Nonnull reals;
  ptrdiff_t *_Nonnull const *_Nonnull counts;
} ChartColumns;

typedef struct ChartRule {
  double threshold;
  // Whether the reference follows.
  bool follows;
} ChartRule;

// The place at which the pools begin.
typedef struct ChartPlace {
  ptrdiff_t batch, record;
  double seconds;
} ChartPlace;

// The moments of a batch, and the weight of each pool in slow moments. A feature with an open pool has its weight in
// `open`.
typedef struct ChartMoments {
  const double *_Nonnull weights;
  const double *_Nonnull means;
  const double *_Nonnull squares;
  const double *_Nonnull slow_weights;
  const double *_Nonnull open;
} ChartMoments;

// A pool of each feature. A value of NaN stands for none.
typedef struct ChartPools {
  const double *_Nonnull values;
  const double *_Nonnull weights;
  const double *_Nonnull slow_weights;
} ChartPools;

// Gives the charts of means and deviations, which are the first two kinds of `count` features, the batch as a pool. A
// chart that needs a closer look is left as it is: `left` of its feature gets 1 for the mean, and 2 for the deviation,
// which is left with the mean. Returns how many are left.
size_t chart_observe_moments(ColumnInstructions instructions, ChartColumns columns, size_t count,
                             ChartMoments moments, ChartRule rule, ChartPlace place,
                             uint8_t *_Nonnull left);

// Gives the charts from `row` on a pool each. A rise and a fall are drift. `floor`: the least deviation of what is new
// in a pool. `left` of a feature gets 1 if its chart is left, also if it has no pool.
size_t chart_observe_shares(ColumnInstructions instructions, ChartColumns columns, size_t row,
                            size_t count, ChartPools pools, double floor, ChartRule rule,
                            ChartPlace place, uint8_t *_Nonnull left);

// ln and e^x of these loops.
double chart_logarithm(double value);
double chart_exponential(double value);

#ifdef __cplusplus
}
#endif
#endif
