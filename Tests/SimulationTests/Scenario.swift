import BatchNormalization
import Codecs
import Configuration
import Connectors
import Operators
import Records
import Storage
import Stream
import Synthetic
import TestSupport
import Testing

@testable import Stream

/// A stream drawn from a seed: its input, its configuration, and where everything stands.
struct Scenario {
  /// How the input comes.
  enum Input: CaseIterable {
    case plain
    case oneFrame
    case manyFrames
    case directory
  }

  /// The format of the records.
  enum Form {
    case csv, ndjson, arrow

    var format: RecordFormat {
      switch self {
      case .csv: .csv
      case .ndjson: .ndjson
      case .arrow: .arrow
      }
    }
  }

  static let stateDirectory = "/state"
  static let outputDirectory = "/out"
  static let inputDirectory = "/in"
  /// That of the last source of a sequence.
  static let liveDirectory = "/in-live"
  static let gradientsPath = "/gradients/lines.ndjson"
  /// Stands still, so that names and times do not differ from run to run.
  static let clock = ManualClock().clock

  let input: Input
  var definition: StreamDefinition
  private(set) var unitBytes: Int
  /// Whether each run has checkpoints and units at other places, as those by time are, and those that an
  /// operator asks for.
  let variesCadence: Bool
  /// The files that are there before the first run, by path.
  private(set) var files: [String: [UInt8]] = [:]
  /// The most bytes that are read at once.
  private let mostBytesRead: Int

  var directory: String { definition.directory(in: Self.stateDirectory) }

  init(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    func draw<Value>(_ values: Value...) -> Value {
      values[Int.random(in: 0..<values.count, using: &random)]
    }
    input = draw(.plain, .oneFrame, .manyFrames, .directory)
    let form: Form = draw(.csv, .ndjson, .arrow)
    var stream = StreamConfiguration(name: "simulated", format: form.format)
    stream.decoder.features = ["f0", "f1"].map { FeaturePattern($0) }
    stream.batch.size = Int.random(in: 4...8, using: &random)
    stream.badRecords = .deadLetter
    stream.compressionLevel = draw(nil, 1)
    if stream.compressionLevel == nil {
      stream.decoder.settings[ArrowSettings.container] = draw(.stream, .file)
    }
    if random.once(in: 3) {
      // A conversion with all columns.
      stream.outputFormat = form == .arrow ? draw(.csv, .ndjson) : .arrow
    }
    stream.normalization.mode = draw(.batch, .running, .running)
    stream.normalization.warmUp.records = draw(0, 5, 17)
    stream.normalization.warmUp.emission = draw(.prefix, .pass, .missing, .hold, .hold)
    // From numbers of its own, so that the other draws stay as they are.
    var keyRandom = SplitMix64(seed: ~seed)
    if form != .arrow, stream.normalization.mode == .running, keyRandom.once(in: 2) {
      stream.decoder.roles = [RoleColumn(.key(0), name: "key")]
      var key = KeySettings(columns: ["key"])
      key.most = Int.random(in: 1...40, using: &keyRandom)
      if keyRandom.once(in: 3) {
        stream.decoder.roles = [RoleColumn(.className(among: []), name: "key")]
        stream.normalization.classes = ClassSettings(column: "key")
      } else {
        stream.normalization.key = key
      }
    }
    definition = try Self.blankDefinition(
      source: input == .directory
        ? "directory: { path: \(Self.inputDirectory) }"
        : "file: { path: \(Self.inputDirectory)/in }")
    // From numbers of its own, too.
    var sequenceRandom = SplitMix64(seed: seed ^ 0x5e9)
    let isSequence = input == .directory && sequenceRandom.once(in: 2)
    if isSequence {
      let last =
        sequenceRandom.once(in: 2)
        ? "directory: { path: \(Self.liveDirectory) }"
        : "follow: { path: \(Self.liveDirectory)/log }"
      definition = try Self.blankDefinition(
        source: "sequence: [ { directory: { path: \(Self.inputDirectory) } }, { \(last) } ]")
    }
    definition.stream = stream
    definition.checkpoint = CheckpointOptions(
      schedule: CheckpointSchedule(everyBatches: Int.random(in: 1...4, using: &random)),
      keep: Int.random(in: 1...3, using: &random))
    definition.deadLetters = DeadLetterOptions(
      maxBytes: draw(150, 600, 1 << 20), keep: draw(1, 2, 1000))
    unitBytes = draw(64, 512, 4096)
    // Batches are cut by number alone, so that what comes out does not depend on the time.
    definition.stream.batch.maxDelaySeconds = 1e6
    variesCadence = Bool.random(using: &random)
    mostBytesRead = draw(30, 60, 100, .max)
    let byteLimit: Int? = draw(nil, 300, 1000)
    definition.sink.open = { context throws(FileError) in
      try RotatingFileSink(
        path: Self.outputDirectory + "/out.data", rotation: .init(byteLimit: byteLimit),
        in: context.fileSystem, clock: context.clock)
    }
    try drawInput(form, &random)
    drawDrift(seed: seed)
    if isSequence {
      let count = Int.random(in: 0...40, using: &sequenceRandom)
      files[Self.liveDirectory + "/log"] =
        form == .arrow
        ? try arrowStream(records: count + 1, &sequenceRandom)
        : Self.text(records: count + 1, isJSON: form == .ndjson, &sequenceRandom)
    }
    try drawGradients(seed: seed)
    // A file of another program must not be lost.
    if Bool.random(using: &random) {
      files[Self.outputDirectory + "/out.data"] = Array("somebody else's\n".utf8)
    }
    if random.once(in: 3) { definition.stream.decoder.settings[RecordSettings.stamp] = "run" }
    if random.once(in: 3), form != .arrow || stream.outputFormat != nil {
      definition.stream.decoder.settings[RecordSettings.columns] = ["f1*", "*"].map {
        FeaturePattern($0)
      }
    }
  }

