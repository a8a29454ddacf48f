// Turns rows of floating-point numbers into columns, and columns into rows.
#ifndef CRAWROWS_H
#define CRAWROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Rows one after another, and the features in them: feature j stands in column `columns[j]`.
typedef struct RawShape {
  size_t row_bytes;
  size_t row_count;
  const int32_t *_Nonnull columns;
  size_t feature_count;
  // The first row is this record of the batch.
  size_t first_record;
  // The distance between two columns of the batch, in values.
  size_t stride;
} RawShape;

// What is among the values that were read.
typedef struct RawFindings {
  bool has_infinite;
  bool has_missing;
} RawFindings;

// Reads the features of all rows; row i of feature j goes to values[j * stride + first_record + i].
// An infinity becomes NaN there.
RawFindings raw_rows_read_floats(RawShape shape, const void *_Nonnull rows, float *_Nonnull values);
RawFindings raw_rows_read_floats_as_doubles(RawShape shape, const void *_Nonnull rows,
                                            double *_Nonnull values);
RawFindings raw_rows_read_doubles(RawShape shape, const void *_Nonnull rows,
                                  double *_Nonnull values);

// Writes the features of all rows. With `keeps_missing` what stands in the place of a NaN stays.
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
