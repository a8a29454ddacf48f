// Reads the plain records of CSV: no quotes, no blanks around numbers, nothing that is a fault.
#include "CNumberText.h"
#include "PlainNumber.h"
#include "RowTarget.h"

#include <cmath>
#include <limits>

using namespace number_text;

namespace {

// Finds the first delimiter, line end or quote from `text` on. There is one.
inline const char *field_end(const char *text, const char *end, char delimiter) {
#ifdef __SSE2__
  const __m128i delimiters = _mm_set1_epi8(delimiter);
  const __m128i line_ends = _mm_set1_epi8('\n');
  const __m128i quotes = _mm_set1_epi8('"');
  for (; end - text >= 16; text += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(text));
    const __m128i found =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, quotes), _mm_or_si128(_mm_cmpeq_epi8(bytes, delimiters),
                                                                 _mm_cmpeq_epi8(bytes, line_ends)));
    if (const int mask = _mm_movemask_epi8(found)) return text + __builtin_ctz(mask);
  }
#endif
  while (*text != delimiter && *text != '\n' && *text != '"') ++text;
  return text;
}

bool is_missing(const CsvPlan &plan, const char *begin, const char *end) {
  const char *token = plan.tokens;
  for (size_t i = 0; i < plan.token_count; ++i) {
    const size_t length = plan.token_lengths[i];
    if (size_t(end - begin) == length && std::memcmp(begin, token, length) == 0) return true;
    token += length;
  }
  return begin == end;
}

// Reads a value that is no plain number. Returns the position after it, or NULL if this file cannot
// read it.
const char *read_other(const CsvPlan &plan, const char *begin, const char *end, double *value) {
  const char *after = field_end(begin, end, plan.delimiter);
  if (*after == '"') return nullptr;
  if (*after == '\n' && after > begin && after[-1] == '\r') --after;
  if (number_text_parse(begin, after, value) == after && std::fabs(*value) <= plan.greatest) {
    return after;
  }
  *value = std::numeric_limits<double>::quiet_NaN();
  return plan.allows_missing && is_missing(plan, begin, after) ? after : nullptr;
}

}  // namespace

RowsRead csv_rows_read(const CsvPlan *plan_given, const char *begin, const char *end,
                       const RowTarget *target) {
  const CsvPlan plan = *plan_given;
  RowWriter writer(*target, begin);
  const char *const limit = whole_lines_end(begin, end);
  const char *cursor = begin;
  while (!writer.is_full() && cursor < limit) {
    const char *const start = cursor;
    if (plan.column_count > 1 && (*cursor == '\n' || *cursor == '\r')) break;
    if (*cursor == plan.comment) break;
    writer.start();
    for (size_t column = 0;;) {
      const int32_t feature = plan.features[column];
      if (feature < 0) {
        cursor = field_end(cursor, end, plan.delimiter);
      } else {
        double value = 0;
        const char *after = nullptr;
        if (size_t(end - cursor) >= plain_number_reach) after = parse_plain(cursor, &value);
        if (after == nullptr || (*after != plan.delimiter && *after != '\n')) {
          after = read_other(plan, cursor, end, &value);
          if (after == nullptr) return writer.rows();
        }
        writer.take(feature, value, cursor, after);
        cursor = after;
      }
      if (++column == plan.column_count) break;
      if (*cursor != plan.delimiter) return writer.rows();
      ++cursor;
    }
    if (*cursor == '\r') ++cursor;
    if (*cursor != '\n') break;
    ++cursor;
    if (size_t(cursor - start) > plan.record_bytes) break;
    writer.commit(cursor);
  }
  return writer.rows();
}
