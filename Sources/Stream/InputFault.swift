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

  package var description: String { (split.isEmpty ? "" : split + ": ") + reason }

  /// The name of the split; empty if there are no others.
  private var split: String {
    switch self {
    case .container(let split, _), .format(let split, _), .shorter(let split, _, _),
      .shorterFrame(let split, _), .columns(let split, _, _):
      split
    }
  }

  /// The description without the split.
  var reason: String {
    switch self {
    case .container(_, let error): "\(error)"
    case .format(_, let fault): "\(fault)"
    case .shorter(_, let expected, let found):
      "expected byte \(expected) of the split, found the end at byte \(found)"
    case .shorterFrame(_, let expected):
      "expected a frame of at least \(expected) bytes, found a shorter one"
    case .columns(_, let expected, let found):
      "expected the columns that the stream began with (\(Self.listed(expected))), found "
        + (expected.sorted() == found.sorted() ? "them in another order: " : "")
        + Self.listed(found)
    }
  }

  /// The start of a list of names, on one line.
  private static func listed(_ names: [String]) -> String {
    let shown = names.prefix(8).map { RecordFault.quote($0.utf8) }.joined(separator: ", ")
    return names.count > 8 ? "\(shown) and \(names.count - 8) more" : shown
  }
}
