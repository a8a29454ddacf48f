// A C interface to number text (C++ standard library) and JSON (simdjson).
#ifndef CNUMBERTEXT_H
#define CNUMBERTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// The longest text that the formatting functions write.
#define NUMBER_TEXT_CAPACITY 32

// Reads the decimal number at the start of [begin, end): optional '+' or '-', digits, fraction, exponent, or
// inf/infinity/nan in any case. The result is correctly rounded. A number beyond the range gives an infinity; one
// below it gives zero or a subnormal. Returns the position after the number, or NULL if no number starts at `begin`.
const char *_Nullable number_text_parse(const char *_Nonnull begin, const char *_Nonnull end,
                                        double *_Nonnull value);

// Writes the shortest text that reads back as the same number; returns its length.
size_t number_text_format_float(float value, char *_Nonnull text);
size_t number_text_format_double(double value, char *_Nonnull text);

// MARK: Records

// The bytes of a text that spell one value, and the index of the value among the columns.
typedef struct TextSpan {
  uint32_t start, end;
  uint32_t cell;
} TextSpan;

// How to read CSV records.
typedef struct CsvPlan {
  const int32_t *_Nonnull features;  // the feature of each column, or -1
  size_t column_count;
  char delimiter;
  int comment;  // the first character of a line that is no record, or -1
  bool allows_missing;
  // The tokens that mean a missing value, besides the empty field, one after another.
  const char *_Nullable tokens;
  const size_t *_Nullable token_lengths;
  size_t token_count;
  size_t record_bytes;  // the longest record, line end included
  double greatest;      // the greatest valid |value|
} CsvPlan;

// The columns that take the values: feature j of record i goes to values[j * stride + first_record + i], NaN if it is
// missing.
typedef struct RowTarget {
  double *_Nonnull values;
  size_t stride;
  size_t first_record;
  size_t most_records;
  // NULL, or room for a span of each value. The first byte read has the offset `text_offset`.
  TextSpan *_Nullable spans;
  uint32_t text_offset;
} RowTarget;

// How many records were read, and their bytes.
typedef struct RowsRead {
  size_t records;
  size_t bytes;
} RowsRead;

// Reads plain records from `begin` on. Stops when the target is full, when no whole record is left
// before `end`, or before a record that is not plain. The caller reads that one. A plain record has none of these:
// - a quote, or blanks around a number;
// - a value that is no number, or above the greatest one;
// - more or fewer fields than columns;
// - a blank line, if there are two columns or more;
// - more than `record_bytes` bytes.
RowsRead csv_rows_read(const CsvPlan *_Nonnull plan, const char *_Nonnull begin,
                       const char *_Nonnull end, const RowTarget *_Nonnull target);

// Copies the text from `begin` to `end`, and writes the value of each span in its place.
//
// A value is written as the shortest text that reads back as the same float or double. NaN leaves its span
// unchanged. A value that becomes infinite is written as `overflow`, unless that is NULL. One of `floats` and
// `doubles` is NULL. The fraction of a number follows `decimal`.
//
// `output` has room for the text, for the larger of NUMBER_TEXT_CAPACITY and overflow_length for each span,
// and for 16 bytes more. Returns the number of bytes written.
size_t text_splice(const char *_Nonnull text, size_t begin, size_t end,
                   const TextSpan *_Nonnull spans, size_t span_count,
                   const float *_Nullable floats, const double *_Nullable doubles,
                   bool writes_doubles, const char *_Nullable overflow, size_t overflow_length,
                   char decimal, char *_Nonnull output);

// MARK: JSON records
//
// A feature is a leaf of a record: a path of member keys, and for a value of a vector (an array of numbers)
// its index. Keys are UTF-8. They stand one after another in `keys`, with their lengths in `key_lengths`.
// Offsets are bytes from the start of the line. No function keeps its arguments.

// Bounds on one record: how deep it may nest, and how many members all its objects may have. And the parts of
// it that JSON does not know.
typedef struct JsonLimits {
  size_t depth;
  size_t members;
  bool allows_not_finite;  // NaN, Infinity and -Infinity, which count as invalid values
  double greatest;         // the greatest valid |value|
  bool quoted_numbers;     // a string of digits in the place of a feature is a number
} JsonLimits;

// Why a line is not a valid record.
typedef enum JsonFaultReason {
  JSON_SOUND,
  JSON_NOT_AN_OBJECT,
  JSON_MALFORMED,          // `message` says what is wrong
  JSON_TOO_DEEP,
  JSON_TOO_MANY_MEMBERS,
  JSON_MEMBER_TWICE,       // `feature` is one that the member holds
  JSON_VECTOR_LENGTH,      // `count` values were found in the vector of `feature`
} JsonFaultReason;

