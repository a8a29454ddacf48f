internal import Codecs
package import Records

/// Something that a client sees of a running stream.
package enum TapSample: Sendable {
  case record(TappedRecord)
  /// A record that was dropped, with the reason.
  case rejected(RejectedRecord)
  /// So many samples that the client did not take in time.
  case lost(Int)
}

/// A record before and after the operators.
package struct TappedRecord: Sendable {
  /// The most features whose values are shown.
  package static let mostFeatures = 100
  /// The longest record, in bytes, whose text is shown.
  package static let mostTextBytes = 16 << 10

  /// The number of the record, from 1.
  package var record: Int
  /// The names of the features that are shown.
  package var features: [String]
  /// The number of features that are not shown.
  package var featuresLeftOff = 0
  /// One value a feature, as it was read. NaN is a missing value.
  package var input: [Double]
  package var inputPrecision: Precision
  /// One value a feature, after the operators.
  package var output: [Double] = []
  package var outputPrecision: Precision
  /// The record as it was read, without its line end; nil if it is not text, or not known any more.
  package var inputText: String?
  /// The record as it is written; nil if the output is not text.
  package var outputText: String?
}

extension RejectedRecord {
  /// The name of its file or connection; nil if the stream has one split.
  package var splitName: String? { split.isEmpty ? nil : split }
  /// The number of the record, from 1.
  package var number: Int { record }
  package var offset: Int? { byteOffset }
  package var expected: String { fault.expected }
  package var found: String { fault.found }
  /// The record without its line end; nil if it was not kept, is too long, or is not UTF-8.
  package var text: String? {
    guard !bytes.isEmpty, bytes.count <= TappedRecord.mostTextBytes else { return nil }
    return String(validating: bytes, as: UTF8.self).map(withoutLineEnd)
  }
}

/// A text without the line end after it.
func withoutLineEnd(_ text: String) -> String {
  var rest = text.utf8[...]
  while rest.last == UInt8(ascii: "\n") || rest.last == UInt8(ascii: "\r") { rest.removeLast() }
  return String(Substring(rest))
}