  /// The scenario for one more run.
  func anotherRun(_ random: inout SplitMix64) -> Scenario {
    guard variesCadence else { return self }
    var scenario = self
    scenario.definition.checkpoint.schedule.everyBatches = Int.random(in: 1...4, using: &random)
    scenario.unitBytes = Int.random(in: 50...3000, using: &random)
    return scenario
  }

  private mutating func drawInput(_ form: Form, _ random: inout SplitMix64) throws {
    let runs = input == .directory ? Int.random(in: 1...4, using: &random) : 1
    for run in 0..<runs {
      let count = Int.random(in: 0...(input == .directory ? 40 : 90), using: &random)
      let text =
        form == .arrow
        ? try arrowStream(records: count + 1, &random)
        : Self.text(records: count + 1, isJSON: form == .ndjson, &random)
      let name = "\(Self.inputDirectory)/" + (input == .directory ? "in-\(run)" : "in")
      let frames =
        switch input {
        case .plain: 0
        case .oneFrame: 1
        case .manyFrames: Int.random(in: 2...25, using: &random)
        case .directory: Int.random(in: 0...8, using: &random)
        }
      let parts = frames == 0 ? [text] : try framed(text, count: frames)
      files[name] = parts.flatMap { $0 }
    }
  }

  /// Watches every second stream for drift. Its pools stay open over many batches, and so over crashes.
  private mutating func drawDrift(seed: UInt64) {
    var random = SplitMix64(seed: seed ^ 0xd21f7)
    guard random.once(in: 2) else { return }
    definition.stream.operatorSettings[DriftSettings.watch] = .on
    definition.stream.operatorSettings[DriftSettings.falseAlarms] = .perBatches(10)
    definition.stream.operatorSettings[DriftSettings.actions] = [.log, .freeze]
  }

