#include "JsonWalk.h"

#include <memory>
#include <string>

using namespace json;

namespace {

struct Leaf {
  std::string keys;
  std::vector<size_t> key_lengths;
  JsonLeafKind kind;
  double number;
  size_t length;
};

bool is_integer(std::string_view text) {
  return text.find_first_of(".eE") == std::string_view::npos;
}

// Collects the leaves of a record that are reached through objects only.
class LeafLister {
 public:
  LeafLister(std::vector<Leaf> &leaves, bool quoted_numbers)
      : leaves_(leaves), quoted_numbers_(quoted_numbers) {}
  Walk<LeafLister> *walk = nullptr;

  bool begin(bool is_object, uint32_t) {
    // An array that contains an array or an object is no vector.
    if (!levels_.empty() && !levels_.back().is_object) {
      levels_.back().is_nested = levels_.back().is_vector || levels_.back().is_nested;
      levels_.back().is_vector = false;
    }
    const bool is_reached =
        levels_.empty() || (levels_.back().is_object && levels_.back().is_reached);
    levels_.push_back(Level{is_object, is_reached, !is_object && is_reached, false, false, 0});
    return true;
  }

  bool key(ondemand::field &field) {
    std::string_view text;
    if (!walk->read_key(field, &text)) return false;
    // Keeps the keys of the objects around this one, and replaces the last key of this object.
    if (levels_.back().is_reached) {
      path_.resize(levels_.size() - 1);
      path_.emplace_back(text);
    }
    return true;
  }

  bool scalar(Scalar kind, uint32_t, std::string_view text) {
    Level &level = levels_.back();
    double value = 0;
    if (kind == Scalar::other && quoted_numbers_) {
      const std::string_view number = number_in_quotes(text, &value);
      if (!number.empty()) {
        kind = Scalar::number;
        text = number;
      }
    }
    const bool is_number = kind == Scalar::number || kind == Scalar::not_finite;
    if (level.is_object) {
      if (!level.is_reached || kind == Scalar::null || kind == Scalar::not_finite) return true;
      if (kind == Scalar::other) {
        note(JSON_LEAF_OTHER, 0, 0);
      } else {
        number_text_parse(text.data(), text.data() + text.size(), &value);
        note(is_integer(text) ? JSON_LEAF_INTEGER : JSON_LEAF_NUMBER, value, 0);
      }
      return true;
    }
    ++level.length;
    level.has_number |= is_number;
    level.is_vector &= kind != Scalar::other;
    return true;
  }

  bool end() {
    const Level level = levels_.back();
    levels_.pop_back();
    if (level.is_vector && level.has_number) note(JSON_LEAF_VECTOR, 0, level.length);
    if (level.is_nested) note(JSON_LEAF_NESTED, 0, 0);
    return true;
  }

 private:
  struct Level {
    bool is_object, is_reached, is_vector, has_number, is_nested;
    size_t length;
  };

  void note(JsonLeafKind kind, double number, size_t length) {
    Leaf leaf{{}, {}, kind, number, length};
    for (const std::string &key : path_) {
      if (key == unspellable_key) return;
      leaf.keys += key;
      leaf.key_lengths.push_back(key.size());
    }
    leaves_.push_back(std::move(leaf));
  }

  std::vector<Leaf> &leaves_;
  const bool quoted_numbers_;
  std::vector<Level> levels_;
  std::vector<std::string> path_;
};

}  // namespace

struct JsonLeaves {
  std::vector<Leaf> leaves;
};

JsonLeaves *json_leaves_create(const char *text, size_t length, JsonLimits limits,
                               JsonFault *fault) {
  auto leaves = std::make_unique<JsonLeaves>();
  LeafLister lister(leaves->leaves, limits.quoted_numbers);
  Line line;
  Walk<LeafLister> walk(line, limits, lister, fault);
  lister.walk = &walk;
  if (simdjson::error_code code = line.hold(text, length, limits.depth)) {
    walk.refuse(JSON_MALFORMED, words(code), -1);
    return nullptr;
  }
  return walk.run() ? leaves.release() : nullptr;
}

void json_leaves_destroy(JsonLeaves *leaves) { delete leaves; }

size_t json_leaves_count(const JsonLeaves *leaves) { return leaves->leaves.size(); }

JsonLeaf json_leaves_get(const JsonLeaves *leaves, size_t index) {
  const Leaf &leaf = leaves->leaves[index];
  return JsonLeaf{leaf.keys.data(), leaf.key_lengths.data(), leaf.key_lengths.size(),
                  leaf.kind, leaf.number, leaf.length};
}
