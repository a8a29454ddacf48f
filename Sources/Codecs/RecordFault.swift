package import Records

/// The fault of a bad record. The stages add the stream, the offset and the number of the record.
package struct RecordFault: Error, Equatable, Sendable, CustomStringConvertible {
  package var expected: String
  package var found: String
  /// Offset of the bad record in the window. Set only while the stream is being opened.
  package var offset: Int?
  /// Whether a split has a good start and no record, so that another one must tell the features.
  package var lacksRecords = false
  /// Whether the bad record stays in the output, without its features, because it cannot leave its record batch.
  package var staysInOutput = false

  package init(expected: String, found: String) {
    self.expected = expected
    self.found = found
  }

  /// A finite number that no column holds.
  init(tooGreat found: String, feature: String) {
    self.init(
      expected:
        "a number of at most \(FeatureColumns.greatest) in size in feature '\(feature)'",
      found: "\(found); --on-invalid missing takes such numbers as missing")
  }

  /// The same fault, for a record at an offset of the window.
  func at(_ offset: Int) -> RecordFault {
    var fault = self
    fault.offset = offset
    return fault
  }

  /// A choice of features that does not fit the stream.
  package init(_ error: FeatureError) {
    switch error {
    case .duplicateName(let name):
      self.init(
        expected: "feature names that differ",
        found: "\(quoted(name)) twice; \(FeatureError.renaming)")
    case .matchesNothing(let pattern, _, let names):
      self.init(
        expected: "a column that \(quoted(pattern)) matches",
        found: (names.isEmpty ? "none" : "none among \(listed(names, atMost: 20))")
          + (error.hint ?? ""))
    case .noneLeft:
      self.init(expected: "a column that is not excluded", found: "none: all are excluded")
    }
  }

  package var description: String { "expected \(expected), found \(found)" }

  /// The start of a text from the stream, in quotes, with control characters escaped.
  package static func quote(_ bytes: some Sequence<UInt8>) -> String {
    let start = Array(bytes.prefix(41))
    let text = String(decoding: start.prefix(40), as: UTF8.self).unicodeScalars.map {
      $0.steersTerminals ? $0.escaped(asASCII: true) : String($0)
    }.joined()
    return "'\(text)\(start.count > 40 ? "…" : "")'"
  }
}
