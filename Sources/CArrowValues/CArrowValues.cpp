#include "CArrowValues.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace {

// Loads with memcpy, because not every writer keeps the alignment that Arrow promises.
template <class Value>
Value load(const char *place) {
  Value value;
  std::memcpy(&value, place, sizeof(value));
  return value;
}

template <class Value>
void store(char *place, Value value) {
  std::memcpy(place, &value, sizeof(value));
}

template <class Value, class Stored>
ArrowFindings read(const ArrowShape &shape, const char *values, Stored *column) {
  values += (shape.first_record * shape.per_record + shape.element) * sizeof(Value);
  const size_t step = shape.per_record * sizeof(Value);
  // Counts bits, because a loop can keep sums in vector registers, but not a bool that it sets conditionally.
  unsigned invalid = 0;
  Value greatest{};
  if constexpr (std::is_floating_point_v<Value>) {
    greatest = static_cast<Value>(
        std::min(shape.greatest, static_cast<double>(std::numeric_limits<Value>::max())));
  }
  unsigned missing = 0;
  const auto take = [&](size_t record, size_t step) __attribute__((always_inline)) {
    const Value value = load<Value>(values + record * step);
    if constexpr (std::is_floating_point_v<Value>) {
      invalid |= std::fabs(value) > greatest;
      missing |= value != value;
    }
    column[record] = static_cast<Stored>(value);
  };
  if (shape.per_record == 1) {
    for (size_t record = 0; record < shape.record_count; ++record) take(record, sizeof(Value));
  } else {
    for (size_t record = 0; record < shape.record_count; ++record) take(record, step);
  }
  return {invalid != 0, missing != 0};
}

template <class Stored>
ArrowFindings read_any(const ArrowShape &shape, const void *values, Stored *column) {
  const char *place = static_cast<const char *>(values);
  switch (shape.kind) {
    case ARROW_FLOAT32: return read<float>(shape, place, column);
    case ARROW_FLOAT64: return read<double>(shape, place, column);
    case ARROW_INT32: return read<int32_t>(shape, place, column);
    default: return read<int64_t>(shape, place, column);
  }
}

size_t bit_of(const ArrowShape &shape, size_t record) {
  return (shape.first_record + record) * shape.per_record + shape.element;
}

bool is_valid(const uint8_t *bitmap, size_t bit) { return (bitmap[bit / 8] >> (bit % 8) & 1) != 0; }

// Visits the nulls of a column with one value in a record. Skips whole words of valid values, because nulls are rare.
template <class Visit>
void for_each_null(const ArrowShape &shape, const uint8_t *bitmap, Visit visit) {
  const size_t first = shape.first_record;
  size_t record = 0;
  for (; record < shape.record_count && (first + record) % 8 != 0; ++record) {
    if (!is_valid(bitmap, first + record)) visit(record);
  }
  for (; record + 64 <= shape.record_count; record += 64) {
    uint64_t nulls;
    std::memcpy(&nulls, bitmap + (first + record) / 8, sizeof(nulls));
    for (nulls = ~nulls; nulls != 0; nulls &= nulls - 1) {
      visit(record + static_cast<size_t>(__builtin_ctzll(nulls)));
    }
  }
  for (; record < shape.record_count; ++record) {
    if (!is_valid(bitmap, first + record)) visit(record);
  }
}

template <class Stored>
bool mask(const ArrowShape &shape, const uint8_t *bitmap, Stored *column) {
  constexpr Stored nan = std::numeric_limits<Stored>::quiet_NaN();
  bool found = false;
  if (shape.per_record != 1) {
    for (size_t record = 0; record < shape.record_count; ++record) {
      if (!is_valid(bitmap, bit_of(shape, record))) {
        column[record] = nan;
        found = true;
      }
    }
    return found;
  }
  for_each_null(shape, bitmap, [&](size_t record) {
    column[record] = nan;
    found = true;
  });
  return found;
}

template <class Stored>
size_t fill(const ArrowShape &shape, const Stored *column, uint8_t *bitmap) {
  size_t filled = 0;
  const auto set = [&](size_t record) {
    if (column[record] != column[record]) return;
    const size_t bit = bit_of(shape, record);
    bitmap[bit / 8] |= static_cast<uint8_t>(1u << (bit % 8));
    ++filled;
  };
  if (shape.per_record == 1) {
    for_each_null(shape, bitmap, set);
    return filled;
  }
  for (size_t record = 0; record < shape.record_count; ++record) {
    if (!is_valid(bitmap, bit_of(shape, record))) set(record);
  }
  return filled;
}

