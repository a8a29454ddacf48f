internal import Records

// Every decoder finds its role columns when the split is opened, and reads their values with each record. A record
// with a bad value is a bad record.

extension RoleColumn {
  /// Reads the value that a text spells, without blanks around it.
  ///
  /// - Parameter decimal: the character before the fraction of a number.
  func read(
    _ text: UnsafeBufferPointer<UInt8>, decimal: UInt8 = UInt8(ascii: "."),
    into roles: inout RecordRoles
  ) throws(RecordFault) {
    switch role {
    // As they are spelled.
    case .key(let place): return roles.setKey(text.span, at: place)
    case .className(let names): return roles.setClass(text.span, among: names)
    case .weight, .time: break
    }
    let text = Self.trimmed(text)
    switch role {
    case .key, .className: break
    case .weight:
      guard let weight = Self.weight(text, decimal) else {
        throw fault(found: RecordFault.quote(text))
      }
      roles.weight = weight
    case .time(let format):
      // A time of JSON is in quotes.
      let inner = Self.unquoted(text)
      guard let time = TimeText.nanoseconds(inner, format) else {
        throw fault(found: RecordFault.quote(text))
      }
      roles.time = time
    }
  }

  /// Reads a number.
  func read(_ number: Double, into roles: inout RecordRoles) throws(RecordFault) {
    switch role {
    case .weight:
      guard 0 <= number, number <= 1 else { throw fault(found: "\(number)") }
      roles.weight = number
    case .time(let format):
      guard let time = TimeText.nanoseconds(number, format) else {
        throw fault(found: "\(number)")
      }
      roles.time = time
    case .key(let place):
      let text = Self.spelling(of: number)
      roles.setKey(text.span, at: place)
    case .className(let names):
      let text = Self.spelling(of: number)
      roles.setClass(text.span, among: names)
    }
  }

  /// Reads a missing value.
  ///
  /// - Parameter found: what stands in its place.
  /// - Throws: unless the column is one of a key or a class, which may be missing.
  func readMissing(_ found: String, into roles: inout RecordRoles) throws(RecordFault) {
    switch role {
    case .key(let place): roles.setKey(Span(), at: place)
    case .className(let names): roles.setClass(Span(), among: names)
    case .weight, .time: throw fault(found: found)
    }
  }

  /// Whether the value is taken as it is spelled.
  var isSpelled: Bool {
    switch role {
    case .key, .className: true
    case .weight, .time: false
    }
  }

  /// A whole number without a fraction, so that raw rows have the keys of other formats. Nothing for a missing one.
  private static func spelling(of number: Double) -> [UInt8] {
    if number.isNaN { return [] }
    return Array((Int(exactly: number).map { "\($0)" } ?? "\(number)").utf8)
  }

  /// The fault of a record without a good value in the column.
  func fault(found: String) -> RecordFault {
    switch role {
    case .weight:
      RecordFault(
        expected: "a weight of 0 to 1, true or false in column \(quoted(name))", found: found)
    case .time(let format):
      RecordFault(
        expected: "a time from 1685 to 2255 as \(format.rawValue) in column \(quoted(name))",
        found: found)
    case .key:
      RecordFault(expected: "a key in column \(quoted(name))", found: found)
    case .className:
      RecordFault(expected: "a class in column \(quoted(name))", found: found)
    }
  }

  private static func weight(_ text: UnsafeBufferPointer<UInt8>, _ decimal: UInt8) -> Double? {
    guard let base = text.baseAddress, !text.isEmpty else { return nil }
    let number: Double?
    if decimal == UInt8(ascii: ".") {
      number = NumberText.parse(base, base + text.count)
        .flatMap { $0.end == base + text.count ? $0.value : nil }
    } else {
      guard !text.contains(UInt8(ascii: ".")) else { return nil }
      let plain = text.map { $0 == decimal ? UInt8(ascii: ".") : $0 }
      number = plain.withUnsafeBufferPointer { plain in
        plain.baseAddress.flatMap { base in
          NumberText.parse(base, base + plain.count)
            .flatMap { $0.end == base + plain.count ? $0.value : nil }
        }
      }
    }
    if let number { return 0 <= number && number <= 1 ? number : nil }
    if ["true", "True", "TRUE"].contains(where: { text.elementsEqual($0.utf8) }) { return 1 }
    if ["false", "False", "FALSE"].contains(where: { text.elementsEqual($0.utf8) }) { return 0 }
    return nil
  }

  private static func unquoted(
    _ text: UnsafeBufferPointer<UInt8>
  ) -> UnsafeBufferPointer<UInt8> {
    guard text.count > 1, text.first == UInt8(ascii: "\""), text.last == UInt8(ascii: "\"") else {
      return text
    }
    return UnsafeBufferPointer(rebasing: text[1..<text.count - 1])
  }

  private static func trimmed(
    _ text: UnsafeBufferPointer<UInt8>
  ) -> UnsafeBufferPointer<UInt8> {
    let isBlank: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x09 }
    var rest = text[...]
    while let first = rest.first, isBlank(first) { rest = rest.dropFirst() }
    while let last = rest.last, isBlank(last) { rest = rest.dropLast() }
    return UnsafeBufferPointer(rebasing: rest)
  }
}

extension RecordRoles {
  fileprivate mutating func setKey(_ value: Span<UInt8>, at place: Int) {
    if key == nil { key = RecordKey() }
    key?.set(value, at: place)
  }

  /// Sets the class; none if it is missing or not among the names.
  fileprivate mutating func setClass(_ name: Span<UInt8>, among names: [[UInt8]]) {
    var isKnown = names.isEmpty
    for known in names where isSame(name, known.span) { isKnown = true }
    if isKnown { setKey(name, at: 0) } else { setKey(Span(), at: 0) }
    hasClass = key?.isKey
  }

  private func isSame(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
    guard left.count == right.count else { return false }
    for index in left.indices where left[index] != right[index] { return false }
    return true
  }
}

extension DecoderOptions {
  /// Whether a column has a role, so that it is no feature unless the user names it as one.
  func isRole(_ name: String) -> Bool { roles.contains { areSame($0.name, name) } }

  /// The positions of the role columns.
  ///
  /// - Parameters:
  ///   - names: those of all columns.
  ///   - features: those of the features.
  /// - Throws: if a role has no column of its own.
  func rolePlaces(
    in names: [String], features: [String]
  ) throws(RecordFault) -> [Int] {
    try requireOwnColumns(features)
    var places: [Int] = []
    for role in roles {
      let found = names.indices.filter { areSame(names[$0], role.name) }
      guard found.count == 1, let place = found.first else {
        throw RecordFault(
          expected: "the column \(quoted(role.name)) of \(role.key)",
          found: found.isEmpty ? "none among \(listed(names, atMost: 20))" : "\(found.count) of it")
      }
      places.append(place)
    }
    return places
  }

  /// Refuses a role column that is a feature too.
  func requireOwnColumns(_ features: [String]) throws(RecordFault) {
    for role in roles where features.contains(where: { areSame($0, role.name) }) {
      throw RecordFault(
        expected: "the column \(quoted(role.name)) of \(role.key) not to be a feature",
        found: "it among the features")
    }
  }
}
