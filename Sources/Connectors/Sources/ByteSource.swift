package import Storage

/// Where the bytes of a stream come from.
///
/// A new source is one file beside this one and one line in `BuiltInSources.all`.
package protocol ByteSource: Sendable {
  /// The name of the source in messages.
  var name: String { get }
  /// The number of bytes there are, where the source has an end of its own; nil for a live one.
  var size: Int? { get }
  /// Reads what is there, without waiting.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(FileError) -> SourceRead
}

/// What a read of a source gave.
package enum SourceRead: Sendable, Equatable {
  case bytes(Int)
  /// Nothing now; there may be something when the descriptor is readable.
  case waits(descriptor: Int32)
  case end
}

/// A kind of source: which locations on the command line mean it, and how it is opened.
package struct SourceKind: Sendable {
  package let name: String
  package let accepts: @Sendable (_ location: String) -> Bool
  package let open:
    @Sendable (_ location: String, any FileSystem) throws(FileError) -> any ByteSource
}

/// Every source that Evenkeel reads from.
package enum BuiltInSources {
  /// Asked in order; the last one takes what no other wants.
  package static let all: [SourceKind] = [.standardInput, .file]

  package static func open(
    _ location: String, in fileSystem: any FileSystem
  ) throws(FileError) -> any ByteSource {
    let kind = all.first { $0.accepts(location) } ?? .file
    return try kind.open(location, fileSystem)
  }
}
