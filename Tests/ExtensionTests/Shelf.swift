import Configuration
import Connectors
import Dataflow
import Records
import Storage
import Synchronization

/// A made-up connector in one file: texts in memory by name, which are read and written like files.
enum Shelf {
  private static let texts = Mutex<[String: [UInt8]]>([:])

  static subscript(_ name: String) -> [UInt8]? {
    get { texts.withLock { $0[name] } }
    set { texts.withLock { $0[name] = newValue } }
  }

  static let name = Setting(required: "name", .text, help: "The name of the text.")
  static let chunk = Setting(
    "chunk", .integer(in: 1...4096), default: 4096, option: .value("shelf-chunk", "bytes"),
    help: "The most bytes that are read at once.")
  static let mark = Setting(
    "mark", .text, option: .value("shelf-mark", "text"), help: "A text put before all others.")

  /// The name in `shelf:NAME`.
  static func name(in location: String) -> String? {
    location.hasPrefix("shelf:") ? String(location.dropFirst("shelf:".count)) : nil
  }
}

extension SourceKind {
  static let shelf = SourceKind(
    name: "shelf", isLive: false, settings: SettingGroup("shelf", [Shelf.name, Shelf.chunk]),
    locate: { location, values in
      guard let name = Shelf.name(in: location) else { return nil }
      return factory(name, values)
    },
    place: { .path(Shelf.name, in: $0) },
    open: { factory($0[Shelf.name], $0) })

  private static func factory(_ name: String, _ values: SettingValues) -> SourceFactory {
    let chunk = values[Shelf.chunk]
    return { context throws(FileError) in try ShelfSource(name, chunk, context) }
  }
}

extension SinkKind {
  static let shelf = SinkKind(
    name: "shelf", settings: SettingGroup("shelf", [Shelf.name, Shelf.mark]), trial: .none,
    locate: { location, values in
      guard let name = Shelf.name(in: location) else { return nil }
      return factory(name, values)
    },
    place: { .path(Shelf.name, in: $0) },
    open: { factory($0[Shelf.name], $0) })

  private static func factory(_ name: String, _ values: SettingValues) -> SinkFactory {
    let mark = values[Shelf.mark] ?? ""
    return { _ in ShelfSink(name: name, mark: mark) }
  }
}

private struct ShelfSource: Source {
  let name: String
  let endsAnywhere = false
  private let chunk: Int
  private let text: [UInt8]
  private let start: SplitStart
  private let isResumed: Bool
  private var offset: Int

  init(_ name: String, _ chunk: Int, _ context: SourceContext) throws(FileError) {
    guard let text = Shelf[name] else {
      throw FileError(operation: .open, path: name, errno: 2)
    }
    self.name = name
    self.chunk = chunk
    self.text = text
    let split = context.cursor?.splits.first
    isResumed = split != nil
    start = split.map { SplitStart($0) } ?? SplitStart(name: name)
    offset = split?.sourceOffset ?? 0
  }

  var size: Int? { text.count }
  var openSplits: [SplitID] { isResumed ? [0] : [] }
  var done: OpaqueBytes? { OpaqueBytes() }

  mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(FileError) -> SourceEvent {
    let bytes = text[offset...].prefix(min(chunk, buffer.count))
    guard !bytes.isEmpty else { return .end }
    buffer.copyBytes(from: bytes)
    offset += bytes.count
    return .data(0, .bytes(bytes.count))
  }

  func start(of split: SplitID) -> SplitStart { start }

  func mark(of split: SplitID, at offset: Int) throws(FileError) -> OpaqueBytes? {
    OpaqueBytes(name)
  }

  mutating func abandon(_ split: SplitID) { offset = text.count }
}

private struct ShelfSink: ByteSink {
  let name: String
  let mark: String
  private var goesOn = false

  init(name: String, mark: String) {
    self.name = name
    self.mark = mark
  }

  var outputPosition: OutputPosition? {
    OutputPosition(byteCount: Shelf[name]?.count ?? 0, sequence: 0)
  }

  mutating func resume(at position: OutputPosition) throws(FileError) {
    Shelf[name] = Array((Shelf[name] ?? []).prefix(position.byteCount))
    goesOn = true
  }

  mutating func begin(
    _ prologue: [UInt8], endingWith epilogue: (any Epilogue)?
  ) throws(FileError) {
    if !goesOn { Shelf[name] = Array(mark.utf8) + prologue }
  }

  mutating func write(_ bytes: [UInt8]) throws(FileError) {
    Shelf[name]?.append(contentsOf: bytes)
  }

  mutating func push() throws(FileError) -> Awaiting? { nil }
  mutating func finish() throws(FileError) {}
}
