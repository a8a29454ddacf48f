// Reads the features of records, by a trie of their paths.
#include "JsonTemplate.h"
#include "JsonTrie.h"

using namespace json;

struct JsonRecordReader {
  // An object or array that the walk is in. `node` is NULL if it holds no feature.
  struct Level {
    Node *node;
    // The last member that was found in the trie, and the one whose value comes next.
    Node *last = nullptr, *member = nullptr;
    uint32_t start = 0;
    // The number of values of an array, or of members of an object, so far.
    size_t count = 0;
    // The feature whose value is this object or array although it must be another, or -1; and the
    // kind to report.
    int32_t stray_feature = -1;
    JsonValueKind stray_kind = JSON_INVALID;
  };

  // Text that replaces `removed` bytes of the line.
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
  // The form that the next lines are likely to have, and the scalars of the current line.
  Template likely;
  std::vector<Template::Slot> slots;

  Walk<JsonRecordReader> *walk = nullptr;
  bool completes = false;
  std::vector<Level> levels;
  std::vector<JsonFeatureValue> values;
  size_t found_count = 0;
  std::vector<Edit> edits;
  std::string inserted;
  std::string completed;
  // The number of bytes by which the edits so far move the text after them.
  int64_t shift = 0;

  void start_line(bool completes_absent) {
    ++line_number;
    completes = completes_absent;
    levels.clear();
    values.clear();
    slots.clear();
    found_count = 0;
    edits.clear();
    inserted.clear();
    shift = 0;
  }

  // MARK: The visitor

  bool begin(bool is_object, uint32_t offset) {
    if (levels.empty()) {
      levels.push_back(Level{&root});
      return true;
    }
    Level level{nullptr};
    level.start = offset;
    Level &parent = levels.back();
    if (parent.node != nullptr && parent.node->kind == Node::Kind::vector) {
      level.stray_feature = next_element(parent);
    } else if (Node *node = parent.member) {
      const Node::Kind fitting = is_object ? Node::Kind::object : Node::Kind::vector;
      if (node->kind == fitting) {
        level.node = node;
      } else {
        level.stray_feature = node->feature;
        if (node->kind != Node::Kind::number) level.stray_kind = JSON_MISPLACED;
      }
    }
    levels.push_back(level);
    return true;
  }

  bool key(ondemand::field &field) {
    Level &level = levels.back();
    ++level.count;
    level.member = nullptr;
    std::string_view text;
    if (level.node == nullptr) return walk->read_key(field, &text);
    Node *guess = level.last != nullptr ? level.last->next : level.node->first;
    if (guess != nullptr && is_at(field.key().raw(), *guess)) {
      level.member = guess;
    } else {
      if (!walk->read_key(field, &text)) return false;
      level.member = level.node->child(text);
      if (level.member == nullptr) return true;
      (level.last != nullptr ? level.last->next : level.node->first) = level.member;
    }
    level.last = level.member;
    if (level.member->line == line_number) {
      return walk->refuse(JSON_MEMBER_TWICE, "", -1, level.member->feature);
    }
    level.member->line = line_number;
    return true;
  }

  bool scalar(Scalar kind, uint32_t offset, std::string_view text) {
    Level &level = levels.back();
    const uint32_t end = offset + static_cast<uint32_t>(text.size());
    slots.push_back(Template::Slot{offset, end, -1});
    if (level.node == nullptr) return true;
    if (level.node->kind == Node::Kind::vector) {
      take(next_element(level), kind, offset, end, text);
    } else if (Node *node = level.member) {
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
    const Level level = levels.back();
    levels.pop_back();
    if (level.stray_feature >= 0) {
      emit(level.stray_feature, level.stray_kind, level.start, walk->end_offset());
    }
    if (level.node == nullptr) return true;
    if (level.node->kind == Node::Kind::vector) {
      if (level.count == level.node->elements.size()) return true;
      if (level.count == 0) return replace_empty(level);
      return walk->refuse(JSON_VECTOR_LENGTH, "", -1, level.node->feature, level.count);
    }
    if (completes) complete(level);
    return true;
  }

  // An empty vector is missing, like a null.
  bool replace_empty(const Level &level) {
    if (completes) {
      const size_t begin = inserted.size();
      write_absent(*level.node, int64_t(level.start) + shift - int64_t(begin));
      note_edit(level.start, walk->end_offset() - level.start, begin);
    }
    return true;
  }

  // MARK: Values

  static int32_t next_element(Level &level) {
    const size_t index = level.count++;
    return index < level.node->elements.size() ? level.node->elements[index] : -1;
  }

  void take(int32_t feature, Scalar kind, uint32_t start, uint32_t end, std::string_view text) {
    if (feature < 0) return;
    slots.back().feature = feature;
    double quoted_value = 0;
    if (kind == Scalar::other && limits.quoted_numbers) {
      const std::string_view number = number_in_quotes(text, &quoted_value);
      if (!number.empty()) {
        // The quotes belong to the text between the values, in the template too.
        slots.back() = Template::Slot{start + 1, end - 1, feature};
        const bool is_valid = std::fabs(quoted_value) <= limits.greatest;
        return emit(feature, is_valid ? JSON_NUMBER : JSON_INVALID, start + 1, end - 1, quoted_value);
      }
    }
    if (kind != Scalar::number) {
      emit(feature, kind == Scalar::null ? JSON_NULL : JSON_INVALID, start, end);
      return;
    }
    // Not by simdjson: version 3.0.1 misreads `0.` and numbers of more than 19 digits.
    double value = 0;
    number_text_parse(text.data(), text.data() + text.size(), &value);
    if (std::fabs(value) <= limits.greatest) {
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

  // Whether the raw bytes of the string at `raw` spell the key of `node`.
  bool is_at(const char *raw, const Node &node) const {
    const size_t left = line.bytes.data() + line.length - raw;
    return node.is_plain && node.key.size() < left &&
           std::memcmp(raw, node.key.data(), node.key.size()) == 0 && raw[node.key.size()] == '"';
  }

  // MARK: Absent members

  // Inserts the absent members of an object before its closing brace.
  void complete(const Level &level) {
    const size_t begin = inserted.size();
    bool needs_comma = level.count > 0;
    uint32_t offset = 0;
    for (const auto &child : level.node->children) {
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

  // Spells the value of `node` with nulls. An offset in `inserted` plus `base` is the offset in the
  // completed text.
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

  // Keeps the current line as a template, if it holds all features and each is a number or null.
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
  if (!reader->root.add_path(keys, key_lengths, key_count, element, vector_length, feature)) {
    return false;
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
  const char *cursor = begin;
  while (!writer.is_full() && cursor < limit) {
    writer.start();
    const char *const after = reader->likely.read(cursor, limit, end, allows_null, reader->limits.greatest, writer);
    if (after == nullptr || size_t(after - cursor) > most_bytes) break;
    writer.commit(after);
    cursor = after;
  }
  return writer.rows();
}

bool json_record_reader_has_seen(const JsonRecordReader *reader, int32_t feature) {
  return reader->seen[feature];
}
