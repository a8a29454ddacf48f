internal import Records

/// Recognises files of another kind by their first bytes, so that the error names them.
///
/// Formats of text look at all signatures. For raw floats, only those count that numbers hardly ever have.
package enum ForeignInput {
  /// The bytes that files of a kind start with.
  private struct Signature {
    var start: [UInt8]
    var name: String
    var advice: String
    /// Whether floats may start with the same bytes.
    var isWeak = false
    /// The format that reads them.
    var format: String?
  }

  private static let convert = "write it as CSV, NDJSON or raw floats before"
  private static let signatures = [
    Signature(
      start: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], name: "an xz file",
      advice: decompress("xz -dc")),
    Signature(
      start: Array("BZh".utf8), name: "a bzip2 file", advice: decompress("bzip2 -dc"), isWeak: true
    ),
    nested([0x28, 0xB5, 0x2F, 0xFD], "zstd"), nested([0x1F, 0x8B, 0x08], "gzip", isWeak: true),
    nested([0x04, 0x22, 0x4D, 0x18], "lz4"),
    Signature(
      start: [0x02, 0x21, 0x4C, 0x18], name: "an lz4 file of the old format (lz4 -l)",
      advice: decompress("lz4 -dc")),
    Signature(
      start: Array("PAR1".utf8), name: "a Parquet file",
      advice: convert + ", as with pandas.read_parquet(FILE).to_csv"),
    Signature(
      start: Array("ARROW1\0\0".utf8), name: "an Arrow file (Feather)",
      advice: "pass --format arrow, or name it .arrow", format: "arrow"),
    Signature(
      start: [0x93] + Array("NUMPY".utf8), name: "a NumPy file",
      advice: "pass --format raw --npy, or name it .npy", isWeak: true),
    Signature(
      start: [0x89] + Array("HDF\r\n".utf8) + [0x1A, 0x0A], name: "an HDF5 file", advice: convert),
    Signature(
      start: [0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46], name: "a file of torch.save",
      advice: convert + ", as with tensor.numpy().tofile"),
    Signature(start: Array("Obj\u{1}".utf8), name: "an Avro file", advice: convert),
    Signature(start: Array("SQLite format 3\0".utf8), name: "an SQLite database", advice: convert),
  ]

  /// A codec that is read, in bytes that were decompressed once.
  private static func nested(
    _ start: [UInt8], _ codec: String, isWeak: Bool = false
  ) -> Signature {
    Signature(
      start: start, name: "a \(codec) file within a compressed one",
      advice: "it was compressed twice: decompress it once before", isWeak: isWeak)
  }

  private static func decompress(_ command: String) -> String {
    "decompress it before: `\(command) FILE | evenkeel normalize - --format NAME`"
  }

  /// The most bytes that are looked at.
  package static let mostBytes = 96

  /// Whether more bytes must be seen: those at hand are the start of a signature.
  package static func isUndecided(_ start: [UInt8], isText: Bool) -> Bool {
    signatures.contains {
      (isText || !$0.isWeak) && $0.start.count > start.count && $0.start.starts(with: start)
    }
  }

  /// Why a split cannot be one of the format, by its first bytes; nil if nothing speaks against it.
  ///
  /// - Parameters:
  ///   - start: the first bytes of the split, as many as are at hand.
  ///   - format: the name of the format that is expected.
  ///   - isText: whether that is a format of text.
  package static func fault(
    in start: [UInt8], for format: String, isText: Bool
  ) -> RecordFault? {
    guard
      let (name, advice) = zip(start) ?? known(start, format, isText)
        ?? (isText ? wide(start) : nil)
    else { return nil }
    return RecordFault(expected: format, found: "\(name); \(advice)")
  }

  private static func known(
    _ start: [UInt8], _ format: String, _ isText: Bool
  ) -> (name: String, advice: String)? {
    if let found = signatures.first(where: {
      (isText || !$0.isWeak) && $0.format != format && start.starts(with: $0.start)
    }
    ) {
      return (found.name, found.advice)
    }
    // A continuation mark, the length of a message's metadata, and the offset of its root table.
    guard isText, start.count >= 12, start.prefix(4).allSatisfy({ $0 == 0xFF }), start[7] == 0,
      start[4] & 7 == 0, start[9...11].allSatisfy({ $0 == 0 })
    else { return nil }
    return ("a stream of Arrow", "pass --format arrow, or name it .arrows")
  }

  /// A zip archive, by the name of its first entry.
  private static func zip(
    _ start: [UInt8]
  ) -> (name: String, advice: String)? {
    guard start.count >= 30, start.starts(with: [0x50, 0x4B, 0x03, 0x04]) else { return nil }
    let length = Int(start[26]) | Int(start[27]) << 8
    let entry = String(decoding: start.dropFirst(30).prefix(length), as: UTF8.self)
    if entry.hasSuffix("/data.pkl") || entry.hasSuffix("/.format_version") {
      return ("a file of torch.save", convert + ", as with tensor.numpy().tofile")
    }
    if entry.hasSuffix(".npy") {
      return ("an archive of NumPy files (.npz)", "save one of them with numpy.save")
    }
    if entry == "[Content_Types].xml" || entry.hasPrefix("xl/") {
      return ("an Excel workbook", "save the sheet as CSV")
    }
    return ("a zip archive", decompress("unzip -p"))
  }

  /// Text in UTF-16 or UTF-32, by its mark or the zeros in its first two characters.
  private static func wide(
    _ start: [UInt8]
  ) -> (name: String, advice: String)? {
    guard start.count >= 4 else { return nil }
    let bytes = Array(start.prefix(4))
    let encoding: String
    switch (bytes[0], bytes[1], bytes[2], bytes[3]) {
    case (0xFF, 0xFE, 0, 0), (1..., 0, 0, 0): encoding = "UTF-32LE"
    case (0, 0, 0xFE, 0xFF), (0, 0, 0, 1...): encoding = "UTF-32BE"
    case (0xFF, 0xFE, _, _), (1..., 0, 1..., 0): encoding = "UTF-16LE"
    case (0xFE, 0xFF, _, _), (0, 1..., 0, 1...): encoding = "UTF-16BE"
    default: return nil
    }
    return ("text in \(encoding)", "convert it before: `iconv -f \(encoding.prefix(6)) -t UTF-8`")
  }
}
