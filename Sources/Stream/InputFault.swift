package import Codecs

/// The reason why a split of the input cannot be read.
package enum InputFault: Error, Equatable, Sendable, CustomStringConvertible {
  /// Its bytes cannot be decompressed.
  case container(split: String, CompressionError)
  /// The decoder refuses its start, or its contents as a whole.
  case format(split: String, RecordFault)
  /// It does not contain the bytes before the cursor at which it is resumed.
  case shorter(split: String, expected: Int, found: Int)
  /// The compressed frame of the cursor ends before it.
  case shorterFrame(split: String, expected: Int)
  /// Its columns are not those of the stream.
  case columns(split: String, expected: [String], found: [String])

  package var description: String {
    switch self {
    case .container(let split, let error): Self.prefix(split) + "\(error)"
    case .format(let split, let fault): Self.prefix(split) + "\(fault)"
    case .shorter(let split, let expected, let found):
      Self.prefix(split) + "expected byte \(expected) of the split, found the end at byte \(found)"
    case .shorterFrame(let split, let expected):
      Self.prefix(split) + "expected a frame of at least \(expected) bytes, found a shorter one"
    case .columns(let split, let expected, let found):
      Self.prefix(split)
        + "expected the columns that the stream began with (\(Self.listed(expected))), "
        + "found \(Self.listed(found)); see on_schema_change"
    }
  }

  /// The name of a split, if there are others.
  private static func prefix(_ split: String) -> String { split.isEmpty ? "" : split + ": " }

  /// The start of a list of names, on one line.
  private static func listed(_ names: [String]) -> String {
    let shown = names.prefix(8).map { RecordFault.quote($0.utf8) }.joined(separator: ", ")
    return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }
}
