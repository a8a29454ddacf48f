#include "CRawRows.h"

#include <cmath>
#include <cstring>
#include <limits>

// Invariant: every value is moved and converted by itself. Whether it is in a square of four by four or alone does
// not change its bits.

// All functions with vector arguments are inlined, so the ABI of these arguments does not matter.
#pragma clang diagnostic ignored "-Wpsabi"
#define INLINED inline __attribute__((always_inline))

namespace {

// This number of columns stays in the first-level cache, whatever the distance between them is.
constexpr size_t tile_columns = 16;

template <class Value>
using Four __attribute__((vector_size(4 * sizeof(Value)))) = Value;

template <class Value>
INLINED Four<Value> load(const void *place) {
  Four<Value> four;
  std::memcpy(&four, place, sizeof(four));
  return four;
}

// Transposes four rows of four values.
template <class Value>
INLINED void transpose(Four<Value> (&lines)[4]) {
  const Four<Value> a = __builtin_shufflevector(lines[0], lines[1], 0, 4, 1, 5);
  const Four<Value> b = __builtin_shufflevector(lines[2], lines[3], 0, 4, 1, 5);
  const Four<Value> c = __builtin_shufflevector(lines[0], lines[1], 2, 6, 3, 7);
  const Four<Value> d = __builtin_shufflevector(lines[2], lines[3], 2, 6, 3, 7);
  lines[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  lines[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  lines[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  lines[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

// Visits every value once: `square(row, feature)` for four rows of four adjacent features, `single(row, feature)` for
// the others.
template <class Square, class Single>
INLINED void for_each_square(const RawShape &shape, Square square, Single single) {
  for (size_t tile = 0; tile < shape.feature_count; tile += tile_columns) {
    const size_t tile_end =
        tile + tile_columns < shape.feature_count ? tile + tile_columns : shape.feature_count;
    const size_t square_rows = shape.row_count / 4 * 4;
    for (size_t row = 0; row < square_rows; row += 4) {
      size_t feature = tile;
      while (feature < tile_end) {
        if (feature + 4 <= tile_end && shape.columns[feature + 3] == shape.columns[feature] + 3 &&
            shape.columns[feature + 1] == shape.columns[feature] + 1 &&
            shape.columns[feature + 2] == shape.columns[feature] + 2) {
          square(row, feature);
          feature += 4;
        } else {
          for (size_t i = 0; i < 4; ++i) single(row + i, feature);
          ++feature;
        }
      }
    }
    for (size_t row = square_rows; row < shape.row_count; ++row) {
      for (size_t feature = tile; feature < tile_end; ++feature) single(row, feature);
    }
  }
}

template <class Read, class Stored>
RawFindings read(const RawShape &shape, const char *rows, Stored *values) {
  values += shape.first_record;
  const Read greatest = shape.greatest < std::numeric_limits<Read>::max()
                            ? static_cast<Read>(shape.greatest)
                            : std::numeric_limits<Read>::max();
  constexpr Read nan = std::numeric_limits<Read>::quiet_NaN();
  const auto place = [&](size_t row, size_t feature) {
    return rows + row * shape.row_bytes + shape.columns[feature] * sizeof(Read);
  };
  auto invalid = Four<Read>{} != Four<Read>{};
  auto missing = invalid;
  RawFindings found = {false, false};
  for_each_square(
      shape,
      [&](size_t row, size_t feature) __attribute__((always_inline)) {
        Four<Read> lines[4];
        for (size_t i = 0; i < 4; ++i) {
          lines[i] = load<Read>(place(row + i, feature));
          const auto is_invalid = __builtin_elementwise_abs(lines[i]) > greatest;
          invalid |= is_invalid;
          missing |= lines[i] != lines[i];
          lines[i] = is_invalid ? Four<Read>{} + nan : lines[i];
        }
        transpose<Read>(lines);
        for (size_t i = 0; i < 4; ++i) {
          const auto column = __builtin_convertvector(lines[i], Four<Stored>);
          std::memcpy(values + (feature + i) * shape.stride + row, &column, sizeof(column));
        }
      },
      [&](size_t row, size_t feature) {
        Read value;
        std::memcpy(&value, place(row, feature), sizeof(value));
        const bool is_invalid = std::fabs(value) > greatest;
        found.has_invalid |= is_invalid;
        found.has_missing |= std::isnan(value);
        values[feature * shape.stride + row] = static_cast<Stored>(is_invalid ? nan : value);
      });
  for (int i = 0; i < 4; ++i) {
    found.has_invalid |= invalid[i] != 0;
    found.has_missing |= missing[i] != 0;
  }
  return found;
}

template <class Written, class Stored>
void write(const RawShape &shape, const Stored *values, bool keeps_missing, char *rows) {
  values += shape.first_record;
  const auto place = [&](size_t row, size_t feature) {
    return rows + row * shape.row_bytes + shape.columns[feature] * sizeof(Written);
  };
  for_each_square(
      shape,
      [&](size_t row, size_t feature) __attribute__((always_inline)) {
        Four<Written> lines[4];
        for (size_t i = 0; i < 4; ++i) {
          lines[i] = __builtin_convertvector(
              load<Stored>(values + (feature + i) * shape.stride + row), Four<Written>);
        }
        transpose<Written>(lines);
        for (size_t i = 0; i < 4; ++i) {
          if (keeps_missing) {
            const auto kept = load<Written>(place(row + i, feature));
            lines[i] = lines[i] == lines[i] ? lines[i] : kept;
          }
          std::memcpy(place(row + i, feature), &lines[i], sizeof(lines[i]));
        }
      },
      [&](size_t row, size_t feature) {
        const auto value = static_cast<Written>(values[feature * shape.stride + row]);
        if (keeps_missing && std::isnan(value)) return;
        std::memcpy(place(row, feature), &value, sizeof(value));
      });
}

}  // namespace

RawFindings raw_rows_read_floats(RawShape shape, const void *rows, float *values) {
  return read<float>(shape, static_cast<const char *>(rows), values);
}

RawFindings raw_rows_read_floats_as_doubles(RawShape shape, const void *rows, double *values) {
  return read<float>(shape, static_cast<const char *>(rows), values);
}

RawFindings raw_rows_read_doubles(RawShape shape, const void *rows, double *values) {
  return read<double>(shape, static_cast<const char *>(rows), values);
}

void raw_rows_write_floats(RawShape shape, const float *values, bool keeps_missing, void *rows) {
  write<float>(shape, values, keeps_missing, static_cast<char *>(rows));
}

void raw_rows_write_floats_as_doubles(RawShape shape, const float *values, bool keeps_missing,
                                      void *rows) {
  write<double>(shape, values, keeps_missing, static_cast<char *>(rows));
}

void raw_rows_write_doubles(RawShape shape, const double *values, bool keeps_missing, void *rows) {
  write<double>(shape, values, keeps_missing, static_cast<char *>(rows));
}

void raw_rows_write_doubles_as_floats(RawShape shape, const double *values, bool keeps_missing,
                                      void *rows) {
  write<float>(shape, values, keeps_missing, static_cast<char *>(rows));
}
