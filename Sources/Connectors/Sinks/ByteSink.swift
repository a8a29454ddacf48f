package import Storage

/// Where the bytes of a stream go.
///
/// A new sink is one file beside this one and one line in `BuiltInSinks.all`.
package protocol ByteSink: Sendable {
  /// The name of the sink in messages.
  var name: String { get }
  mutating func write(_ bytes: [UInt8]) throws(FileError)
  /// Completes the output, durably where it is a file.
  mutating func finish() throws(FileError)
}

/// A kind of sink: which locations on the command line mean it, and how it is opened.
package struct SinkKind: Sendable {
  package let name: String
  package let accepts: @Sendable (_ location: String, any FileSystem) -> Bool
  package let open: @Sendable (_ location: String, any FileSystem) throws(FileError) -> any ByteSink
}

/// Every sink that Evenkeel writes to.
package enum BuiltInSinks {
  /// Asked in order; the last one takes what no other wants.
  package static let all: [SinkKind] = [.standardOutput, .special, .file]

  package static func open(
    _ location: String, in fileSystem: any FileSystem
  ) throws(FileError) -> any ByteSink {
    let kind = all.first { $0.accepts(location, fileSystem) } ?? .file
    return try kind.open(location, fileSystem)
  }
}
