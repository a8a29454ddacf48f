// Moves values between Arrow arrays and the columns of a block.
#ifndef CARROWVALUES_H
#define CARROWVALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ArrowValueKind {
  ARROW_FLOAT32 = 0,
  ARROW_FLOAT64 = 1,
  ARROW_INT32 = 2,
  ARROW_INT64 = 3,
} ArrowValueKind;

// The values of one feature in some records. Each record has `per_record` values side by side; the feature is value
// `element`. Values and bitmaps start at record 0 of their array, columns at `first_record`.
typedef struct ArrowShape {
  int32_t kind;
  size_t per_record;
  size_t element;
  size_t first_record;
  size_t record_count;
  // The greatest size of a valid value.
  double greatest;
} ArrowShape;

// A feature with one value in a record and no parent. The offsets of its values and its bitmap are in bytes of the
// memory that it shares with others; its column is `feature` times the capacity after that of feature 0.
typedef struct ArrowPlain {
  int32_t kind;
  bool has_validity;
  size_t values;
  size_t validity;
  size_t feature;
} ArrowPlain;

// Tells which special values a read has met.
typedef struct ArrowFindings {
  bool has_invalid;
  bool has_missing;
} ArrowFindings;

// Reads the values of one feature; `values` need not be aligned.
ArrowFindings arrow_values_read_floats(ArrowShape shape, const void *_Nonnull values,
                                       float *_Nonnull column);
ArrowFindings arrow_values_read_doubles(ArrowShape shape, const void *_Nonnull values,
                                        double *_Nonnull column);

// Sets each value to NaN whose bit in `bitmap` is 0. Returns whether there was any.
bool arrow_values_mask_floats(ArrowShape shape, const uint8_t *_Nonnull bitmap,
                              float *_Nonnull column);
bool arrow_values_mask_doubles(ArrowShape shape, const uint8_t *_Nonnull bitmap,
                               double *_Nonnull column);

// Sets each null in `bitmap` to valid whose value in the column is no NaN. Returns their number.
size_t arrow_values_fill_floats(ArrowShape shape, const float *_Nonnull column,
                                uint8_t *_Nonnull bitmap);
size_t arrow_values_fill_doubles(ArrowShape shape, const double *_Nonnull column,
                                 uint8_t *_Nonnull bitmap);

// Writes a column over the values of one feature. An integer feature is written as the float of the same width.
// A NaN in the column leaves the old value.
void arrow_values_write_floats(ArrowShape shape, const float *_Nonnull column,
                               void *_Nonnull values);
void arrow_values_write_doubles(ArrowShape shape, const double *_Nonnull column,
                                void *_Nonnull values);

// Does for several features what read and mask do, with NaN for nulls. `block` starts at the first record.
ArrowFindings arrow_values_read_plain_floats(const ArrowPlain *_Nonnull columns,
                                             size_t column_count, const void *_Nonnull memory,
                                             size_t first_record, size_t record_count,
                                             double greatest, float *_Nonnull block,
                                             size_t capacity);
ArrowFindings arrow_values_read_plain_doubles(const ArrowPlain *_Nonnull columns,
                                              size_t column_count, const void *_Nonnull memory,
                                              size_t first_record, size_t record_count,
                                              double greatest, double *_Nonnull block,
                                              size_t capacity);

// Writes several features over their values. `block` starts at the first record.
void arrow_values_write_plain_floats(const ArrowPlain *_Nonnull columns, size_t column_count,
                                     void *_Nonnull memory, size_t first_record,
                                     size_t record_count, const float *_Nonnull block,
                                     size_t capacity);
void arrow_values_write_plain_doubles(const ArrowPlain *_Nonnull columns, size_t column_count,
                                      void *_Nonnull memory, size_t first_record,
                                      size_t record_count, const double *_Nonnull block,
                                      size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
