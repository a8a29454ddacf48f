// Writes records as they were read, with new numbers in place of some spans.
#include "CNumberText.h"
#include "ShortestText.h"

#include <algorithm>
#include <cmath>

using namespace number_text;

namespace {

// Copies the text between two numbers. May overwrite up to sixteen bytes after it.
inline char *copy(const char *from, const char *to, const char *end, char *output) {
  const size_t count = static_cast<size_t>(to - from);
  if (count <= 16 && end - from >= 16) {
    std::memcpy(output, from, 16);
  } else {
    std::memcpy(output, from, count);
  }
  return output + count;
}

// A point is the common decimal mark. Asking for it in the loop costs an eleventh of the time.
template <bool writes_point, class Written, class Stored>
char *splice(const char *text, size_t begin, size_t length, const TextSpan *spans,
             size_t span_count, const Stored *values, const char *overflow,
             size_t overflow_length, char decimal, char *output) {
  const char *const end = text + length;
  const char *copied = text + begin;
  for (const TextSpan *span = spans; span != spans + span_count; ++span) {
    const Stored value = values[span->cell];
    if (value != value) continue;
    output = copy(copied, text + span->start, end, output);
    const Written number = static_cast<Written>(value);
    if (overflow != nullptr && std::isinf(number)) {
      std::memcpy(output, overflow, overflow_length);
      output += overflow_length;
    } else {
      char *const begin_of_number = output;
      output = write_shortest(number, output);
      if (!writes_point) std::replace(begin_of_number, output, '.', decimal);
    }
    copied = text + span->end;
  }
  return copy(copied, end, end, output);
}

}  // namespace

size_t text_splice(const char *text, size_t begin, size_t end, const TextSpan *spans,
                   size_t span_count, const float *floats, const double *doubles,
                   bool writes_doubles, const char *overflow, size_t overflow_length,
                   char decimal, char *output) {
  const auto write = [&](auto written, const auto *values) {
    using Written = decltype(written);
    if (decimal == '.') {
      return splice<true, Written>(text, begin, end, spans, span_count, values, overflow,
                                   overflow_length, decimal, output);
    }
    return splice<false, Written>(text, begin, end, spans, span_count, values, overflow,
                                  overflow_length, decimal, output);
  };
  const char *written_end;
  if (floats != nullptr) {
    written_end = writes_doubles ? write(double(), floats) : write(float(), floats);
  } else {
    written_end = writes_doubles ? write(double(), doubles) : write(float(), doubles);
  }
  return static_cast<size_t>(written_end - output);
}
