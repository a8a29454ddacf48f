#include "JsonTrie.h"
#include "CNumberText.h"

#include <cstring>

namespace json {

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

Node *Node::add_child(std::string_view name, int32_t below) {
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

bool Node::add_path(const char *keys, const size_t *key_lengths, size_t key_count,
                    ptrdiff_t element, size_t vector_length, int32_t added_feature) {
  const Kind leaf_kind = element < 0 ? Kind::number : Kind::vector;
  Node *node = this;
  bool is_new = false;
  for (size_t i = 0; i < key_count; ++i) {
    // A number or a vector has no members.
    if (node->kind != Kind::object) return false;
    const std::string_view name(keys, key_lengths[i]);
    keys += key_lengths[i];
    Node *known = node->child(name);
    is_new = known == nullptr;
    node = is_new ? node->add_child(name, added_feature) : known;
  }
  if (is_new) {
    node->kind = leaf_kind;
    if (leaf_kind == Kind::vector) node->elements.assign(vector_length, -1);
  } else if (leaf_kind != Kind::vector || node->kind != leaf_kind) {
    return false;
  }
  if (leaf_kind == Kind::vector) {
    if (static_cast<size_t>(element) >= node->elements.size()) return false;
    if (node->elements[element] >= 0) return false;
    node->elements[element] = added_feature;
  }
  return true;
}

}  // namespace json

size_t json_quote(const char *text, size_t length, char *quoted) {
  const std::string result = json::quote(std::string_view(text, length));
  std::memcpy(quoted, result.data(), result.size());
  return result.size();
}
