// A trie of the paths of features.
#ifndef JSONTRIE_H
#define JSONTRIE_H

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace json {

// Spells `text` as a JSON string, quotes included.
std::string quote(std::string_view text);

// An object on the path of a feature, or the feature itself.
struct Node {
  enum class Kind { object, number, vector };

  Kind kind = Kind::object;
  std::string key;
  std::string quoted_key;
  // Whether the key needs no escapes, so that it can be compared with the raw bytes of a line.
  bool is_plain = true;
  // The feature here, or the first one below.
  int32_t feature = -1;
  // The feature of each value of a vector, -1 if a value is no feature.
  std::vector<int32_t> elements;
  std::vector<std::unique_ptr<Node>> children;
  // The children by name. The children own the keys.
  std::unordered_map<std::string_view, Node *> named;
  // The number of the last line that contained this member.
  uint64_t line = 0;
  // The child that came first, and the sibling that came next, in the line before. Most records
  // keep the order of their keys, so that one comparison finds the member.
  Node *first = nullptr;
  Node *next = nullptr;

  // Returns the child with that key, or NULL.
  Node *child(std::string_view name) const {
    const auto found = named.find(name);
    return found == named.end() ? nullptr : found->second;
  }

  // Adds the path of `feature` below this node. `keys`, `key_lengths`, `element` and
  // `vector_length` are those of `json_record_reader_add`. Returns false if the path conflicts
  // with that of another feature.
  bool add_path(const char *keys, const size_t *key_lengths, size_t key_count, ptrdiff_t element,
                size_t vector_length, int32_t added_feature);

 private:
  Node *add_child(std::string_view name, int32_t below);
};

}  // namespace json

#endif
