// Reads the features of records by a trie of their paths.
#include "JsonTemplate.h"

#include <memory>
#include <string>
#include <unordered_map>

using namespace json;

namespace {

std::string quote(std::string_view text) {
  static const char hex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': quoted += "\\\""; break;
      case '\\': quoted += "\\\\"; break;
      case '\b': quoted += "\\b"; break;
      case '\f': quoted += "\\f"; break;
      case '\n': quoted += "\\n"; break;
      case '\r': quoted += "\\r"; break;
      case '\t': quoted += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          quoted += "\\u00";
          quoted += hex[c >> 4];
          quoted += hex[c & 15];
        } else {
          quoted += c;
        }
    }
  }
  return quoted + "\"";
}

// A place on the path of a feature, or the feature itself.
struct Node {
  enum class Kind { object, number, vector };

  Kind kind = Kind::object;
  std::string key;
  std::string quoted_key;
  // Whether the key may be compared with the bytes of the line as they are.
  bool is_plain = true;
  // The feature here, or the first one below.
  int32_t feature = -1;
  // The features of a vector's values, -1 where a value is none.
  std::vector<int32_t> elements;
  std::vector<std::unique_ptr<Node>> children;
  // The children by name; the keys are theirs.
  std::unordered_map<std::string_view, Node *> named;
  // The line that had it last.
  uint64_t line = 0;
  // The child that came first, and the sibling that came next, in the line before: records mostly
  // keep the order of their keys, so that one comparison finds the member.
  Node *first = nullptr;
  Node *next = nullptr;

  Node *child(std::string_view name) const {
    const auto found = named.find(name);
    return found == named.end() ? nullptr : found->second;
  }

  Node *add(std::string_view name, int32_t below) {
    auto node = std::make_unique<Node>();
    node->key = name;
    node->quoted_key = quote(name);
    node->is_plain = node->quoted_key.size() == name.size() + 2;
    node->feature = below;
    children.push_back(std::move(node));
    Node *added = children.back().get();
    named.emplace(added->key, added);
    if (first == nullptr) first = added;
    return added;
  }
};

}  // namespace

struct JsonRecordReader {
  // Where the walk is: in the object or vector of `node`, or (null) in one without features.
  struct Place {
    Node *node;
    // The member that was read last, and the one whose value comes.
    Node *last = nullptr, *member = nullptr;
    uint32_t start = 0;
    // Values of an array, or members of an object.
    size_t count = 0;
    // The feature that has this container instead of a number, and how that is to be called.
    int32_t stray_feature = -1;
    JsonValueKind stray_kind = JSON_INVALID;
  };

  // Text put into the line in the place of `removed` bytes.
  struct Edit {
    uint32_t offset, removed;
    size_t begin, end;  // of `inserted`
  };

  explicit JsonRecordReader(JsonLimits limits) : limits(limits) {}

  JsonLimits limits;
  Line line;
  Node root;
  std::vector<bool> seen;
  uint64_t line_number = 0;
  // What the next lines are likely to look like, and the scalars of the line that is walked.
  Template likely;
  std::vector<Template::Slot> slots;

  Walk<JsonRecordReader> *walk = nullptr;
  bool completes = false;
  std::vector<Place> places;
  std::vector<JsonFeatureValue> values;
  size_t found_count = 0;
  std::vector<Edit> edits;
  std::string inserted;
  std::string completed;
  // By how much the edits so far move the text after them.
  int64_t shift = 0;

  void start_line(bool completes_absent) {
    ++line_number;
    completes = completes_absent;
    places.clear();
    values.clear();
    slots.clear();
    found_count = 0;
    edits.clear();
    inserted.clear();
    shift = 0;
  }

  // MARK: The visitor

  bool begin(bool is_object, uint32_t offset) {
    if (places.empty()) {
      places.push_back(Place{&root});
      return true;
    }
    Place place{nullptr};
    place.start = offset;
    Place &parent = places.back();
    if (parent.node != nullptr && parent.node->kind == Node::Kind::vector) {
      place.stray_feature = next_element(parent);
    } else if (Node *node = parent.member) {
      const Node::Kind fitting = is_object ? Node::Kind::object : Node::Kind::vector;
      if (node->kind == fitting) {
        place.node = node;
      } else {
        place.stray_feature = node->feature;
        if (node->kind != Node::Kind::number) place.stray_kind = JSON_MISPLACED;
      }
    }
    places.push_back(place);
    return true;
  }

  bool key(ondemand::field &field) {
    Place &place = places.back();
    ++place.count;
    place.member = nullptr;
    std::string_view text;
    if (place.node == nullptr) return walk->read_key(field, &text);
    Node *guess = place.last != nullptr ? place.last->next : place.node->first;
    if (guess != nullptr && is_at(field.key().raw(), *guess)) {
      place.member = guess;
    } else {
      if (!walk->read_key(field, &text)) return false;
      place.member = place.node->child(text);
      if (place.member == nullptr) return true;
      (place.last != nullptr ? place.last->next : place.node->first) = place.member;
    }
    place.last = place.member;
    if (place.member->line == line_number) {
      return walk->refuse(JSON_MEMBER_TWICE, "", -1, place.member->feature);
    }
    place.member->line = line_number;
    return true;
  }

