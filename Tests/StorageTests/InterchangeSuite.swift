import Storage
import TestSupport
import Testing

/// Tests of exports and imports, in a directory of their own.
protocol InterchangeSuite {
  var directory: TemporaryDirectory { get }
}

extension InterchangeSuite {
  func export(_ checkpoint: Checkpoint, _ name: String) throws -> [UInt8] {
    try #require(BuiltInExports.named(name)).write(checkpoint, to: directory.file("x"))
    return try POSIXFileSystem().contents(of: directory.file("x"), limit: 1 << 30)
  }

  func `import`(
    _ bytes: [UInt8], _ name: String, _ change: (inout ImportOptions) -> Void = { _ in }
  ) throws -> Checkpoint {
    try POSIXFileSystem().replace(directory.file("x"), with: bytes)
    var options = ImportOptions()
    change(&options)
    return try #require(BuiltInImports.named(name)).read(directory.file("x"), options: options)
  }

  /// The message of a refused import, without the path.
  func refusal(
    _ bytes: [UInt8], _ name: String, _ change: (inout ImportOptions) -> Void = { _ in }
  ) -> String {
    message { try `import`(bytes, name, change) }
      .replacing("\(directory.file("x")): ", with: "")
  }
}
