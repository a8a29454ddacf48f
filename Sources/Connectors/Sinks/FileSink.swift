internal import ConfigurationFile
internal import Storage

extension SinkKind {
  static let file = SinkKind(
    name: "file",
    locate: { location, _ in { fs throws(FileError) in FileSink(try AtomicFile(replacing: location, in: fs)) } },
    configure: { section in
      let path = section.string("path")
      return { fs throws(FileError) in PassingSink(try fs.open(path, for: .writing)) } })
  static let standardOutput = SinkKind(
    name: "stdout", locate: { location, _ in
      guard location == "-" else { return nil }
      return { _ throws(FileError) in PassingSink(POSIXFile.standardOutput()) }
    },
    configure: { _ in { _ throws(FileError) in PassingSink(POSIXFile.standardOutput()) } })
  static let special = SinkKind(
    name: "special", locate: { location, fs in
      guard let kind = try? fs.status(of: location).kind, kind == .fifo || kind == .other else { return nil }
      return { fs throws(FileError) in PassingSink(try fs.open(location, for: .writing)) }
    },
    configure: { _ in { _ throws(FileError) in PassingSink(POSIXFile.standardOutput()) } })
}
struct FileSink: ByteSink {
  let file: AtomicFile
  init(_ file: AtomicFile) { self.file = file }
  var name: String { file.path }
  mutating func begin(_ prologue: [UInt8]) throws(FileError) { try file.write(prologue) }
  mutating func write(_ bytes: [UInt8]) throws(FileError) { try file.write(bytes) }
  mutating func push() throws(FileError) -> Awaited? { nil }
  mutating func sync() throws(FileError) {}
  mutating func finish() throws(FileError) { try file.commit() }
}
struct PassingSink: ByteSink {
  let file: any File
  init(_ file: any File) { self.file = file }
  var name: String { file.path }
  mutating func begin(_ prologue: [UInt8]) throws(FileError) { try file.write(prologue) }
  mutating func write(_ bytes: [UInt8]) throws(FileError) { try file.write(bytes) }
  mutating func push() throws(FileError) -> Awaited? { nil }
  mutating func sync() throws(FileError) {}
  mutating func finish() throws(FileError) { try file.close() }
}