typedef struct JsonFault {
  JsonFaultReason reason;
  const char *_Nullable message;  // static text
  ptrdiff_t offset;              // -1 if unknown
  int32_t feature;               // -1 if there is none
  size_t count;
} JsonFault;

typedef enum JsonLeafKind {
  JSON_LEAF_NUMBER,
  JSON_LEAF_INTEGER,  // a number without a point and an exponent
  JSON_LEAF_VECTOR,   // an array of numbers and nulls with at least one number
  JSON_LEAF_NESTED,   // an array that contains arrays or objects
  JSON_LEAF_OTHER,    // a string, true or false
} JsonLeafKind;

// A place in a record that objects alone lead to.
typedef struct JsonLeaf {
  const char *_Nonnull keys;
  const size_t *_Nonnull key_lengths;
  size_t key_count;
  JsonLeafKind kind;
  double number;  // of a number or integer; beyond the range it is infinite
  size_t length;  // of a vector
} JsonLeaf;

// The leaves of one record, in the order of the text.
typedef struct JsonLeaves JsonLeaves;

// Lists the leaves of a record and of its nested objects.
// Returns NULL and sets `fault` if the line is not a valid record.
JsonLeaves *_Nullable json_leaves_create(const char *_Nonnull line, size_t length,
                                         JsonLimits limits, JsonFault *_Nonnull fault);
void json_leaves_destroy(JsonLeaves *_Nonnull leaves);
size_t json_leaves_count(const JsonLeaves *_Nonnull leaves);
// The returned pointers are valid as long as `leaves`.
JsonLeaf json_leaves_get(const JsonLeaves *_Nonnull leaves, size_t index);

// The kind of the value that was found at the path of a feature.
typedef enum JsonValueKind {
  JSON_NUMBER,     // a valid number
  JSON_NULL,
  JSON_INVALID,    // any other value, or a number beyond the range of a double
  JSON_MISPLACED,  // another value than the object or vector that the path needs
} JsonValueKind;

typedef struct JsonFeatureValue {
  double value;  // 0 unless the kind is JSON_NUMBER
  uint32_t start, end;
  int32_t feature;
  JsonValueKind kind;
} JsonFeatureValue;

typedef struct JsonRecord {
  const JsonFeatureValue *_Nullable values;  // in the order of the text
  size_t value_count;
  size_t found_count;  // features found, the misplaced ones left out
  // The line. If it was completed, it contains the absent members too. Offsets are into this text.
  const char *_Nullable text;
  size_t text_length;
} JsonRecord;

// Reads the features of records. One thread at a time may use it.
typedef struct JsonRecordReader JsonRecordReader;

JsonRecordReader *_Nonnull json_record_reader_create(JsonLimits limits);
void json_record_reader_destroy(JsonRecordReader *_Nonnull reader);

// Adds a feature; the first one has the index 0. `element` is the index in a vector of `vector_length` values, or -1
// if the feature is a number by itself. Returns false if the path conflicts with that of another feature: the same
// path, or a and a.b.
bool json_record_reader_add(JsonRecordReader *_Nonnull reader, const char *_Nonnull keys,
                            const size_t *_Nonnull key_lengths, size_t key_count,
                            ptrdiff_t element, size_t vector_length);

// Reads and checks one line. With `completes`, inserts each absent feature as null. `record` points to memory
// that is valid until the next call. Returns false and sets `fault` if the line is not a valid record.
bool json_record_reader_read(JsonRecordReader *_Nonnull reader, const char *_Nonnull line,
                             size_t length, bool completes, JsonRecord *_Nonnull record,
                             JsonFault *_Nonnull fault);

// Reads lines from `begin` on, as `csv_rows_read` does. A line must have at most `most_bytes`, and differ only
// in its scalars from a line that `json_record_reader_read` has read.
RowsRead json_rows_read(const JsonRecordReader *_Nonnull reader, const char *_Nonnull begin,
                        const char *_Nonnull end, size_t most_bytes, bool allows_null,
                        const RowTarget *_Nonnull target);

// Whether any line so far contained the feature, as null or not.
bool json_record_reader_has_seen(const JsonRecordReader *_Nonnull reader, int32_t feature);

// Writes `text` as a JSON string, quotes included, to `quoted`, which has room for
// 6 * length + 2 bytes. Returns the number of bytes written.
size_t json_quote(const char *_Nullable text, size_t length, char *_Nonnull quoted);

#ifdef __cplusplus
}
#endif
#endif
