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
    let node = convert(root, path: "")
    switch node.content {
    case .mapping(let entries): return entries
    case .unusable: break
    default: errors.report("expected a mapping, found \(node.described)", path: "", at: node.mark)
    }
    try errors.check()
    return []
  }

  private func compose(_ bytes: [UInt8]) throws(ConfigurationFailure) -> YAMLNode? {
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
    do throws(YAMLFault) {
      return try YAMLComposer.document(bytes, greatestDepth: Self.greatestDepth)
    } catch {
      report(error, in: text)
      try errors.check()
      return nil
    }
  }

  /// A node with aliases resolved and variables substituted.
  private mutating func convert(
    _ node: YAMLNode, path: String
  ) -> ConfigurationNode {
    let mark = node.mark
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
    guard checkTag(node.tag, path: path, at: mark) else { return unusable }
    switch node.content {
    case .scalar(let scalar):
      return convert(scalar, path: path, at: mark)
    case .sequence(let sequence):
      var elements: [ConfigurationNode] = []
      for (index, element) in sequence.enumerated() {
        elements.append(convert(element, path: "\(path)[\(index)]"))
      }
      return ConfigurationNode(content: .list(elements), mark: mark)
    case .mapping(let mapping):
      let entries = convert(mapping, path: path)
      return ConfigurationNode(content: .mapping(entries), mark: mark)
    }
  }

  private func convert(
    _ scalar: YAMLNode.Scalar, path: String, at mark: SourceMark
  ) -> ConfigurationNode {
    let unusable = ConfigurationNode(content: .unusable, mark: mark)
    var converted = ConfigurationNode.Scalar(
      text: scalar.text, written: scalar.text, isPlain: scalar.isPlain)
    do {
      if let text = try substituted(scalar.text, from: environment) {
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
    _ mapping: [(key: YAMLNode, value: YAMLNode)], path: String
  ) -> [ConfigurationNode.Entry] {
    var entries: [ConfigurationNode.Entry] = []
    var merged: [ConfigurationNode.Entry] = []
    var places: [String: Int] = [:]
    for (keyNode, valueNode) in mapping {
      let keyMark = keyNode.mark
      guard case .scalar(let key) = keyNode.content else {
        errors.report("expected a name as the key", path: path, at: keyMark)
        continue
      }
      if key.text == "<<", key.isPlain {
        merged += mergedEntries(valueNode, path: path)
        continue
      }
      let keyPath = path.isEmpty ? key.text : "\(path).\(key.text)"
      let value = convert(valueNode, path: keyPath)
      guard places.updateValue(entries.count, forKey: key.text) == nil else {
        errors.report("expected the key once, found it again", path: keyPath, at: keyMark)
        continue
      }
      entries.append(
        ConfigurationNode.Entry(key: key.text, mark: keyMark, value: value))
    }
    // Keys of the mapping itself override merged ones, and earlier mappings override later ones.
    for entry in merged where places.updateValue(entries.count, forKey: entry.key) == nil {
      entries.append(entry)
    }
    return entries
  }

  /// The entries of the mapping, or list of mappings, at a `<<`.
  private mutating func mergedEntries(
    _ node: YAMLNode, path: String
  ) -> [ConfigurationNode.Entry] {
    let mark = node.mark
    let converted = convert(node, path: path)
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

  private func checkTag(_ tag: String?, path: String, at mark: SourceMark) -> Bool {
    guard let tag, !tag.hasPrefix("tag:yaml.org,2002:") else { return true }
    errors.report("expected no tag, found \(quoted(tag))", path: path, at: mark)
    return false
  }
}
