internal import BatchNormalization
internal import Codecs
internal import Configuration
internal import Glibc
internal import Operators
internal import Records

/// Runs one file through the stages of Evenkeel on one thread, batch by batch, and measures the time of each stage:
/// `StageBenchmark FORMAT COLUMNS MODE BATCH FILE`. Only raw rows use COLUMNS.
///
/// Prints a line for each stage, `name nanoseconds-per-value`. Each stage finds its input in the caches, because the
/// stage before has just written it. The times do not include reading and writing files, threads, or channels.
@main
struct StageBenchmark {
  static func main() throws {
    let words = CommandLine.arguments
    guard words.count == 6, let format = BuiltInFormats.all.named(words[1]),
      let columns = Int(words[2]), let mode = NormalizationMode(rawValue: words[3]),
      let batchSize = Int(words[4])
    else { throw BadArguments(found: words) }
    var options = DecoderOptions()
    options.settings[RawSettings.columns] = columns
    options.columns = format.name == RecordFormat.raw.name ? .float32 : .float64
    var pass = try StagePass(
      format: format, options: options, mode: mode, batchSize: batchSize,
      input: try bytes(ofFile: words[5]))
    try pass.run()
    for stage in Stage.allCases {
      print(stage, pass.times[stage] / .nanoseconds(1) / Double(pass.values))
    }
  }

  private static func bytes(ofFile path: String) throws -> ByteBuffer {
    guard let file = fopen(path, "rb") else { throw BadArguments(found: [path]) }
    defer { fclose(file) }
    let buffer = ByteBuffer(capacity: 64 << 20)
    while true {
      let room = buffer.room(1 << 20)
      let count = fread(room.baseAddress, 1, room.count, file)
      if count == 0 { return buffer }
      buffer.advance(count)
    }
  }
}

/// The measured stages, in the order in which a record passes them.
private enum Stage: Int, CaseIterable {
  case decompress
  case decode
  case normalize
  case encode
  case compress
}

/// The time that each stage has worked.
private final class StageTimes {
  private let clock = ContinuousClock()
  private var durations = Stage.allCases.map { _ in Duration.zero }

  subscript(stage: Stage) -> Duration { durations[stage.rawValue] }

  func measure<Result>(_ stage: Stage, _ work: () throws -> Result) rethrows -> Result {
    let start = clock.now
    defer { durations[stage.rawValue] += clock.now - start }
    return try work()
  }
}

/// One pass of a whole input through the stages.
///
/// The sizes of windows and units are those of the pipeline (SplitReader, OperateStage).
private struct StagePass {
  private static let windowBytes = 256 << 10
  private static let unitBytes = 512 << 10

  private let format: RecordFormat
  private let options: DecoderOptions
  private let batchSize: Int
  private let input: ByteBuffer
  private let settings: NormalizationSettings
  private let window = ByteBuffer()
  private let unit = ByteBuffer()
  private var decompressor: InputDecompressor
  private var decoder: any RecordDecoder
  private let compressor: ZstdCompressor
  let times = StageTimes()
  /// The number of feature values so far.
  private(set) var values = 0

  init(
    format: RecordFormat, options: DecoderOptions, mode: NormalizationMode, batchSize: Int,
    input: ByteBuffer
  ) throws {
    self.format = format
    self.options = options
    self.batchSize = batchSize
    self.input = input
    var settings = NormalizationSettings()
    settings.mode = mode
    self.settings = settings
    decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
    decoder = try format.makeDecoder(options)
    compressor = try ZstdCompressor(level: 1)
  }

  mutating func run() throws {
    guard let opening = try open() else { return }
    var operators = try OperatorChain(
      BuiltInOperators.all,
      OperatorContext(schema: opening.schema, outputPrecision: .float32, normalization: settings))
    let encoder = try format.makeEncoder(encoderOptions(opening))
    var batch = RecordBlock(
      columns: FeatureColumns(
        featureCount: opening.schema.count, capacity: batchSize, precision: options.columns))
    while try fillBatch(&batch) {
      values += batch.columns.count * batch.columns.featureCount
      _ = try times.measure(.normalize) { try operators.operate(on: &batch.columns) }
      times.measure(.encode) { encoder.encode(batch, into: unit) }
      if unit.count >= Self.unitBytes { try compressUnit() }
      batch.removeRecords()
    }
    try compressUnit()
  }

  private mutating func open() throws -> StreamOpening? {
    while true {
      let more = try decompress()
      let view = InputWindow(bytes: window.readable, isLast: !more)
      if let opening = try decoder.open(view) {
        window.consume(opening.prologue.count)
        return opening
      }
      if !more { return nil }
    }
  }

  private func encoderOptions(_ opening: StreamOpening) -> EncoderOptions {
    var encoding = EncoderOptions(schema: opening.schema, prologue: opening.prologue)
    encoding.settings[RawSettings.columns] = options.settings[RawSettings.columns]
    return encoding
  }

  /// Decodes until the batch is full or the input ends. Returns false if nothing was left.
  private mutating func fillBatch(_ batch: inout RecordBlock) throws -> Bool {
    var hasMore = true
    while true {
      var progress = DecodeProgress()
      let view = InputWindow(bytes: window.readable, isLast: !hasMore)
      let outcome = times.measure(.decode) {
        decoder.decode(view, into: &batch, limit: batchSize, progress: &progress)
      }
      window.consume(progress.consumed)
      switch outcome {
      case .limitReached, .unitEnded: return true
      case .rejected(let fault, _), .failed(let fault): throw fault
      case .needsInput:
        if !hasMore { return batch.columns.count > 0 }
        hasMore = try decompress()
      }
    }
  }

  /// Decompresses the next window. Returns false if nothing was left.
  private mutating func decompress() throws -> Bool {
    let before = window.count
    let consumed = try times.measure(.decompress) {
      try decompressor.decompress(
        UnsafeRawBufferPointer(input.readable), isLast: true, limit: Self.windowBytes, into: window)
    }
    input.consume(consumed)
    return window.count > before
  }

  private mutating func compressUnit() throws {
    guard unit.count > 0 else { return }
    _ = try times.measure(.compress) { try compressor.compress(unit.readable) }
    unit.removeAll()
  }
}

/// Arguments that are not valid, or a file that cannot be opened.
private struct BadArguments: Error {
  let found: [String]
}