template <class Value, class Stored>
void write(const ArrowShape &shape, const Stored *column, char *values) {
  values += (shape.first_record * shape.per_record + shape.element) * sizeof(Value);
  const size_t step = shape.per_record * sizeof(Value);
  const auto put = [&](size_t record, size_t step) __attribute__((always_inline)) {
    const Stored value = column[record];
    char *place = values + record * step;
    const Value kept = load<Value>(place);
    store(place, value != value ? kept : static_cast<Value>(value));
  };
  if (shape.per_record == 1) {
    for (size_t record = 0; record < shape.record_count; ++record) put(record, sizeof(Value));
  } else {
    for (size_t record = 0; record < shape.record_count; ++record) put(record, step);
  }
}

template <class Stored>
void write_any(const ArrowShape &shape, const Stored *column, void *values) {
  char *place = static_cast<char *>(values);
  if (shape.kind == ARROW_FLOAT32 || shape.kind == ARROW_INT32) {
    write<float>(shape, column, place);
  } else {
    write<double>(shape, column, place);
  }
}

template <class Stored>
ArrowFindings read_plain(const ArrowPlain *columns, size_t column_count, const void *memory,
                         size_t first_record, size_t record_count, double greatest, Stored *block,
                         size_t capacity) {
  ArrowFindings all{false, false};
  const char *bytes = static_cast<const char *>(memory);
  for (size_t index = 0; index < column_count; ++index) {
    const ArrowPlain &column = columns[index];
    const ArrowShape shape{column.kind, 1, 0, first_record, record_count, greatest};
    Stored *const target = block + column.feature * capacity;
    const ArrowFindings found = read_any(shape, bytes + column.values, target);
    all.has_invalid = all.has_invalid || found.has_invalid;
    all.has_missing = all.has_missing || found.has_missing;
    if (column.has_validity) {
      const auto *bitmap = reinterpret_cast<const uint8_t *>(bytes + column.validity);
      all.has_missing = mask(shape, bitmap, target) || all.has_missing;
    }
  }
  return all;
}

template <class Stored>
void write_plain(const ArrowPlain *columns, size_t column_count, void *memory, size_t first_record,
                 size_t record_count, const Stored *block, size_t capacity) {
  for (size_t index = 0; index < column_count; ++index) {
    const ArrowPlain &column = columns[index];
    const ArrowShape shape{column.kind, 1, 0, first_record, record_count, 0};
    write_any(shape, block + column.feature * capacity,
              static_cast<char *>(memory) + column.values);
  }
}

}  // namespace

extern "C" {

ArrowFindings arrow_values_read_floats(ArrowShape shape, const void *values, float *column) {
  return read_any(shape, values, column);
}

ArrowFindings arrow_values_read_doubles(ArrowShape shape, const void *values, double *column) {
  return read_any(shape, values, column);
}

bool arrow_values_mask_floats(ArrowShape shape, const uint8_t *bitmap, float *column) {
  return mask(shape, bitmap, column);
}

bool arrow_values_mask_doubles(ArrowShape shape, const uint8_t *bitmap, double *column) {
  return mask(shape, bitmap, column);
}

size_t arrow_values_fill_floats(ArrowShape shape, const float *column, uint8_t *bitmap) {
  return fill(shape, column, bitmap);
}

size_t arrow_values_fill_doubles(ArrowShape shape, const double *column, uint8_t *bitmap) {
  return fill(shape, column, bitmap);
}

void arrow_values_write_floats(ArrowShape shape, const float *column, void *values) {
  write_any(shape, column, values);
}

void arrow_values_write_doubles(ArrowShape shape, const double *column, void *values) {
  write_any(shape, column, values);
}

ArrowFindings arrow_values_read_plain_floats(const ArrowPlain *columns, size_t column_count,
                                             const void *memory, size_t first_record,
                                             size_t record_count, double greatest, float *block,
                                             size_t capacity) {
  return read_plain(columns, column_count, memory, first_record, record_count, greatest, block,
                    capacity);
}

ArrowFindings arrow_values_read_plain_doubles(const ArrowPlain *columns, size_t column_count,
                                              const void *memory, size_t first_record,
                                              size_t record_count, double greatest, double *block,
                                              size_t capacity) {
  return read_plain(columns, column_count, memory, first_record, record_count, greatest, block,
                    capacity);
}

void arrow_values_write_plain_floats(const ArrowPlain *columns, size_t column_count, void *memory,
                                     size_t first_record, size_t record_count, const float *block,
                                     size_t capacity) {
  write_plain(columns, column_count, memory, first_record, record_count, block, capacity);
}

void arrow_values_write_plain_doubles(const ArrowPlain *columns, size_t column_count, void *memory,
                                      size_t first_record, size_t record_count,
                                      const double *block, size_t capacity) {
  write_plain(columns, column_count, memory, first_record, record_count, block, capacity);
}
}
