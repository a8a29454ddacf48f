// Turns rows of floating-point numbers into columns, and columns into rows.
#ifndef CRAWROWS_H
#define CRAWROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Rows one after another. Feature j is in column `columns[j]` of each row.
typedef struct RawShape {
  size_t row_bytes;
  size_t row_count;
  const int32_t *_Nonnull columns;
  size_t feature_count;
  // The record of the batch that the first row is.
  size_t first_record;
  // The distance between two columns of the batch, in values.
  size_t stride;
  // The greatest valid |value|.
  double greatest;
} RawShape;

// Tells which special values a read has met.
typedef struct RawFindings {
  bool has_invalid;
  bool has_missing;
} RawFindings;

// Reads the features of all rows. Row i of feature j goes to values[j * stride + first_record + i].
// An infinity, or a value above the greatest one, is invalid and becomes NaN.
RawFindings raw_rows_read_floats(RawShape shape, const void *_Nonnull rows, float *_Nonnull values);
RawFindings raw_rows_read_floats_as_doubles(RawShape shape, const void *_Nonnull rows,
                                            double *_Nonnull values);
RawFindings raw_rows_read_doubles(RawShape shape, const void *_Nonnull rows,
                                  double *_Nonnull values);

// Writes the features of all rows. With `keeps_missing`, a NaN leaves the old bytes of its value.
void raw_rows_write_floats(RawShape shape, const float *_Nonnull values, bool keeps_missing,
                           void *_Nonnull rows);
void raw_rows_write_floats_as_doubles(RawShape shape, const float *_Nonnull values,
                                      bool keeps_missing, void *_Nonnull rows);
void raw_rows_write_doubles(RawShape shape, const double *_Nonnull values, bool keeps_missing,
                            void *_Nonnull rows);
void raw_rows_write_doubles_as_floats(RawShape shape, const double *_Nonnull values,
                                      bool keeps_missing, void *_Nonnull rows);

#ifdef __cplusplus
}
#endif
#endif
