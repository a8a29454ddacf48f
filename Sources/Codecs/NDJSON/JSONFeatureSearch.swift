internal import Records

// Invariants:
// - `found` contains the leaves of the first record, then the vectors that later records showed.
// - `waiting` contains the patterns of vectors that match nothing in `found`.

/// Finds the features of a stream in its first record. If a vector is null or empty there, finds it in the first
/// record that has its values.
struct JSONFeatureSearch: Sendable {
  /// The most records to look at. Its bytes are bounded too, approximately.
  static let mostRecords = 1000
  static let mostBytes = 1 << 20

  private let patterns: [FeaturePattern]
  /// The paths of the patterns without wildcards, by their text.
  private let exactPaths: [Name: JSONPath]
  private let limits: DecoderLimits
  /// The features of vectors whose length the user has given.
  private let said: [JSONFeature]
  private var found: [JSONFeature] = []
  /// The arrays of arrays or objects in the first record, which can be no features.
  private var nested: [String] = []
  private var waiting: [FeaturePattern] = []
  private(set) var records = 0

  /// - Throws: an error for a feature name that is not a path.
  init(_ options: DecoderOptions) throws(FormatError) {
    limits = options.limits
    var patterns: [FeaturePattern] = []
    var exactPaths: [Name: JSONPath] = [:]
    var said: [JSONFeature] = []
    for pattern in options.features {
      if pattern.isGlob {
        patterns.append(pattern)
        continue
      }
      let spelling = try JSONPath.Spelling(parsing: pattern.text)
      guard spelling.path.keys.count <= limits.depth else {
        throw JSONPath.error(in: pattern.text, "deeper than JSON may nest")
      }
      guard let length = spelling.vectorLength else {
        patterns.append(pattern)
        exactPaths[Name(pattern.text)] = spelling.path
        continue
      }
      guard length <= limits.fields else {
        throw JSONPath.error(
          in: pattern.text, "longer than the \(limits.fields) members of a record")
      }
      for index in 0..<length {
        let path = JSONPath(keys: spelling.path.keys, element: index)
        said.append(JSONFeature(name: path.description, path: path, vectorLength: length))
        patterns.append(FeaturePattern(path.description))
      }
    }
    self.patterns = patterns
    self.exactPaths = exactPaths
    self.said = said
  }

  /// Whether the search ends before the next record.
  ///
  /// - Parameter byteCount: the number of bytes before the next line.
  func isOver(after byteCount: Int) -> Bool {
    guard records > 0 else { return false }
    if waiting.isEmpty || records >= Self.mostRecords || byteCount >= Self.mostBytes { return true }
    // A vector in `found` lacks the awaited value, and will not get it.
    return waiting.contains { pattern in
      exactPaths[Name(pattern.text)].map { hasVector($0.keys) } ?? false
    }
  }

  private func hasVector(_ keys: [String]) -> Bool {
    found.contains { $0.vectorLength != nil && areSame($0.path.keys, keys) }
  }

  /// Looks at the next record of the stream. Ignores one that cannot be read.
  mutating func take(_ line: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let leaves = try? JSONRecordReader.leaves(of: line, limits: limits) else { return }
    records += 1
    if records == 1 {
      for leaf in leaves where !leaf.isNested { try add(leaf) }
      nested = leaves.filter(\.isNested).map { JSONPath(keys: $0.keys).description }
      addSaid()
      waiting = patterns.filter { isVector($0) && !matches($0) }
    } else {
      for leaf in leaves where leaf.vectorLength != nil && !hasVector(leaf.keys) {
        guard leaf.paths.contains(where: { path in isAwaited(path.description) }) else { continue }
        try add(leaf)
      }
      waiting.removeAll(where: matches)
    }
  }

  private mutating func add(_ leaf: JSONLeaf) throws(RecordFault) {
    found += leaf.paths.map {
      JSONFeature(name: $0.description, path: $0, vectorLength: leaf.vectorLength)
    }
    guard found.count <= limits.fields else {
      throw RecordFault(
        expected: "at most \(limits.fields) numbers in the first record", found: "more")
    }
  }

