// Writes the values of plain records into columns.
#ifndef ROWTARGET_H
#define ROWTARGET_H

#include "CNumberText.h"

#include <cstring>

namespace number_text {

// Returns the end of the last whole line; `begin` if there is no line end. The line end stops every search
// for the end of a field.
inline const char *whole_lines_end(const char *begin, const char *end) {
  const void *const last = memrchr(begin, '\n', static_cast<size_t>(end - begin));
  return last == nullptr ? begin : static_cast<const char *>(last) + 1;
}

// Fills a target record by record. Only committed records count.
class RowWriter {
 public:
  RowWriter(const RowTarget &target, const char *begin)
      : target_(target), begin_(begin), spans_(target.spans), span_(target.spans) {}

  bool is_full() const { return rows_.records == target_.most_records; }
  RowsRead rows() const { return rows_; }

  void start() { span_ = spans_; }

  // Stores a value, and the span of the text from `from` to `to` that spells it.
  void take(int32_t feature, double value, const char *from, const char *to) {
    const size_t cell = feature * target_.stride + target_.first_record + rows_.records;
    target_.values[cell] = value;
    if (spans_ == nullptr) return;
    *span_++ = TextSpan{target_.text_offset + static_cast<uint32_t>(from - begin_),
                        target_.text_offset + static_cast<uint32_t>(to - begin_),
                        static_cast<uint32_t>(cell)};
  }

  // Counts the record that ends before `after`.
  void commit(const char *after) {
    spans_ = span_;
    ++rows_.records;
    rows_.bytes = static_cast<size_t>(after - begin_);
  }

 private:
  const RowTarget target_;
  const char *const begin_;
  // `spans_` is after the spans of committed records, `span_` after those of the current record.
  TextSpan *spans_, *span_;
  RowsRead rows_ = {0, 0};
};

}  // namespace number_text

#endif
