// Walks one JSON object, value by value and without recursion, and checks all of it on the way.
//
// simdjson's first stage checks UTF-8, control characters in strings and that strings end; its
// on-demand stage checks commas, colons and brackets as the walk passes them. It does not check
// skipped values, so the walk visits every value: it compares literals, checks numbers against the
// grammar, and unescapes strings with a backslash.
#ifndef JSONWALK_H
#define JSONWALK_H

#include "CNumberText.h"

#define SIMDJSON_DEVELOPMENT_CHECKS 0
#include <simdjson.h>

#include <cstring>
#include <string_view>
#include <type_traits>
#include <vector>

namespace json {

namespace ondemand = simdjson::ondemand;

enum class Scalar { number, null, not_finite, other };

// An object or array that the walk is in.
struct Frame {
  bool is_object;
  bool has_begun;
  ondemand::object_iterator field;
  ondemand::array_iterator element;
};

// A copy of a line, with the readable bytes after it that simdjson needs. Keeps its buffers from one
// line to the next.
struct Line {
  ondemand::parser parser;
  std::vector<Frame> frames;
  std::vector<char> bytes;
  size_t length = 0;

  simdjson::error_code hold(const char *text, size_t text_length, size_t depth) {
    if (bytes.size() < text_length + simdjson::SIMDJSON_PADDING || parser.capacity() == 0) {
      // Doubled, so that lines that grow slowly do not allocate every time.
      const size_t capacity = 2 * text_length + 4096;
      if (simdjson::error_code code = parser.allocate(capacity, depth + 2)) return code;
      bytes.resize(capacity + simdjson::SIMDJSON_PADDING);
    }
    length = text_length;
    std::memcpy(bytes.data(), text, length);
    std::memset(bytes.data() + length, 0, simdjson::SIMDJSON_PADDING);
    return simdjson::SUCCESS;
  }

  std::string_view view() const { return std::string_view(bytes.data(), length); }
};

inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

inline std::string_view without_trailing_space(std::string_view text) {
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Whether `text` is a number by the grammar of RFC 8259, and nothing else.
inline bool is_number(std::string_view text) {
  const char *p = text.data(), *end = p + text.size();
  const auto digits = [&] {
    const char *first = p;
    while (p != end && *p >= '0' && *p <= '9') ++p;
    return p - first;
  };
  if (p != end && *p == '-') ++p;
  const bool leads_with_zero = p != end && *p == '0';
  const auto integer_digits = digits();
  if (integer_digits == 0 || (leads_with_zero && integer_digits > 1)) return false;
  if (p != end && *p == '.') {
    ++p;
    if (digits() == 0) return false;
  }
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end && (*p == '+' || *p == '-')) ++p;
    if (digits() == 0) return false;
  }
  return p == end;
}

// Whether `token` is a number that JSON does not know, as Python and JavaScript write them.
inline bool is_not_finite(std::string_view token) {
  return token == "NaN" || token == "Infinity" || token == "-Infinity";
}

// The number in a string without backslashes, quotes aside; empty if it holds anything else.
inline std::string_view number_in_quotes(std::string_view token, double *value) {
  if (token.size() < 3 || token[0] != '"') return {};
  const std::string_view text = token.substr(1, token.size() - 2);
  const char *const end = text.data() + text.size();
  if (number_text_parse(text.data(), end, value) != end || *value - *value != 0) return {};
  return text;
}

