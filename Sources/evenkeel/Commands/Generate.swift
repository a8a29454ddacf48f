internal import ArgumentParser
internal import Codecs
internal import Configuration
internal import Connectors
internal import Glibc
internal import Records
internal import Storage
internal import Stream
internal import Synthetic

/// `evenkeel generate`: writes a synthetic stream, for tests.
struct Generate: DescribedCommand {
  static let configuration = CommandConfiguration(
    commandName: "generate",
    abstract:
      "Writes a synthetic stream: drifting, seasonal, with missing values and a unit change.",
    usage: "evenkeel generate [<options>]",
    discussion: "The same options give the same bytes on every machine.")

  static let settings = [
    SettingGroup(
      "Stream",
      [rows, features, rate, seed, missing, drift, season, unitChangeAt, changes, decimals]),
    SettingGroup(
      "Output",
      [
        CommandSettings.output, format, RawSettings.scalar, OutputSettings.level,
        OutputSettings.compression,
      ]),
  ]

  private static let defaults = SyntheticSettings()

  private static let rows = Setting(
    nil, .integer(in: 0...Int.max), default: defaults.rows, option: .value("rows", "n"),
    help: "The number of records.")
  private static let features = Setting(
    nil, .integer(in: 1...1_000_000), default: defaults.features, option: .value("features", "n"),
    help: "The number of features, named `f0`, `f1`, ….")
  private static let rate = Setting(
    nil, .positive, defaultText: "as fast as possible", option: .value("rate", "n"),
    help: "Records a second.")
  private static let seed = Setting(
    nil, .integer(in: 0...Int.max), default: Int(defaults.seed), option: .value("seed", "n"),
    help: "The seed of the random numbers.")
  private static let missing = Setting(
    nil, ratio, default: defaults.missingRatio, option: .value("missing", "r"),
    help: "The share of missing values.")
  private static let drift = Setting(
    nil, deviations, default: defaults.drift, option: .value("drift", "d"),
    help: "How far means wander in a day, in standard deviations.")
  private static let season = Setting(
    nil, deviations, default: defaults.season, option: .value("season", "a"),
    help: "The amplitude of the daily season, in standard deviations.")
  private static let unitChangeAt = Setting(
    nil, .integer(in: 0...Int.max), option: .value("unit-change-at", "row"),
    help:
      "From this record on (counted from 0), the temperature `f0` is in °F, not °C: x · 1.8 + 32.")
  private static let changes = Setting(
    nil, changeType, default: [], defaultText: "none", option: .value("changes", "list"),
    help:
      "Changes of features from a record on, such as `unit@20000:f0,bias@30000:f1`. Kinds: `unit` (a "
      + "temperature in °C, then in °F), `bias`, "
      + "`dead` (repeats a value), `noise` (grows), `missing` (bursts), `outliers`.")
  private static let decimals = Setting(
    nil, .integer(in: 0...9), default: defaults.decimals, option: .value("decimals", "n"),
    help: "Digits after the decimal point.")
  private static let format = Setting(
    nil, .word(of: SyntheticFormat.names),
    defaultText: "by the name of the output, otherwise csv",
    option: .value("format", "name"), help: "The format of the records.")

  private static let ratio = SettingType.number(
    expected: "a number from 0 to 1", range: "0 to 1", allows: { (0...1).contains($0) })
  private static let deviations = SettingType.number(
    expected: "a number from 0 to 1000", range: "0 to 1000", allows: { (0...1000).contains($0) })

  private static let changeType = SettingType<[SyntheticChange]>(
    expected: "a list of changes KIND@ROW:FEATURE, such as bias@20000:f1", form: .list,
    text: { listText($0.map(\.text)) },
    list: { (texts) throws(SettingRefusal) in
      var changes: [SyntheticChange] = []
      for text in texts {
        guard let change = SyntheticChange(text) else {
          throw SettingRefusal(found: quoted(text))
        }
        changes.append(change)
      }
      return changes
    })

  func run(_ given: CommandLineSettings) throws {
    do {
      try generate(try given.read(Self.settings))
    } catch let error as FileError {
      throw CommandFailure(StreamError.outputRefused(error))
    } catch let error as SyntheticError {
      throw CommandFailure("\(error)", exitCode: 64)
    } catch {
      throw CommandFailure(error)
    }
  }

  private func generate(_ values: SettingValues) throws {
    let (rate, output) = (values[Self.rate], values[CommandSettings.output])
    var stream = try SyntheticStream(settings(values))
    var sink = try Catalogue.builtIn.sinks.open(
      output, in: ConnectorContext(fileSystem: POSIXFileSystem()))
    try sink.begin([])
    let compressor = try CommandSettings.outputLevel(values).map { try ZstdCompressor(level: $0) }
    let start = ContinuousClock.now
    let frame = ByteBuffer()
    var chunk: [UInt8] = []
    // With a rate, each step writes the records of a tenth of a second.
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

  /// The format that the user names, or the name of the output tells.
  private func format(_ values: SettingValues) throws -> SyntheticFormat {
    let (catalogue, path) = (Catalogue.builtIn, values[CommandSettings.output])
    let told = catalogue.formats.ofFile(named: path)
    let chosen = values[Self.format].flatMap { catalogue.formats.named($0) } ?? told
    var values = values
    if let chosen {
      guard SyntheticFormat.names.contains(chosen.name) else {
        throw CommandFailure(
          "--output: expected a file of \(SyntheticFormat.names.joined(separator: ", ")), "
            + "found the name of one of \(chosen.name)", exitCode: 64)
      }
      var suggested = values
      chosen.suggest(by: path, .input, &suggested)
      if !values.isGiven(RawSettings.scalar) {
        values[RawSettings.scalar] = suggested[RawSettings.scalar]
      }
      let found = catalogue.contradictions(
        of: path == "-" ? nil : path, by: CommandSettings.output, chosen, values)
      if let violation = found.first { throw CommandLineError(violation) }
    }
    return SyntheticFormat(named: chosen?.name ?? "csv", precision: values[RawSettings.scalar])
      ?? .csv
  }

  private func settings(_ values: SettingValues) throws -> SyntheticSettings {
    var settings = SyntheticSettings()
    settings.rows = values[Self.rows]
    settings.features = values[Self.features]
    settings.seed = UInt64(values[Self.seed])
    settings.missingRatio = values[Self.missing]
    settings.drift = values[Self.drift]
    settings.season = values[Self.season]
    settings.changes = values[Self.changes]
    if let row = values[Self.unitChangeAt] {
      settings.changes.append(SyntheticChange(.unit, row: row))
    }
    settings.decimals = values[Self.decimals]
    settings.format = try format(values)
    return settings
  }
}
