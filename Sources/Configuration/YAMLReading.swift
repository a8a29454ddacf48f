internal import Yams

/// Reads the YAML of a file into nodes, within bounds.
struct YAMLReading {
  /// The most values of a file. A value counts each time that an alias refers to it.
  static let mostNodes = 100_000
  static let greatestDepth = 32

  let errors: ConfigurationErrors
  let environment: (String) -> String?
  private var nodes = 0

  init(errors: ConfigurationErrors, environment: @escaping (String) -> String?) {
    self.errors = errors
    self.environment = environment
  }

  /// The entries of the mapping at the root of the file.
  mutating func rootEntries(
    of bytes: [UInt8]
  ) throws(ConfigurationFailure) -> [ConfigurationNode.Entry] {
    guard let root = try compose(bytes) else {
      errors.report("expected a mapping, found nothing", path: "", at: .start)
      try errors.check()
      return []
    }
    let node = convert(root, path: "", depth: 0)
    switch node.content {
    case .mapping(let entries): return entries
    case .unusable: break
    default: errors.report("expected a mapping, found \(node.described)", path: "", at: node.mark)
    }
    try errors.check()
    return []
  }

  private func compose(_ bytes: [UInt8]) throws(ConfigurationFailure) -> Node? {
    guard bytes.count <= ConfigurationDocument.greatestSize else {
      errors.report(
        "expected at most \(ConfigurationDocument.greatestSize) bytes, found \(bytes.count)",
        path: "", at: .start)
      try errors.check()
      return nil
    }
    // Skips a byte order mark, which some editors write.
    let bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    guard let text = String(validating: bytes, as: UTF8.self) else {
      errors.report("expected UTF-8", path: "", at: placeOfBadUTF8(in: bytes))
      try errors.check()
      return nil
    }
    if let mark = aliasInKey(of: text) {
      errors.report("expected keys without aliases", path: "", at: mark)
      try errors.check()
    }
    do {
      return try Yams.compose(yaml: text, .basic, .default, .utf8)
    } catch {
      report(error, in: text)
      try errors.check()
      return nil
    }
  }

  /// A node with aliases resolved and variables substituted.
  private mutating func convert(
    _ node: Node, path: String, depth: Int
  ) -> ConfigurationNode {
    let mark = mark(of: node)
    let unusable = ConfigurationNode(content: .unusable, mark: mark)
    nodes += 1
    guard nodes <= Self.mostNodes else {
      // Reported once: every later value exceeds the bound too.
      if nodes == Self.mostNodes + 1 {
        errors.report(
          "expected at most \(Self.mostNodes) values, aliases followed", path: path, at: mark)
      }
      return unusable
    }
    guard depth <= Self.greatestDepth else {
      errors.report("expected at most \(Self.greatestDepth) levels", path: path, at: mark)
      return unusable
    }
    switch node {
    case .scalar(let scalar):
      return convert(scalar, path: path, at: mark)
    case .sequence(let sequence):
      guard checkTag(sequence.tag, path: path, at: mark) else { return unusable }
      var elements: [ConfigurationNode] = []
      for (index, element) in sequence.enumerated() {
        elements.append(convert(element, path: "\(path)[\(index)]", depth: depth + 1))
      }
      return ConfigurationNode(content: .list(elements), mark: mark)
    case .mapping(let mapping):
      guard checkTag(mapping.tag, path: path, at: mark) else { return unusable }
      let entries = convert(mapping, path: path, depth: depth)
      return ConfigurationNode(content: .mapping(entries), mark: mark)
    case .alias:
      errors.report("expected a value, found an alias to nothing", path: path, at: mark)
      return unusable
    }
  }

  private func convert(
    _ scalar: Node.Scalar, path: String, at mark: SourceMark
  ) -> ConfigurationNode {
    let unusable = ConfigurationNode(content: .unusable, mark: mark)
    guard checkTag(scalar.tag, path: path, at: mark) else { return unusable }
    let isPlain = scalar.style == .plain || scalar.style == .any
    var converted = ConfigurationNode.Scalar(
      text: scalar.string, written: scalar.string, isPlain: isPlain)
    do {
      if let text = try substituted(scalar.string, from: environment) {
        converted.text = text.value
        converted.isSubstituted = text.isSubstituted
      }
    } catch {
      errors.report(error.message, path: path, at: mark, hint: error.hint)
      return unusable
    }
    return ConfigurationNode(content: .scalar(converted), mark: mark)
  }

  private mutating func convert(
    _ mapping: Node.Mapping, path: String, depth: Int
  ) -> [ConfigurationNode.Entry] {
    var entries: [ConfigurationNode.Entry] = []
    var merged: [ConfigurationNode.Entry] = []
    var places: [String: Int] = [:]
    for (keyNode, valueNode) in mapping {
      let keyMark = mark(of: keyNode)
      guard case .scalar(let key) = keyNode else {
        errors.report("expected a name as the key", path: path, at: keyMark)
        continue
      }
      if key.string == "<<", key.style == .plain {
        merged += mergedEntries(valueNode, path: path, depth: depth)
        continue
      }
      let keyPath = path.isEmpty ? key.string : "\(path).\(key.string)"
      let value = convert(valueNode, path: keyPath, depth: depth + 1)
      guard places.updateValue(entries.count, forKey: key.string) == nil else {
        errors.report("expected the key once, found it again", path: keyPath, at: keyMark)
        continue
      }
      entries.append(
        ConfigurationNode.Entry(key: key.string, mark: keyMark, value: value))
    }
    // Keys of the mapping itself override merged ones, and earlier mappings override later ones.
    for entry in merged where places.updateValue(entries.count, forKey: entry.key) == nil {
      entries.append(entry)
    }
    return entries
  }

  /// The entries of the mapping, or list of mappings, at a `<<`.
  private mutating func mergedEntries(
    _ node: Node, path: String, depth: Int
  ) -> [ConfigurationNode.Entry] {
    let mark = mark(of: node)
    let converted = convert(node, path: path, depth: depth + 1)
    let parts: [ConfigurationNode] =
      if case .list(let elements) = converted.content { elements } else { [converted] }
    var entries: [ConfigurationNode.Entry] = []
    for part in parts {
      guard case .mapping(let merged) = part.content else {
        if case .unusable = part.content { continue }
        errors.report(
          "expected a mapping to merge, found \(part.described)", path: path, at: mark)
        continue
      }
      entries += merged
    }
    return entries
  }

  private func checkTag(_ tag: Tag, path: String, at mark: SourceMark) -> Bool {
    let standard = "tag:yaml.org,2002:"
    guard tag != .implicit, !tag.description.hasPrefix(standard) else { return true }
    errors.report("expected no tag, found \(quoted(tag.description))", path: path, at: mark)
    return false
  }

  private func mark(of node: Node) -> SourceMark {
    node.mark.map { SourceMark(line: $0.line, column: $0.column) } ?? .start
  }
}
