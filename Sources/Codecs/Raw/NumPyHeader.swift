internal import Records

/// The header of a NumPy file (`.npy`, versions 1 to 3), which says the shape and the type of its values.
struct NumPyHeader: Equatable {
  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// The longest header that is read; NumPy writes 128 bytes, and reads 10,000 unless told otherwise.
  static let mostBytes = 64 << 10

  /// Bytes of the header, its magic included.
  var byteCount: Int
  var rows: Int
  var columns: Int
  var scalar: Precision

  /// Reads the header at the start of `bytes`.
  ///
  /// - Parameter limit: the most columns.
  /// - Returns: nil if `bytes` end before it does.
  /// - Throws: for bytes that are no such header, and for arrays that are no rows of floats.
  init?(_ bytes: some RandomAccessCollection<UInt8>, limit: Int) throws(RecordFault) {
    let start = Array(bytes.prefix(12))
    guard zip(start, Self.magic).allSatisfy({ $0 == $1 }) else {
      throw RecordFault(expected: "a NumPy file", found: RecordFault.quote(start))
    }
    guard start.count > 7 else { return nil }
    guard (1...3).contains(start[6]) else {
      throw RecordFault(
        expected: "a NumPy file of version 1 to 3", found: "version \(start[6]).\(start[7])")
    }
    let lengthBytes = start[6] == 1 ? 2 : 4
    guard start.count >= 8 + lengthBytes else { return nil }
    let length = start[8..<8 + lengthBytes].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard length <= Self.mostBytes else {
      throw RecordFault(
        expected: "a NumPy header of at most \(Self.mostBytes) bytes", found: "\(length)")
    }
    byteCount = 8 + lengthBytes + length
    guard bytes.count >= byteCount else { return nil }
    let text = String(decoding: bytes.prefix(byteCount).dropFirst(8 + lengthBytes), as: UTF8.self)
    let fields = try Self.fields(of: text)
    switch fields["descr"] {
    case "<f4": scalar = .float32
    case "<f8": scalar = .float64
    case let other:
      throw RecordFault(
        expected: "values of type float32 or float64, little-endian",
        found: "\(quoted(other ?? "none")); convert them, as with array.astype('<f4')")
    }
    guard fields["fortran_order"] == "False" else {
      throw RecordFault(
        expected: "an array in C order, row by row",
        found: "one in Fortran order; save numpy.ascontiguousarray(array)")
    }
    let shape = (fields["shape"] ?? "").dropFirst().dropLast().split(separator: ",")
      .map { Int($0.filter { $0 != " " && $0 != "L" }) ?? -1 }
    guard shape.count == 2, shape[0] >= 0, (1...limit).contains(shape[1]) else {
      throw RecordFault(
        expected: "an array of two dimensions, of 1 to \(limit) columns",
        found: "the shape \(quoted(fields["shape"] ?? "none")); array.reshape gives it another")
    }
    (rows, columns) = (shape[0], shape[1])
  }

  /// The values of the dictionary's keys, as they are written; strings without their quotes.
  private static func fields(of text: String) throws(RecordFault) -> [String: String] {
    var fields: [String: String] = [:]
    for key in ["descr", "fortran_order", "shape"] {
      guard let found = text.firstRange(of: "'\(key)':") ?? text.firstRange(of: "\"\(key)\":")
      else {
        throw RecordFault(expected: "a NumPy header with '\(key)'", found: "none")
      }
      let rest = text[found.upperBound...].drop { $0 == " " }
      let end =
        switch rest.first {
        case "(": rest.firstIndex(of: ")").map { rest.index(after: $0) }
        case "[": rest.firstIndex(of: "]").map { rest.index(after: $0) }
        case "'", "\"": rest.dropFirst().firstIndex { $0 == "'" || $0 == "\"" }
        default: rest.firstIndex { $0 == "," || $0 == "}" }
        }
      let value = rest[..<(end ?? rest.endIndex)]
      fields[key] = String(value.first == "'" || value.first == "\"" ? value.dropFirst() : value)
    }
    return fields
  }
}
