#include "CArrowValues.h"

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
  values += shape.element * sizeof(Value);
  const size_t step = shape.per_record * sizeof(Value);
  // Counts bits, because a loop can keep sums in vector registers, but not a bool that it sets conditionally.
  unsigned infinite = 0;
  unsigned missing = 0;
  const auto take = [&](size_t record, size_t step) __attribute__((always_inline)) {
    const Value value = load<Value>(values + record * step);
    if constexpr (std::is_floating_point_v<Value>) {
      infinite |= std::fabs(value) == std::numeric_limits<Value>::infinity();
      missing |= value != value;
    }
    column[record] = static_cast<Stored>(value);
  };
  if (shape.per_record == 1) {
    for (size_t record = 0; record < shape.record_count; ++record) take(record, sizeof(Value));
  } else {
    for (size_t record = 0; record < shape.record_count; ++record) take(record, step);
  }
  return {infinite != 0, missing != 0};
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

template <class Stored>
bool mask(const ArrowShape &shape, const uint8_t *bitmap, Stored *column) {
  constexpr Stored nan = std::numeric_limits<Stored>::quiet_NaN();
  bool found = false;
  if (shape.per_record != 1) {
    for (size_t record = 0; record < shape.record_count; ++record) {
      const size_t bit = record * shape.per_record + shape.element;
      if ((bitmap[bit / 8] >> (bit % 8) & 1) == 0) {
        column[record] = nan;
        found = true;
      }
    }
    return found;
  }
  // Skips whole words of valid values, because nulls are rare.
  const size_t words = shape.record_count / 64;
  for (size_t word = 0; word < words; ++word) {
    uint64_t nulls;
    std::memcpy(&nulls, bitmap + word * 8, sizeof(nulls));
    nulls = ~nulls;
    found |= nulls != 0;
    while (nulls != 0) {
      column[word * 64 + static_cast<size_t>(__builtin_ctzll(nulls))] = nan;
      nulls &= nulls - 1;
    }
  }
  for (size_t record = words * 64; record < shape.record_count; ++record) {
    if ((bitmap[record / 8] >> (record % 8) & 1) == 0) {
      column[record] = nan;
      found = true;
    }
  }
  return found;
}

template <class Value, class Stored>
void write(const ArrowShape &shape, const Stored *column, char *values) {
  values += shape.element * sizeof(Value);
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

void arrow_values_write_floats(ArrowShape shape, const float *column, void *values) {
  write_any(shape, column, values);
}

void arrow_values_write_doubles(ArrowShape shape, const double *column, void *values) {
  write_any(shape, column, values);
}
}
