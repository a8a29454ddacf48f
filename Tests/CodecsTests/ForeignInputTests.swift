import Testing

@testable import Codecs

/// Files of another kind are named by their first bytes.
@Suite struct ForeignInputTests {
  private func found(_ bytes: [UInt8], isText: Bool = true) -> String? {
    let padded = bytes + Array(repeating: 0x41, count: 64)
    return ForeignInput.fault(in: padded, for: "csv", isText: isText).flatMap {
      $0.found.split(separator: ";").first.map(String.init)
    }
  }

  private static func zip(_ entry: String) -> [UInt8] {
    [0x50, 0x4B, 0x03, 0x04] + Array(repeating: 0, count: 22) + [UInt8(entry.utf8.count), 0, 0, 0]
      + Array(entry.utf8)
  }

  @Test(
    arguments: [
      ([0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00], "an xz file"),
      (Array("BZh9".utf8), "a bzip2 file"),
      ([0x28, 0xB5, 0x2F, 0xFD], "a zstd file within a compressed one"),
      (Array("PAR1".utf8), "a Parquet file"),
      (Array("ARROW1\0\0".utf8), "an Arrow file (Feather)"),
      ([0xFF, 0xFF, 0xFF, 0xFF, 0xF0, 0, 0, 0, 0x10, 0, 0, 0], "a stream of Arrow"),
      ([0x93] + Array("NUMPY\u{1}\0".utf8), "a NumPy file"),
      ([0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46], "a file of torch.save"),
      (zip("archive/data.pkl"), "a file of torch.save"),
      (zip("x.npy"), "an archive of NumPy files (.npz)"),
      (zip("[Content_Types].xml"), "an Excel workbook"),
      (zip("a.csv"), "a zip archive"),
      ([0xFF, 0xFE, 0x61, 0], "text in UTF-16LE"), ([0x61, 0, 0x2C, 0], "text in UTF-16LE"),
      ([0xFE, 0xFF, 0, 0x61], "text in UTF-16BE"), ([0, 0x61, 0, 0x2C], "text in UTF-16BE"),
      ([0xFF, 0xFE, 0, 0], "text in UTF-32LE"), ([0x61, 0, 0, 0], "text in UTF-32LE"),
      ([0, 0, 0xFE, 0xFF], "text in UTF-32BE"), ([0, 0, 0, 0x61], "text in UTF-32BE"),
    ] as [([UInt8], String)])
  func `a file of another kind is named`(start: [UInt8], name: String) {
    #expect(found(start) == name)
  }

  @Test(arguments: ["a,b\n1,2\n", "{\"a\":1}", "", "\u{FEFF}a,b", "PK,b", "BZ,h", "\n\n", "1"])
  func `text is nothing else`(text: String) {
    for count in 0...text.utf8.count {
      let start = Array(text.utf8.prefix(count))
      #expect(ForeignInput.fault(in: start, for: "csv", isText: true) == nil)
    }
  }

  @Test func `the start of a signature is not decided yet`() {
    #expect(ForeignInput.isUndecided(Array("PA".utf8), isText: true))
    #expect(ForeignInput.isUndecided([], isText: false))
    #expect(!ForeignInput.isUndecided(Array("{".utf8), isText: true))
    #expect(!ForeignInput.isUndecided(Array("B".utf8), isText: false))
    #expect(!ForeignInput.isUndecided(Array("PAR1".utf8), isText: true))
  }

  @Test func `floats are mistaken for nothing that they may be`() {
    let rows: [[Float]] = [[1, 2, 3, 4], [.nan, 0, 1, 0], [0, 0, 0, 1], [1e-38, 3, 2, 1]]
    for row in rows {
      let bytes = row.withUnsafeBytes { Array($0) }
      #expect(found(bytes, isText: false) == nil, "\(row)")
    }
    #expect(found([0xFF, 0xFF, 0xFF, 0xFF, 0xF0, 0, 0, 0, 0x10, 0, 0, 0], isText: false) == nil)
    #expect(found(Array("BZh9".utf8), isText: false) == nil)
    #expect(found(Array("PAR1".utf8), isText: false) == "a Parquet file")
  }
}
