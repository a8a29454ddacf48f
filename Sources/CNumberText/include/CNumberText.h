// Text <-> number through the C++ standard library, and JSON through simdjson, behind C.
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

// Reads the decimal number at the start of [begin, end): optional '+' or '-', digits, fraction,
// exponent, or inf/infinity/nan in any case. Correctly rounded; beyond the range gives an infinity,
// below it zero or a subnormal.
// Returns just after the last byte of the number, or NULL where no number starts.
const char *_Nullable number_text_parse(const char *_Nonnull begin, const char *_Nonnull end,
                                        double *_Nonnull value);

// Writes the shortest text that reads back as the same number; returns its length.
size_t number_text_format_float(float value, char *_Nonnull text);
size_t number_text_format_double(double value, char *_Nonnull text);

// MARK: Records

// The bytes of a text that spell one value, and the index at which it stands among the columns.
typedef struct TextSpan {
  uint32_t start, end;
  uint32_t cell;
} TextSpan;

// How records of CSV are read.
typedef struct CsvPlan {
  const int32_t *_Nonnull features;  // the feature of each column, -1 where it is none
  size_t column_count;
  char delimiter;
  bool allows_missing;
  // What a missing value is spelled besides the empty field: one after another.
  const char *_Nullable tokens;
  const size_t *_Nullable token_lengths;
  size_t token_count;
  size_t record_bytes;  // the longest record, line end included
} CsvPlan;

// Where the records that are read go: feature j of record i to
// values[j * stride + first_record + i], NaN where it is missing.
typedef struct RowTarget {
  double *_Nonnull values;
  size_t stride;
  size_t first_record;
  size_t most_records;
  // NULL, or room for a span of each value; they count from `text_offset` for the first byte read.
  TextSpan *_Nullable spans;
  uint32_t text_offset;
} RowTarget;

// How many records were read, and their bytes.
typedef struct RowsRead {
  size_t records;
  size_t bytes;
} RowsRead;

// Reads records from `begin` on until the target is full, no whole one is left before `end`, or one
// comes that holds anything but plain fields: a quote, blanks around a number, a value that is no
// number, more or fewer fields, a blank line; that one is left to the caller.
RowsRead csv_rows_read(const CsvPlan *_Nonnull plan, const char *_Nonnull begin,
                       const char *_Nonnull end, const RowTarget *_Nonnull target);

// Writes the text from `begin` to `end` with the values in the place of its spans, as the shortest text that reads back as
// the same float or double; NaN leaves its span as it is. The values are floats or doubles, the other
// is NULL. A value that is infinite as written is spelled as `overflow`, if that is not NULL.
//
// `output` has room for the text, NUMBER_TEXT_CAPACITY bytes or overflow_length more for each span,
// and 16 more. Returns how many bytes were written.
size_t text_splice(const char *_Nonnull text, size_t begin, size_t end,
                   const TextSpan *_Nonnull spans, size_t span_count,
                   const float *_Nullable floats, const double *_Nullable doubles,
                   bool writes_doubles, const char *_Nullable overflow, size_t overflow_length,
                   char *_Nonnull output);

// MARK: JSON records
//
// A feature is a leaf of a record: a path of member keys, and for one value of an array of numbers
// (a vector) the index in it. Keys are UTF-8 and stand one after another in `keys`, their lengths
// in `key_lengths`. Offsets are bytes from the start of the line. No function keeps what it was
// given.

// Bounds on one record: the deepest that it may nest, and the members of all its objects together.
typedef struct JsonLimits {
  size_t depth;
  size_t members;
} JsonLimits;

// Why a line is no record.
typedef enum JsonFaultReason {
  JSON_SOUND,
  JSON_NOT_AN_OBJECT,
  JSON_MALFORMED,          // `message` says what is wrong
  JSON_TOO_DEEP,
  JSON_TOO_MANY_MEMBERS,
  JSON_MEMBER_TWICE,       // `feature` is the one, or one of those, that the member holds
  JSON_VECTOR_LENGTH,      // `count` values were found in the vector of `feature`
} JsonFaultReason;

typedef struct JsonFault {
  JsonFaultReason reason;
  const char *_Nullable message;  // static text
  ptrdiff_t offset;              // -1 where unknown
  int32_t feature;               // -1 where there is none
  size_t count;
} JsonFault;

// A place of the first record that can be a feature: a number, or a vector of `length` values.
typedef struct JsonLeaf {
  const char *_Nonnull keys;
  const size_t *_Nonnull key_lengths;
  size_t key_count;
  bool is_vector;
  size_t length;
} JsonLeaf;

// The leaves of one record in the order in which they stand.
typedef struct JsonLeaves JsonLeaves;

// Lists the numbers of a record and its nested objects, and the arrays of numbers (and nulls) only.
// Returns NULL, and the fault, where the line is no record.
JsonLeaves *_Nullable json_leaves_create(const char *_Nonnull line, size_t length,
                                         JsonLimits limits, JsonFault *_Nonnull fault);
void json_leaves_destroy(JsonLeaves *_Nonnull leaves);
size_t json_leaves_count(const JsonLeaves *_Nonnull leaves);
// What it points to lives as long as `leaves`.
JsonLeaf json_leaves_get(const JsonLeaves *_Nonnull leaves, size_t index);

// What stands where a feature is expected.
typedef enum JsonValueKind {
  JSON_NUMBER,     // a finite number
  JSON_NULL,
  JSON_INVALID,    // any other value, a number beyond Double's range included
  JSON_MISPLACED,  // no object or vector where the path of the feature needs one
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
  // The line, with the absent members put in if that was asked for; offsets are into this text.
  const char *_Nullable text;
  size_t text_length;
} JsonRecord;

// Reads the features of records; for one thread at a time.
typedef struct JsonRecordReader JsonRecordReader;

JsonRecordReader *_Nonnull json_record_reader_create(JsonLimits limits);
void json_record_reader_destroy(JsonRecordReader *_Nonnull reader);

// Adds a feature; the first one has the index 0. `element` is the index in a vector of
// `vector_length` values, or -1 where the feature is a number by itself.
// Returns false where the path contradicts that of another feature (a and a.b, or the same one).
bool json_record_reader_add(JsonRecordReader *_Nonnull reader, const char *_Nonnull keys,
                            const size_t *_Nonnull key_lengths, size_t key_count,
                            ptrdiff_t element, size_t vector_length);

// Reads and checks one line. With `completes`, features that are absent are put in, spelled null.
// What `record` points to lives until the next call. Returns false, and the fault, where the line
// is no record.
bool json_record_reader_read(JsonRecordReader *_Nonnull reader, const char *_Nonnull line,
                             size_t length, bool completes, JsonRecord *_Nonnull record,
                             JsonFault *_Nonnull fault);

// Reads lines from `begin` on, as `csv_rows_read` does, as long as they differ from one that
// `json_record_reader_read` has read in their scalars alone, and have at most `most_bytes`.
RowsRead json_rows_read(const JsonRecordReader *_Nonnull reader, const char *_Nonnull begin,
                        const char *_Nonnull end, size_t most_bytes, bool allows_null,
                        const RowTarget *_Nonnull target);

// Whether any line so far had the feature, null or not.
bool json_record_reader_has_seen(const JsonRecordReader *_Nonnull reader, int32_t feature);

// Writes `text` as a JSON string, quotes included, to `quoted`, which has room for
// 6 * length + 2 bytes; returns how many were written.
size_t json_quote(const char *_Nullable text, size_t length, char *_Nonnull quoted);

#ifdef __cplusplus
}
#endif
#endif