// Whether each backslash of a string starts an escape that RFC 8259 knows. Halves of surrogate pairs are
// not looked for: it lets them stand alone.
inline bool has_sound_escapes(std::string_view text) {
  const auto is_hex = [](char c) {
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') continue;
    if (++i == text.size()) return false;
    if (text[i] == 'u') {
      for (const size_t end = i + 4; i < end; ) {
        if (++i >= text.size() || !is_hex(text[i])) return false;
      }
    } else if (std::string_view("\"\\/bfnrt").find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

// A key that no feature has, since it is no UTF-8: that of a member whose key holds half of a surrogate
// pair.
inline constexpr std::string_view unspellable_key = "\xFF";

// The offset of the text after the object that starts a line, or of the end of the line if the object does
// not end.
inline size_t end_of_object(std::string_view text, size_t first) {
  size_t depth = 0;
  for (size_t i = first; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\';
    } else if (text[i] == '{' || text[i] == '[') {
      ++depth;
    } else if ((text[i] == '}' || text[i] == ']') && --depth == 0) {
      ++i;
      while (i < text.size() && is_space(text[i])) ++i;
      return i;
    }
  }
  return text.size();
}

inline const char *words(simdjson::error_code code) {
  switch (code) {
    case simdjson::TAPE_ERROR: return "a missing comma, colon, quote or bracket";
    case simdjson::INCOMPLETE_ARRAY_OR_OBJECT: return "an object or array without its end";
    case simdjson::STRING_ERROR: return "a bad escape in a string";
    case simdjson::UTF8_ERROR: return "bytes that are not UTF-8";
    case simdjson::UNESCAPED_CHARS: return "a control character in a string";
    case simdjson::UNCLOSED_STRING: return "a string without its end";
    case simdjson::CAPACITY:
    case simdjson::MEMALLOC: return "a line too long for the memory that is left";
    default: return simdjson::error_message(code);
  }
}

// The walk over the line in a `Line`. `Visitor` has these functions. Offsets are in bytes of the line.
// Each returns whether to continue; if not, it has called `refuse`:
//   bool begin(bool is_object, uint32_t offset)
//   bool key(ondemand::field &field)
//   bool scalar(Scalar kind, uint32_t offset, std::string_view text)
//   bool end()                                      may ask `end_offset`
template <class Visitor>
class Walk {
 public:
  Walk(Line &line, const JsonLimits &limits, Visitor &visitor, JsonFault *fault)
      : line_(line), limits_(limits), visitor_(visitor), fault_(fault) {}

  // Returns whether the line is one sound object that the visitor took.
  bool run() {
    *fault_ = JsonFault{JSON_SOUND, "", -1, -1, 0};
    const std::string_view text = line_.view();
    size_t first = 0;
    while (first < text.size() && is_space(text[first])) ++first;
    if (first == text.size() || text[first] != '{') {
      return refuse(JSON_NOT_AN_OBJECT, "", first);
    }
    line_.frames.clear();
    // The parser would only tell that the line does not end in a bracket.
    if (without_trailing_space(text).back() != '}') return refuse_end(text, first);
    const auto padded = simdjson::padded_string_view(
        text.data(), text.size(), text.size() + simdjson::SIMDJSON_PADDING);
    if (simdjson::error_code code = line_.parser.iterate(padded).get(document_)) {
      return refuse(JSON_MALFORMED, words(code), -1);
    }
    ondemand::object root;
    if (simdjson::error_code code = document_.get_object().get(root)) return refuse(code);
    if (!open(root, first)) return false;
    while (!line_.frames.empty()) {
      if (!step()) return false;
    }
    const char *trailing;
    if (document_.current_location().get(trailing) == simdjson::SUCCESS) {
      return refuse(JSON_MALFORMED, "more text after the object", trailing - line_.bytes.data());
    }
    return true;
  }

  // Refuses a line that does not end in the bracket of its object.
  bool refuse_end(std::string_view text, size_t first) {
    const size_t end = end_of_object(text, first);
    if (end == text.size()) {
      return refuse(JSON_MALFORMED, "no end of the object in its line (one record, one line)", -1);
    }
    const bool is_comment = text[end] == '#' || text.substr(end, 2) == "//";
    return refuse(JSON_MALFORMED,
                  text[end] == ',' ? "a comma after the object"
                  : is_comment     ? "a comment after the object"
                                   : "more text after the object",
                  end);
  }

  bool refuse(JsonFaultReason reason, const char *message, ptrdiff_t offset, int32_t feature = -1,
              size_t count = 0) {
    *fault_ = JsonFault{reason, message, offset, feature, count};
    return false;
  }

  bool refuse(simdjson::error_code code) {
    const char *location;
    const bool is_known = document_.current_location().get(location) == simdjson::SUCCESS;
    return refuse(JSON_MALFORMED, words(code),
                  is_known ? location - line_.bytes.data() : -1);
  }

  // Reads the text of a key, and unescapes it if needed. Refuses a bad escape.
  bool read_key(ondemand::field &field, std::string_view *text) {
    const char *const key = field.key().raw();
    const char *end = key;
    bool is_escaped = false;
    // The first stage has seen the closing quote.
    for (; *end != '"'; ++end) {
      if (*end != '\\') continue;
      is_escaped = true;
      ++end;
    }
    *text = std::string_view(key, end - key);
    if (!is_escaped) return true;
    const std::string_view raw = *text;
    if (field.unescaped_key().get(*text) == simdjson::SUCCESS) return true;
    *text = unspellable_key;
    return has_sound_escapes(raw) || refuse(JSON_MALFORMED, words(simdjson::STRING_ERROR),
                                            key - 1 - line_.bytes.data());
  }

  // Just after the bracket of the container that ends; only the visitor's `end` may ask.
  uint32_t end_offset() {
    const char *next;
    std::string_view before = line_.view();
    if (document_.current_location().get(next) == simdjson::SUCCESS) {
      before = before.substr(0, next - before.data());
    }
    return static_cast<uint32_t>(without_trailing_space(before).size());
  }

 private:
  template <class Container>
  bool open(Container &container, size_t offset) {
    constexpr bool is_object = std::is_same_v<Container, ondemand::object>;
    if (line_.frames.size() >= limits_.depth) return refuse(JSON_TOO_DEEP, "", offset);
    Frame frame{is_object, false, {}, {}};
    simdjson::error_code code;
    if constexpr (is_object) {
      code = container.begin().get(frame.field);
    } else {
      code = container.begin().get(frame.element);
    }
    if (code) return refuse(code);
    line_.frames.push_back(frame);
    return visitor_.begin(is_object, static_cast<uint32_t>(offset));
  }

  // Reads the next value of the innermost container, or leaves the container.
  bool step() {
    Frame &frame = line_.frames.back();
    if (frame.is_object) {
      if (frame.has_begun) ++frame.field;
      frame.has_begun = true;
      if (frame.field == ondemand::object_iterator()) return close();
      ondemand::field field;
      if (simdjson::error_code code = (*frame.field).get(field)) return refuse(code);
      if (++members_ > limits_.members) return refuse(JSON_TOO_MANY_MEMBERS, "", -1);
      return visitor_.key(field) && take(field.value());
    }
    if (frame.has_begun) ++frame.element;
    frame.has_begun = true;
    if (frame.element == ondemand::array_iterator()) return close();
    ondemand::value value;
    if (simdjson::error_code code = (*frame.element).get(value)) return refuse(code);
    return take(value);
  }

  bool close() {
    line_.frames.pop_back();
    return visitor_.end();
  }

  bool take(ondemand::value &value) {
    // A token reaches up to the next one.
    const std::string_view token = without_trailing_space(value.raw_json_token());
    const size_t offset = token.data() - line_.bytes.data();
    Scalar kind = Scalar::other;
    switch (token.empty() ? '\0' : token[0]) {
      case '{': {
        ondemand::object object;
        if (simdjson::error_code code = value.get_object().get(object)) return refuse(code);
        return open(object, offset);
      }
      case '[': {
        ondemand::array array;
        if (simdjson::error_code code = value.get_array().get(array)) return refuse(code);
        return open(array, offset);
      }
      case '"':
        if (token.size() < 2 || token.back() != '"') {
          return refuse(JSON_MALFORMED, "more text after a string", offset);
        }
        if (!has_sound_escapes(token.substr(1, token.size() - 2))) {
          return refuse(JSON_MALFORMED, words(simdjson::STRING_ERROR), offset);
        }
        break;
      case 't':
        if (token != "true") return refuse(JSON_MALFORMED, "a word unknown to JSON", offset);
        break;
      case 'f':
        if (token != "false") return refuse(JSON_MALFORMED, "a word unknown to JSON", offset);
        break;
      case 'n':
        if (token != "null") return refuse(JSON_MALFORMED, "a word unknown to JSON", offset);
        kind = Scalar::null;
        break;
      case ',':
      case ':':
      case ']':
      case '}':
      case '\0':
        return refuse(JSON_MALFORMED, "no value where one belongs", offset);
      default:
        if (is_not_finite(token)) {
          if (!limits_.allows_not_finite) {
            return refuse(JSON_MALFORMED,
                          "NaN or an infinity, which JSON does not know "
                          "(--on-invalid missing takes it for a missing value)",
                          offset);
          }
          kind = Scalar::not_finite;
          break;
        }
        if (!is_number(token)) {
          return refuse(JSON_MALFORMED, "a value that JSON does not know", offset);
        }
        kind = Scalar::number;
    }
    return visitor_.scalar(kind, static_cast<uint32_t>(offset), token);
  }

  Line &line_;
  const JsonLimits &limits_;
  Visitor &visitor_;
  JsonFault *fault_;
  ondemand::document document_;
  size_t members_ = 0;
};

}  // namespace json

#endif
