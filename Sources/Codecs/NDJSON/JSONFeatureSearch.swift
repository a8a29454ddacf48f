internal import Records

// Invariants:
// - `places` has what the records that were looked at hold.
// - `waiting` are the patterns of vectors that match nothing in `places`.

/// Finds the features of a stream in its first records: in all that `LookAhead` allows, if they are chosen by the
/// program or by a pattern of numbers; else until every vector that was null or empty has shown its length.
struct JSONFeatureSearch: Sendable {
  private let patterns: [FeaturePattern]
  private let exclude: [FeaturePattern]
  /// The paths of the patterns without wildcards, by their text.
  private let exactPaths: [Name: JSONPath]
  private let limits: DecoderLimits
  /// The features of vectors whose length the user has given.
  private let said: [JSONFeature]
  /// Whether a number that a later record shows first can be a feature, or another member a column.
  private let looksAhead: Bool
  private var places = JSONPlaces()
  private var waiting: [FeaturePattern] = []
  /// The names of `output.columns` that no record has shown.
  private var unseenColumns: Set<Name>
  /// The members that were met while some were unseen.
  private var members = Set<Name>()
  /// Whether there was no time to look for `unseenColumns`.
  private var isCutShort = false
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
    exclude = options.exclude + options.roles.map { FeaturePattern(name: $0.name) }
    looksAhead =
      options.keepsFields || patterns.isEmpty
      || patterns.contains { $0.isGlob && !Self.isVector($0, exactPaths) }
    let columns = options.keepsFormat ? ColumnChoice(options.settings)?.names ?? [] : []
    unseenColumns = Set(columns.asNames)
  }

  /// Whether the search ends before the next record.
  ///
  /// - Parameters:
  ///   - byteCount: of the lines up to the next one's end, as far as that is known.
  ///   - isEnough: whether there is no time to look at more records.
  mutating func isOver(before byteCount: Int, isEnough: Bool = false) -> Bool {
    guard records > 0 else { return false }
    if records >= LookAhead.mostRecords || byteCount > LookAhead.mostBytes { return true }
    if places.valueCount > limits.fields { return true }
    if waiting.isEmpty {
      isCutShort = isEnough && !unseenColumns.isEmpty
      return !looksAhead && unseenColumns.isEmpty || isEnough
    }
    // A vector that was found has not the value that is waited for, and will not get it.
    return waiting.contains { pattern in
      exactPaths[Name(pattern.text)].map { hasVector($0.keys) } ?? false
    }
  }

  private func hasVector(_ keys: [String]) -> Bool { places[keys]?.vectorLength != nil }

  /// Looks at the next record of the stream. Ignores one that cannot be read.
  mutating func take(_ line: UnsafeRawBufferPointer) throws(RecordFault) {
    guard let leaves = try? JSONRecordReader.leaves(of: line, limits: limits) else { return }
    records += 1
    if !unseenColumns.isEmpty { takeMembers(of: Array(line)[...]) }
    let valueCount = places.valueCount
    for leaf in leaves where records == 1 || looksAhead || isAwaited(leaf) { places.take(leaf) }
    guard records > 1 || places.valueCount <= limits.fields else {
      throw RecordFault(
        expected: "at most \(limits.fields) numbers in the first record", found: "more")
    }
    if records == 1 { waiting = patterns.filter { Self.isVector($0, exactPaths) } }
    guard !waiting.isEmpty, records == 1 || places.valueCount != valueCount else { return }
    let names = found.map(\.name)
    waiting.removeAll { pattern in names.contains { pattern.matches($0) } }
  }

  private mutating func takeMembers(of record: ArraySlice<UInt8>) {
    var walk = JSONWalk(record)
    while let (key, _) = walk.nextMember() {
      let name = Name(String(decoding: JSONText.unescaped(record[key]), as: UTF8.self))
      unseenColumns.remove(name)
      members.insert(name)
    }
  }

  /// A doubt about a name of `output.columns` that no record has shown in time.
  var warning: String? {
    guard isCutShort, let unseen = unseenColumns.min() else { return nil }
    return "no record so far has the member \(quoted(unseen.text)), which output.columns names"
  }

  /// Refuses a name of `output.columns` that no record shows.
  private func checkColumns() throws(RecordFault) {
    guard records > 0, !isCutShort, let unseen = unseenColumns.min() else { return }
    let members = members.sorted().map(\.text)
    do throws(FeatureError) {
      _ = try FeaturePattern.select([FeaturePattern(name: unseen.text)], from: members)
    } catch {
      throw RecordFault(
        expected: "a member \(quoted(unseen.text)), which output.columns names, in the first "
          + (records == 1 ? "record" : "\(records) records"),
        found: "none among \(listed(members, atMost: 20))" + (error.hint ?? ""))
    }
  }

  /// Whether a leaf is a vector that shows the values that are waited for.
  private func isAwaited(_ leaf: JSONLeaf) -> Bool {
    guard case .vector(let length) = leaf.content, !hasVector(leaf.keys) else { return false }
    return JSONPath.all(leaf.keys, vectorLength: length).contains { path in
      let name = path.description
      return waiting.contains { $0.matches(name) }
    }
  }

  /// The features that the records showed, or the user said, in the order in which they were met. A vector whose
  /// length was said has that, whatever length the records showed.
  private var found: [JSONFeature] {
    let vectors = Set(said.map { $0.path.keys.asNames })
    return places.unmixed.flatMap { place in
      place.vectorLength != nil && vectors.contains(place.keys.asNames) ? [] : place.features
    } + said
  }

  /// Whether a pattern can match nothing but a value of a vector.
  private static func isVector(
    _ pattern: FeaturePattern, _ exactPaths: [Name: JSONPath]
  ) -> Bool {
    if let path = exactPaths[Name(pattern.text)] { return path.element != nil }
    // An escaped bracket belongs to a key.
    var isEscaped = false
    for character in pattern.text {
      if character == "[", !isEscaped { return true }
      isEscaped = character == "\\" && !isEscaped
    }
    return false
  }

  /// A hint about arrays of arrays or objects; starts with a semicolon.
  private var nestedHint: String {
    let nested = places.all.filter { $0.unfitness == .nested }.map(\.name)
    guard !nested.isEmpty else { return "" }
    return "; an array of arrays or objects (\(listed(nested))) cannot be a feature: "
      + "flatten it before, as with `jq -c '.v |= flatten'`"
  }

  // MARK: The choice

  /// The features by the patterns, in their order; without patterns, those that the records tell.
  ///
  /// - Throws: if a pattern matches nothing, no feature is found, or a column of the output is missing.
  func features() throws(RecordFault) -> (features: [JSONFeature], choice: FeatureChoice?) {
    try checkColumns()
    guard patterns.isEmpty else { return (try selected(), nil) }
    let (features, choice) = places.choose(excluding: exclude, records: records)
    guard !features.isEmpty || records == 0 else {
      let left = choice.leftOut
      guard left.isEmpty || left.contains(where: { $0.reason != .excluded }) else {
        throw RecordFault(.noneLeft)
      }
      throw RecordFault(expected: "numbers in the first records", found: "none" + nestedHint)
    }
    return (features, records == 0 ? nil : choice)
  }

  private func selected() throws(RecordFault) -> [JSONFeature] {
    if records > 0, let missing = waiting.first {
      throw RecordFault(
        expected: "an array of numbers with '\(missing.text)' in the first "
          + (records == 1 ? "record" : "\(records) records"),
        found: "none"
          + (nestedHint.isEmpty
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
    do throws(FeatureError) {
      let chosen = try FeaturePattern.select(patterns, from: candidates.map(\.name))
      let left = chosen.map { candidates[$0] }.filter { !isExcluded($0) }
      guard !left.isEmpty else { throw .noneLeft }
      return left
    } catch {
      throw RecordFault(error)
    }
  }
}

extension JSONFeatureSearch {
  /// Whether a feature, or the vector that it is in, is excluded.
  private func isExcluded(_ feature: JSONFeature) -> Bool {
    exclude.matches(feature.name)
      || feature.vectorLength != nil
        && exclude.matches(JSONPath(keys: feature.path.keys).description)
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
      return JSONPath.all(feature.path.keys, vectorLength: length).map(\.description)
    }
  }
}