  bool scalar(Scalar kind, uint32_t offset, std::string_view text) {
    Place &place = places.back();
    const uint32_t end = offset + static_cast<uint32_t>(text.size());
    slots.push_back(Template::Slot{offset, end, -1});
    if (place.node == nullptr) return true;
    if (place.node->kind == Node::Kind::vector) {
      take(next_element(place), kind, offset, end, text);
    } else if (Node *node = place.member) {
      if (node->kind == Node::Kind::number) {
        take(node->feature, kind, offset, end, text);
      } else if (kind != Scalar::null) {
        emit(node->feature, JSON_MISPLACED, offset, end);
      } else if (completes) {
        const size_t begin = inserted.size();
        write_absent(*node, int64_t(offset) + shift - int64_t(begin));
        note_edit(offset, end - offset, begin);
      }
    }
    return true;
  }

  bool end() {
    const Place place = places.back();
    places.pop_back();
    if (place.stray_feature >= 0) {
      emit(place.stray_feature, place.stray_kind, place.start, walk->end_offset());
    }
    if (place.node == nullptr) return true;
    if (place.node->kind == Node::Kind::vector) {
      if (place.count == place.node->elements.size()) return true;
      if (place.count == 0) return replace_empty(place);
      return walk->refuse(JSON_VECTOR_LENGTH, "", -1, place.node->feature, place.count);
    }
    if (completes) complete(place);
    return true;
  }

  // An empty vector is missing, as a null one is.
  bool replace_empty(const Place &place) {
    if (completes) {
      const size_t begin = inserted.size();
      write_absent(*place.node, int64_t(place.start) + shift - int64_t(begin));
      note_edit(place.start, walk->end_offset() - place.start, begin);
    }
    return true;
  }

  // MARK: Values

  static int32_t next_element(Place &place) {
    const size_t index = place.count++;
    return index < place.node->elements.size() ? place.node->elements[index] : -1;
  }

  void take(int32_t feature, Scalar kind, uint32_t start, uint32_t end, std::string_view text) {
    if (feature < 0) return;
    slots.back().feature = feature;
    if (kind != Scalar::number) {
      emit(feature, kind == Scalar::null ? JSON_NULL : JSON_INVALID, start, end);
      return;
    }
    // Not by simdjson: version 3.0.1 reads 0. and more than 19 digits as another number.
    double value = 0;
    number_text_parse(text.data(), text.data() + text.size(), &value);
    if (value - value == 0) {
      emit(feature, JSON_NUMBER, start, end, value);
    } else {
      emit(feature, JSON_INVALID, start, end);
    }
  }

  void emit(int32_t feature, JsonValueKind kind, uint32_t start, uint32_t end, double value = 0) {
    values.push_back(JsonFeatureValue{value, static_cast<uint32_t>(start + shift),
                                      static_cast<uint32_t>(end + shift), feature, kind});
    if (kind != JSON_MISPLACED) {
      ++found_count;
      seen[feature] = true;
    }
  }

  // MARK: Keys

  // Whether the string that starts at `raw` is the key of `node`, by its bytes.
  bool is_at(const char *raw, const Node &node) const {
    const size_t left = line.bytes.data() + line.length - raw;
    return node.is_plain && node.key.size() < left &&
           std::memcmp(raw, node.key.data(), node.key.size()) == 0 && raw[node.key.size()] == '"';
  }

  // MARK: Putting in what is absent

  // Puts the members that the object lacks before its closing brace.
  void complete(const Place &place) {
    const size_t begin = inserted.size();
    bool needs_comma = place.count > 0;
    uint32_t offset = 0;
    for (const auto &child : place.node->children) {
      if (child->line == line_number) continue;
      if (inserted.size() == begin) offset = walk->end_offset() - 1;
      if (needs_comma) inserted += ',';
      needs_comma = true;
      inserted += child->quoted_key;
      inserted += ':';
      write_absent(*child, int64_t(offset) + shift - int64_t(begin));
    }
    if (inserted.size() > begin) note_edit(offset, 0, begin);
  }

  // Spells what `node` stands for with nulls; `base` leads from `inserted` to the completed text.
  void write_absent(const Node &node, int64_t base) {
    switch (node.kind) {
      case Node::Kind::number:
        write_null(node.feature, base);
        break;
      case Node::Kind::vector:
        inserted += '[';
        for (size_t i = 0; i < node.elements.size(); ++i) {
          if (i > 0) inserted += ',';
          write_null(node.elements[i], base);
        }
        inserted += ']';
        break;
      case Node::Kind::object:
        inserted += '{';
        for (size_t i = 0; i < node.children.size(); ++i) {
          if (i > 0) inserted += ',';
          inserted += node.children[i]->quoted_key;
          inserted += ':';
          write_absent(*node.children[i], base);
        }
        inserted += '}';
        break;
    }
  }

