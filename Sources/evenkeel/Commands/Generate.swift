internal import ArgumentParser
internal import Codecs
internal import Connectors
internal import Glibc
internal import Records
internal import Storage
internal import Stream
internal import Synthetic

/// `evenkeel generate`: a made stream to try things on.
struct Generate: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract: "Writes a made stream: drifting, seasonal, with missing values and a unit change.",
    discussion: "The same options give the same bytes on every machine.")

  @Option(help: ArgumentHelp("The number of records.", valueName: "n"))
  var rows = SyntheticSettings().rows

  @Option(help: ArgumentHelp("The number of features, called f0, f1, ….", valueName: "n"))
  var features = SyntheticSettings().features

  @Option(help: ArgumentHelp("Records a second; default: as fast as it goes.", valueName: "n"))
  var rate: Double?

  @Option(help: ArgumentHelp("What the random numbers start from.", valueName: "n"))
  var seed = SyntheticSettings().seed

  @Option(help: "csv, ndjson or raw; else by the output's name, else csv.")
  var format: String?

  @Option(help: "Raw rows: the width of their numbers.")
  var scalar = Precision.float32

  @Option(help: ArgumentHelp("The share of missing values.", valueName: "r"))
  var missing = SyntheticSettings().missingRatio

  @Option(help: ArgumentHelp("How far means walk in a day, in deviations.", valueName: "d"))
  var drift = SyntheticSettings().drift

  @Option(help: ArgumentHelp("The amplitude of the daily season, in deviations.", valueName: "a"))
  var season = SyntheticSettings().season

  @Option(
    help: ArgumentHelp(
      "From this record on (counted from 0) f0 comes in another unit: x · 1.8 + 32.",
      valueName: "row"))
  var unitChangeAt: Int?

  @Option(help: ArgumentHelp("Digits after the decimal point.", valueName: "n"))
  var decimals = SyntheticSettings().decimals

  @Option(
    name: [.short, .long],
    help: "A path, or - for stdout; compressed if it ends in .zst or if stdout is no terminal.")
  var output = "-"

  @OptionGroup var compression: OutputCompressionOptions

  func run() throws {
    do {
      try generate()
    } catch let error as SyntheticError {
      throw CommandFailure("\(error)", exitCode: 64)
    } catch let error as FileError {
      throw CommandFailure(StreamError.outputRefused(error))
    } catch {
      throw CommandFailure(error)
    }
  }

  private func generate() throws {
    if let rate, !(rate > 0 && rate.isFinite) {
      throw CommandFailure("--rate: expected more than 0, found \(rate)", exitCode: 64)
    }
    var stream = try SyntheticStream(settings())
    var sink = try BuiltInSinks.open(output, in: ConnectorContext(fileSystem: POSIXFileSystem()))
    try sink.begin([])
    let compressor = try compression.outputLevel(for: output).map { try ZstdCompressor(level: $0) }
    let start = ContinuousClock.now
    let frame = ByteBuffer()
    var chunk: [UInt8] = []
    // A rate is kept in steps of a tenth of a second.
    let recordLimit = rate.map { max(1, Int($0 / 10)) } ?? .max
    while stream.next(into: &chunk, recordLimit: recordLimit) > 0 {
      frame.append(chunk)
      if let rate {
        let due = start + .seconds(Double(stream.row) / rate)
        let (seconds, attoseconds) = (due - .now).components
        if seconds >= 0, attoseconds >= 0 {
          usleep(UInt32(seconds * 1_000_000 + attoseconds / 1_000_000_000_000))
        }
      } else if frame.count < 1 << 20 {
        continue
      }
      try write(frame, compressor, to: &sink)
    }
    if frame.count > 0 { try write(frame, compressor, to: &sink) }
    try sink.finish()
  }

  private func write(
    _ frame: ByteBuffer, _ compressor: ZstdCompressor?, to sink: inout any ByteSink
  ) throws {
    try sink.write(compressor?.compress(frame.readable) ?? Array(frame.readable))
    try sink.pushAll()
    frame.removeAll()
  }

  private func settings() throws -> SyntheticSettings {
    var settings = SyntheticSettings()
    settings.rows = rows
    settings.features = features
    settings.seed = seed
    settings.missingRatio = missing
    settings.drift = drift
    settings.season = season
    settings.unitChange = unitChangeAt.map { .init(row: $0) }
    settings.decimals = decimals
    let name = format ?? BuiltInFormats.ofFile(named: output)?.name ?? "csv"
    switch name {
    case "csv": settings.format = .csv
    case "ndjson": settings.format = .ndjson
    case "raw": settings.format = .raw(scalar)
    default:
      throw CommandFailure(
        "--format: expected csv, ndjson or raw, found '\(name)'", exitCode: 64)
    }
    return settings
  }
}
