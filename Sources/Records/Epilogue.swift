/// Makes the bytes that follow the records of an output: of each file, and of the stream that each reader gets.
///
/// An epilogue may read the file that it ends, such as a footer that lists the places of blocks. The writer of the
/// file calls `wants` and `take` until nothing more is wanted, and then writes `bytes`.
package protocol Epilogue: Sendable {
  /// Whether it reads the output, so that the output must be a file.
  var needsFile: Bool { get }
  /// The bytes that follow the records.
  var bytes: [UInt8] { get }
  /// The bytes of the file to be read next; nil if none.
  ///
  /// - Parameter byteCount: the length of the file so far.
  mutating func wants(ofBytes byteCount: Int) -> Range<Int>?
  /// Takes the bytes that it wanted; fewer if the file is shorter.
  mutating func take(_ bytes: [UInt8])
}

/// An epilogue that is the same for every output.
package struct FixedEpilogue: Epilogue {
  package let bytes: [UInt8]

  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
  }

  package var needsFile: Bool { false }
  package mutating func wants(ofBytes byteCount: Int) -> Range<Int>? { nil }
  package mutating func take(_ bytes: [UInt8]) {}
}