  /// Gradients of γ and β for one stream in three, each of which names its batch. Some cannot be used.
  ///
  /// They have a generator of their own, so that the rest of a scenario is the same with and without them.
  private mutating func drawGradients(seed: UInt64) throws {
    var random = SplitMix64(seed: seed ^ 0x9ead)
    guard random.once(in: 3) else { return }
    var settings = definition.stream.operatorSettings
    settings[LearnSettings.optimizer] =
      LearnOptimizer.allCases[Int.random(in: 0..<3, using: &random)]
    settings[LearnSettings.learningRate] = 0.25
    settings[LearnSettings.maxStaleness] = 64
    if settings[LearnSettings.optimizer] == .sgd { settings[LearnSettings.momentum] = 0.5 }
    settings[LearnSettings.gradients] = Self.gradientsPath
    definition.stream.operatorSettings = settings
    var (text, batch) = ("", 0)
    for _ in 0..<Int.random(in: 1...40, using: &random) {
      batch += Int.random(in: 0...2, using: &random)
      // The first version of γ and β is known all the time; another one may never have been.
      let version = random.once(in: 10) ? 3 : 0
      let numbers = (0..<4).map { _ in Double(Int.random(in: -9...9, using: &random)) / 8 }
      text +=
        random.once(in: 10)
        ? "no gradient\n"
        : #"{"version":\#(version),"weight_grad":[\#(numbers[0]),\#(numbers[1])],"#
          + #""bias_grad":[\#(numbers[2]),\#(numbers[3])],"after_batch":\#(batch)}"# + "\n"
    }
    files[Self.gradientsPath] = Array(text.utf8)
  }

  /// Records of a key, two features and a note. One text in twenty also has a run of bad records, which are told before
  /// their batch is cut.
  private static func text(
    records: Int, isJSON: Bool, _ random: inout SplitMix64
  ) -> [UInt8] {
    let maker = RandomRecords(isJSON ? "ndjson" : "csv", features: ["f0", "f1"])
    var text = maker.bytes((records + 1) / 2, using: &random)
    if random.once(in: 20) {
      for number in 0..<70 { text += (isJSON ? "{\"f0\":\(number)\n" : "bad,\(number)\n").utf8 }
    }
    let header = maker.bytes(0, using: &random)
    return text + maker.bytes(records / 2, using: &random).dropFirst(header.count)
  }

  static func blankDefinition(source: String) throws -> StreamDefinition {
    let fileSystem = SimulatedFileSystem(seed: 0)
    let text = """
      state_directory: \(stateDirectory)
      streams:
        simulated:
          format: csv
          source: { \(source) }
          sink: { file: { path: \(outputDirectory)/out.data } }
      """
    try fileSystem.install("/evenkeel.yaml", Array(text.utf8))
    let configuration = try DaemonConfiguration.load("/evenkeel.yaml", in: fileSystem) { _ in nil }
    return try #require(configuration.streams.first)
  }

  /// A disk with the scenario's files on it.
  func disk(seed: UInt64) throws -> SimulatedFileSystem {
    let fileSystem = SimulatedFileSystem(seed: seed)
    fileSystem.mostBytesRead = (mostBytesRead, under: Self.inputDirectory)
    // In the order of their names, so that every disk numbers them alike.
    for (path, bytes) in files.sorted(by: { $0.key < $1.key }) {
      try fileSystem.install(path, bytes)
    }
    for directory in [Self.outputDirectory, Self.stateDirectory] {
      try fileSystem.install(directory + "/.there", [])
    }
    return fileSystem
  }
}

/// The bytes in so many zstd frames.
func framed(_ bytes: [UInt8], count: Int) throws -> [[UInt8]] {
  let compressor = try ZstdCompressor(level: 1)
  let size = max(1, (bytes.count + count - 1) / count)
  return try stride(from: 0, to: bytes.count, by: size).map { start in
    try Array(bytes[start..<min(start + size, bytes.count)])
      .withUnsafeBufferPointer { try compressor.compress($0) }
  }
}
