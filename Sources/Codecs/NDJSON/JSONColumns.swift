internal import Records

/// The columns of records of JSON, by the keys that lead to them.
struct JSONColumnTree: Sendable {
  struct Node: Sendable {
    /// In UTF-8, without escapes.
    var key: [UInt8] = []
    var column: Int?
    var children: [Node] = []
    /// The columns of single values of an array, by their index.
    var elements: [Int: Int] = [:]

    /// The index of a child.
    ///
    /// - Parameter likely: the index to look at first, as records mostly have their members in one order.
    func child(_ key: ArraySlice<UInt8>, likely: Int) -> Int? {
      if likely < children.count, children[likely].key.elementsEqual(key) { return likely }
      return children.firstIndex { $0.key.elementsEqual(key) }
    }

    /// Whether a member leads to columns below it, so that it is no column itself.
    var isDivided: Bool { !children.isEmpty || !elements.isEmpty }

    fileprivate mutating func insert(
      _ keys: ArraySlice<String>, _ element: Int?, _ column: Int
    ) {
      guard let first = keys.first else {
        if let element { elements[element] = column } else { self.column = column }
        return
      }
      let key = Array(first.utf8)
      var index = child(key[...], likely: children.count)
      if index == nil {
        children.append(Node(key: key))
        index = children.count - 1
      }
      if let index { children[index].insert(keys.dropFirst(), element, column) }
    }
  }

  private(set) var root = Node()

  /// - Parameter paths: one a column; nil is no path, and the column is never met.
  init(_ paths: [JSONPath?]) {
    for (column, path) in paths.enumerated() {
      if let path { root.insert(path.keys[...], path.element, column) }
    }
  }
}

/// Finds the columns of an output that has all columns, in the first records of JSON.
///
/// A member is a column. An object that a feature is in is divided into its members, and an array that a feature is in
/// into its values. Other objects and arrays are columns of JSON text.
struct JSONColumnSearch {
  private let features: [JSONFeature]
  private let tree: JSONColumnTree
  private let limit: Int
  private(set) var names: [String] = []
  private var known = Set<Name>()

  /// - Parameter limit: the most columns.
  init(_ features: [JSONFeature], limit: Int) {
    self.features = features
    tree = JSONColumnTree(features.map(\.path))
    self.limit = limit
  }

  /// Takes the columns of a record that was read as JSON.
  mutating func take(_ record: ArraySlice<UInt8>) throws(RecordFault) {
    try take(record, tree.root, [])
  }

  private mutating func take(
    _ object: ArraySlice<UInt8>, _ node: JSONColumnTree.Node, _ keys: [String]
  ) throws(RecordFault) {
    var walk = JSONWalk(object)
    while let (escaped, value) = walk.nextMember() {
      let key = JSONText.unescaped(object[escaped])
      let path = keys + [String(decoding: key, as: UTF8.self)]
      guard let index = node.child(key[...], likely: node.children.count) else {
        try add(JSONPath(keys: path).description)
        continue
      }
      let child = node.children[index]
      if let column = child.column { try add(features[column].name) }
      if let column = child.elements.values.min(), let length = features[column].vectorLength {
        for path in JSONPath.all(path, vectorLength: length) { try add(path.description) }
      }
      if value.kind == .object, !child.children.isEmpty {
        try take(object[value.range], child, path)
      }
    }
  }

  private mutating func add(_ name: String) throws(RecordFault) {
    guard known.insert(Name(name)).inserted else { return }
    guard names.count < limit else {
      throw RecordFault(
        expected: "at most \(limit) columns in the first records", found: "more")
    }
    names.append(name)
  }

  /// The columns in the order in which they were met, and the features that were not.
  func columns() -> [String] {
    names + features.map(\.name).filter { !known.contains(Name($0)) }
  }
}

/// Divides records of NDJSON into the fields of columns: strings without their quotes, other values as they are
/// spelled. A null and an absent member are no field.
struct JSONTextFields: TextFields {
  let columns: [String]
  let outputNames: [String]
  private let tree: JSONColumnTree

  init(_ opening: StreamOpening) {
    columns = opening.outputColumns ?? opening.schema.names
    let paths = columns.map { try? JSONPath(parsing: $0) }
    tree = JSONColumnTree(paths)
    outputNames = Self.names(columns, paths)
  }

  /// A member of the record has its key as its name, unless the path of another column is spelled so. Other columns
  /// have their paths.
  private static func names(_ columns: [String], _ paths: [JSONPath?]) -> [String] {
    let taken = Set(columns.map { Name($0) })
    return zip(columns, paths).map { column, path in
      guard let path, path.element == nil, path.keys.count == 1,
        !taken.contains(Name(path.keys[0]))
      else { return column }
      return path.keys[0]
    }
  }

  func forEachField(
    of text: ArraySlice<UInt8>, _ visit: (_ column: Int, _ field: ArraySlice<UInt8>?) -> Void
  ) {
    var found = [JSONSpan?](repeating: nil, count: columns.count)
    var rest = text
    while !rest.isEmpty {
      let end = rest.firstIndex(of: 0x0A) ?? rest.endIndex
      let line = rest[..<end]
      rest = rest[min(end + 1, rest.endIndex)...]
      guard line.contains(where: { ![0x20, 0x09, 0x0D].contains($0) }) else { continue }
      for column in found.indices { found[column] = nil }
      find(line, tree.root, &found)
      for column in found.indices { visit(column, found[column].flatMap { field($0, of: line) }) }
    }
  }

  private func find(
    _ object: ArraySlice<UInt8>, _ node: JSONColumnTree.Node, _ found: inout [JSONSpan?]
  ) {
    var walk = JSONWalk(object)
    var next = 0
    while let (key, value) = walk.nextMember() {
      let isEscaped = object[key].contains(UInt8(ascii: "\\"))
      let name = isEscaped ? JSONText.unescaped(object[key])[...] : object[key]
      guard let index = node.child(name, likely: next) else { continue }
      next = index + 1
      let child = node.children[index]
      if let column = child.column { found[column] = value }
      if value.kind == .object, !child.children.isEmpty {
        find(object[value.range], child, &found)
      }
      guard value.kind == .array, !child.elements.isEmpty else { continue }
      var elements = JSONWalk(object[value.range])
      var element = 0
      while let value = elements.nextElement() {
        if let column = child.elements[element] { found[column] = value }
        element += 1
      }
    }
  }

  private func field(_ value: JSONSpan, of line: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
    switch value.kind {
    case .null: nil
    case .literal, .object, .array: line[value.range]
    case .string:
      line[value.range].contains(UInt8(ascii: "\\"))
        ? JSONText.unescaped(line[value.range])[...] : line[value.range]
    }
  }
}
