// Puts the values of plain records where they belong.
#ifndef ROWTARGET_H
#define ROWTARGET_H

#include "CNumberText.h"

#include <cstring>

namespace number_text {

// The bytes up to the last line end, which stops whatever looks for the end of a field; empty where
// there is none.
inline const char *whole_lines_end(const char *begin, const char *end) {
  const void *const last = memrchr(begin, '\n', static_cast<size_t>(end - begin));
  return last == nullptr ? begin : static_cast<const char *>(last) + 1;
}

// Fills a target record by record; a record counts once it is committed.
class RowWriter {
 public:
  RowWriter(const RowTarget &target, const char *begin)
      : target_(target), begin_(begin), spans_(target.spans), span_(target.spans) {}

  bool is_full() const { return rows_.records == target_.most_records; }
  RowsRead rows() const { return rows_; }

  void start() { span_ = spans_; }

  // Takes the value that the bytes from `from` to `to` spell.
  void take(int32_t feature, double value, const char *from, const char *to) {
    const size_t cell = feature * target_.stride + target_.first_record + rows_.records;
    target_.values[cell] = value;
    if (spans_ == nullptr) return;
    *span_++ = TextSpan{target_.text_offset + static_cast<uint32_t>(from - begin_),
                        target_.text_offset + static_cast<uint32_t>(to - begin_),
                        static_cast<uint32_t>(cell)};
  }

  // The record ends before `after`.
  void commit(const char *after) {
    spans_ = span_;
    ++rows_.records;
    rows_.bytes = static_cast<size_t>(after - begin_);
  }

 private:
  const RowTarget target_;
  const char *const begin_;
  // Behind the spans of whole records, and behind those of the record under way.
  TextSpan *spans_, *span_;
  RowsRead rows_ = {0, 0};
};

}  // namespace number_text

#endif