  /// Adds the vectors whose length the user has given, whatever their length in the record is.
  private mutating func addSaid() {
    let vectors = Set(said.map { $0.path.keys.asNames })
    found.removeAll { $0.vectorLength != nil && vectors.contains($0.path.keys.asNames) }
    found += said
  }

  /// Whether a pattern can only match values of a vector.
  private func isVector(_ pattern: FeaturePattern) -> Bool {
    if let path = exactPaths[Name(pattern.text)] { return path.element != nil }
    // An escaped bracket belongs to a key.
    var isEscaped = false
    for character in pattern.text {
      if character == "[", !isEscaped { return true }
      isEscaped = character == "\\" && !isEscaped
    }
    return false
  }

  private func matches(_ pattern: FeaturePattern) -> Bool {
    found.contains {
      pattern.isGlob ? pattern.matches($0.name) : areSame(pattern.text, $0.name)
    }
  }

  private func isAwaited(_ name: String) -> Bool {
    waiting.contains { $0.isGlob ? $0.matches(name) : areSame($0.text, name) }
  }

  /// A hint about arrays of arrays or objects; starts with a semicolon.
  private var nestedHint: String {
    guard !nested.isEmpty else { return "" }
    return "; an array of arrays or objects (\(listed(nested))) cannot be a feature: "
      + "flatten it before, as with `jq -c '.v |= flatten'`"
  }

  // MARK: The choice

  /// The features that the patterns select, in the order of the patterns.
  ///
  /// - Throws: an error if a pattern matches nothing.
  func features() throws(RecordFault) -> [JSONFeature] {
    if patterns.isEmpty {
      guard !found.isEmpty || records == 0 else {
        throw RecordFault(
          expected: "a number in the first record", found: "none" + nestedHint)
      }
      return found
    }
    if records > 0, let missing = waiting.first {
      throw RecordFault(
        expected: "an array of numbers with '\(missing.text)' in the first "
          + (records == 1 ? "record" : "\(records) records"),
        found: "none"
          + (nested.isEmpty
            ? "; its length can be said, as in 'embedding[0..127]'" : nestedHint))
    }
    var candidates = records == 0 ? said : found
    var names = Set(candidates.map { Name($0.name) })
    // A number may appear in a later record.
    for pattern in patterns {
      guard let path = exactPaths[Name(pattern.text)], path.element == nil,
        names.insert(Name(pattern.text)).inserted
      else { continue }
      candidates.append(JSONFeature(name: pattern.text, path: path))
    }
    // Without a record there is nothing to select, and nothing to read.
    if records == 0 { return candidates }
    do {
      return try FeaturePattern.select(patterns, from: candidates.map(\.name)).map {
        candidates[$0]
      }
    } catch {
      throw RecordFault(error)
    }
  }
}

extension JSONFeature {
  /// The features of a stream with a known opening.
  ///
  /// - Throws: an error if a name is not a path.
  static func known(_ opening: StreamOpening) throws(FormatError) -> [JSONFeature] {
    var lengths: [[Name]: Int] = [:]
    for column in opening.columns + opening.schema.names {
      let path = try JSONPath(parsing: column)
      guard let element = path.element else { continue }
      let keys = path.keys.asNames
      lengths[keys] = max(lengths[keys] ?? 0, element + 1)
    }
    var features: [JSONFeature] = []
    for name in opening.schema.names {
      let path = try JSONPath(parsing: name)
      let length = path.element == nil ? nil : lengths[path.keys.asNames]
      features.append(JSONFeature(name: name, path: path, vectorLength: length))
    }
    return features
  }

  /// The columns of the features: each number, and all values of each vector.
  static func columns(of features: [JSONFeature]) -> [String] {
    var vectors = Set<[Name]>()
    return features.flatMap { feature -> [String] in
      guard let length = feature.vectorLength else { return [feature.name] }
      guard vectors.insert(feature.path.keys.asNames).inserted else { return [] }
      return JSONLeaf(keys: feature.path.keys, vectorLength: length).paths.map(\.description)
    }
  }
}