  void write_null(int32_t feature, int64_t base) {
    if (feature >= 0) {
      const uint32_t start = static_cast<uint32_t>(base + int64_t(inserted.size()));
      values.push_back(JsonFeatureValue{0, start, start + 4, feature, JSON_NULL});
      ++found_count;
    }
    inserted += "null";
  }

  // Keeps the line that was walked as a template, if it has all features in their places.
  void keep_as_template() {
    if (found_count != seen.size() || values.size() != found_count || !edits.empty()) return;
    for (const JsonFeatureValue &value : values) {
      if (value.kind != JSON_NUMBER && value.kind != JSON_NULL) return;
    }
    likely.keep(line.view(), slots);
  }

  void note_edit(uint32_t offset, uint32_t removed, size_t begin) {
    edits.push_back(Edit{offset, removed, begin, inserted.size()});
    shift += int64_t(inserted.size() - begin) - int64_t(removed);
  }

  std::string_view completed_text() {
    if (edits.empty()) return line.view();
    completed.clear();
    size_t copied = 0;
    for (const Edit &edit : edits) {
      completed.append(line.bytes.data() + copied, edit.offset - copied);
      completed.append(inserted, edit.begin, edit.end - edit.begin);
      copied = edit.offset + edit.removed;
    }
    completed.append(line.bytes.data() + copied, line.length - copied);
    return completed;
  }
};

JsonRecordReader *json_record_reader_create(JsonLimits limits) {
  return new JsonRecordReader(limits);
}

void json_record_reader_destroy(JsonRecordReader *reader) { delete reader; }

bool json_record_reader_add(JsonRecordReader *reader, const char *keys, const size_t *key_lengths,
                            size_t key_count, ptrdiff_t element, size_t vector_length) {
  const int32_t feature = static_cast<int32_t>(reader->seen.size());
  const Node::Kind kind = element < 0 ? Node::Kind::number : Node::Kind::vector;
  Node *node = &reader->root;
  bool is_new = false;
  for (size_t i = 0; i < key_count; ++i) {
    // A number or vector has nothing below it.
    if (node->kind != Node::Kind::object) return false;
    const std::string_view key(keys, key_lengths[i]);
    keys += key_lengths[i];
    Node *child = node->child(key);
    is_new = child == nullptr;
    node = is_new ? node->add(key, feature) : child;
  }
  if (is_new) {
    node->kind = kind;
    if (kind == Node::Kind::vector) node->elements.assign(vector_length, -1);
  } else if (kind != Node::Kind::vector || node->kind != kind) {
    return false;
  }
  if (kind == Node::Kind::vector) {
    if (static_cast<size_t>(element) >= node->elements.size()) return false;
    if (node->elements[element] >= 0) return false;
    node->elements[element] = feature;
  }
  reader->seen.push_back(false);
  return true;
}

bool json_record_reader_read(JsonRecordReader *reader, const char *line, size_t length,
                             bool completes, JsonRecord *record, JsonFault *fault) {
  Walk<JsonRecordReader> walk(reader->line, reader->limits, *reader, fault);
  if (simdjson::error_code code = reader->line.hold(line, length, reader->limits.depth)) {
    return walk.refuse(JSON_MALFORMED, words(code), -1);
  }
  reader->start_line(completes);
  reader->walk = &walk;
  const bool is_sound = walk.run();
  reader->walk = nullptr;
  if (!is_sound) return false;
  reader->keep_as_template();
  const std::string_view text = reader->completed_text();
  *record = JsonRecord{reader->values.data(), reader->values.size(), reader->found_count,
                       text.data(), text.size()};
  return true;
}

RowsRead json_rows_read(const JsonRecordReader *reader, const char *begin, const char *end,
                        size_t most_bytes, bool allows_null, const RowTarget *target) {
  number_text::RowWriter writer(*target, begin);
  if (reader->likely.is_empty()) return writer.rows();
  const char *const limit = number_text::whole_lines_end(begin, end);
  const char *place = begin;
  while (!writer.is_full() && place < limit) {
    writer.start();
    const char *const after = reader->likely.read(place, limit, end, allows_null, writer);
    if (after == nullptr || size_t(after - place) > most_bytes) break;
    writer.commit(after);
    place = after;
  }
  return writer.rows();
}

bool json_record_reader_has_seen(const JsonRecordReader *reader, int32_t feature) {
  return reader->seen[feature];
}

size_t json_quote(const char *text, size_t length, char *quoted) {
  const std::string result = quote(std::string_view(text, length));
  std::memcpy(quoted, result.data(), result.size());
  return result.size();
}
