internal import ArgumentParser
internal import BatchNormalization
internal import Codecs
internal import Dataflow
internal import Glibc
internal import Records
internal import Storage
internal import Stream

/// A choice by name; what ArgumentParser finds out by reflection about such takes an eighth of the start-up.
private protocol NamedChoice: ExpressibleByArgument, CaseIterable, RawRepresentable
where RawValue == String {}

extension NamedChoice {
  static var allValueStrings: [String] { allCases.map { $0.rawValue } }
  static var allValueDescriptions: [String: String] { [:] }
}

extension Precision: NamedChoice {}
extension MissingPolicy: NamedChoice {}
extension InvalidPolicy: NamedChoice {}
extension BadRecordPolicy: NamedChoice {}
extension MismatchPolicy: NamedChoice {}
extension NormalizationMode: NamedChoice {}
extension NormalizationPreset: NamedChoice {}
extension VarianceEstimator: NamedChoice {}
extension BatchVariance: NamedChoice {}
extension WarmUp.Emission: NamedChoice {}
extension LogFormat: NamedChoice {}

/// How records are read and written.
struct FormatOptions: ParsableArguments {
  @Option(help: "csv, ndjson or raw; else by the file's name.")
  var format: String?

  @Option(
    help: ArgumentHelp(
      "Features by name, with * and ?; NDJSON takes dotted paths and vectors such as "
        + "'embedding[*]'. Default: every column whose first record holds a number.",
      valueName: "names"))
  var features: String?

  @Option(help: "A missing value stays (keep), becomes the mean (impute), or makes a bad record.")
  var onMissing = MissingPolicy.keep

  @Option(help: "An infinity or text that is no number makes a bad record, or counts as missing.")
  var onInvalid = InvalidPolicy.reject

  @Option(help: "A bad record stops the run, is left out, or is left out and kept in a file.")
  var onBadRecord = BadRecordPolicy.fail

  @Option(help: ArgumentHelp("The file for bad records (NDJSON).", valueName: "file"))
  var deadLetters: String?

  @Option(
    help: "The format of the output; another than the input's carries the features alone.")
  var outputFormat: String?

  @Option(help: "The width of the output: its shortest text, or its raw floats.")
  var precision = Precision.float32

  @Option(help: ArgumentHelp("The most bytes that a record may have.", valueName: "bytes"))
  var maxRecordBytes = DecoderLimits().recordBytes

  @Option(help: ArgumentHelp("The most fields or members that a record may have.", valueName: "n"))
  var maxFields = DecoderLimits().fields

  @Option(help: ArgumentHelp("The deepest that JSON may nest; at most 1024.", valueName: "n"))
  var maxDepth = DecoderLimits().depth

  func decoderOptions() throws -> DecoderOptions {
    var options = DecoderOptions()
    options.features = commaSeparated(features).map { FeaturePattern($0) }
    options.onMissing = onMissing
    options.onInvalid = onInvalid
    options.limits.recordBytes = maxRecordBytes
    options.limits.fields = maxFields
    options.limits.depth = maxDepth
    return options
  }
}

/// What the numbers mean; docs/SEMANTICS.md says it in full.
struct NormalizationOptions: ParsableArguments {
  @Option(help: ArgumentHelp("Records in a mini-batch.", valueName: "n"))
  var batchSize = BatchOptions().size

  @Option(help: "Which moments normalise a batch: its own, the running ones, or renormalised.")
  var mode: NormalizationMode?

  @Flag(help: "Mode running: take the moments as they stand after the batch.")
  var updateFirst = false

  @Option(help: "Start from the settings of pytorch or keras; other options still count.")
  var preset: NormalizationPreset?

  @Option(
    help: ArgumentHelp(
      "The weight of the new batch, as in PyTorch (Keras' momentum is 1 minus it), or cumulative.",
      valueName: "a"))
  var momentum: String?

  @Option(help: ArgumentHelp("Added to every variance.", valueName: "e"))
  var epsilon: Double?

  @Option(help: "The running variance: the average within batches, or that of all values.")
  var estimator: VarianceEstimator?

  @Option(help: "The divisor of a batch's variance as it enters the running one: n - 1 or n.")
  var variance: BatchVariance?

  @Option(
    help: ArgumentHelp(
      "Whether early batches weigh more, so that nothing is left of the initial values.",
      valueName: "true|false"))
  var biasCorrection: Bool?

  @Option(help: ArgumentHelp("Batches until the running moments count.", valueName: "n"))
  var warmUpBatches: Int?

  @Option(help: "Until then: batch moments, raw values, or nothing until warm.")
  var warmUpEmit: WarmUp.Emission?

  @Flag(help: "The running moments stand still (inference).")
  var frozen = false

  @Option(
    help: ArgumentHelp("In place of --momentum: values until a weight has halved.", valueName: "n"))
  var halfLifeRecords: Double?

  @Option(help: ArgumentHelp("The limit on the normalised value, in deviations.", valueName: "l"))
  var clip: Double?

  @Option(help: ArgumentHelp("The least variance to normalise by.", valueName: "v"))
  var varianceFloor: Double?

  @Option(help: ArgumentHelp("Shorter batches take the running moments.", valueName: "n"))
  var minBatchSize: Int?

  @Option(help: ArgumentHelp("Mode renorm: the bound of r.", valueName: "r"))
  var renormMaxScale: Double?

  @Option(help: ArgumentHelp("Mode renorm: the bound of d.", valueName: "d"))
  var renormMaxShift: Double?

  func settings() throws -> NormalizationSettings {
    var settings = preset.map { NormalizationSettings(preset: $0) } ?? NormalizationSettings()
    if let mode { settings.mode = mode }
    settings.updateFirst = updateFirst
    if let chosen = try chosenMomentum() { settings.momentum = chosen }
    if let epsilon { settings.epsilon = epsilon }
    if let estimator { settings.estimator = estimator }
    if let variance { settings.variance = variance }
    if let biasCorrection { settings.biasCorrection = biasCorrection }
    if let warmUpBatches { settings.warmUp.batches = warmUpBatches }
    if let warmUpEmit { settings.warmUp.emission = warmUpEmit }
    settings.isFrozen = frozen
    settings.clip = clip
    settings.varianceFloor = varianceFloor
    if let minBatchSize { settings.minBatchSize = minBatchSize }
    if let renormMaxScale { settings.renormMaxScale = renormMaxScale }
    if let renormMaxShift { settings.renormMaxShift = renormMaxShift }
    return settings
  }

  private func chosenMomentum() throws -> Momentum? {
    if let halfLifeRecords { return .halfLifeRecords(halfLifeRecords) }
    guard let momentum else { return nil }
    if momentum == "cumulative" { return .cumulative }
    guard let weight = Double(momentum) else {
      throw CommandFailure(
        "--momentum: expected a number or 'cumulative', found '\(momentum)'", exitCode: 64)
    }
    return .weight(weight)
  }

  /// The keys of the settings that were given, as the configuration file calls them.
  var given: Set<String> {
    let options: [(key: String, isGiven: Bool)] = [
      ("normalize.update_first", updateFirst),
      ("normalize.variance", variance != nil),
      ("normalize.renorm.max_scale", renormMaxScale != nil),
      ("normalize.renorm.max_shift", renormMaxShift != nil),
      ("normalize.momentum", momentum != nil),
      ("normalize.half_life.records", halfLifeRecords != nil),
    ]
    return Set(options.filter(\.isGiven).map(\.key))
  }
}

extension SettingViolation {
  /// The options for the keys whose last part is not their name.
  private static let options = [
    "batch.size": "batch-size",
    "batch.min_size": "min-batch-size",
    "limits.record_bytes": "max-record-bytes",
    "limits.fields": "max-fields",
    "limits.depth": "max-depth",
    "limits.growth": "max-growth",
    "limits.window": "long",
    "normalize.half_life.records": "half-life-records",
    "normalize.renorm.max_scale": "renorm-max-scale",
    "normalize.renorm.max_shift": "renorm-max-shift",
    "normalize.warm_up.batches": "warm-up-batches",
    "output.format": "output-format",
  ]

  /// The violation with settings called by their options.
  var onCommandLine: String {
    text { key in
      let last = key.split(separator: ".").last ?? ""
      return "--" + (Self.options[key] ?? last.split(separator: "_").joined(separator: "-"))
    }
  }
}

/// The state that a run starts from and leaves.
struct StateOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The checkpoint to start from.", valueName: "file"))
  var checkpointIn: String?

  @Option(help: ArgumentHelp("Where the final checkpoint goes.", valueName: "file"))
  var checkpointOut: String?

  @Option(help: ArgumentHelp("A safetensors file with weight (γ) and bias (β).", valueName: "file"))
  var parameters: String?

  @Option(
    help: ArgumentHelp(
      "Go on, exactly, where a run with this state directory was killed.", valueName: "directory"))
  var resume: String?

  @Option(
    help: ArgumentHelp(
      "With --resume: keep the state every so many batches, not only every 10 s.", valueName: "n"))
  var checkpointEvery: Int?

  @Option(
    help:
      "A checkpoint of other features or settings stops the run, lends what fits, or is ignored."
  )
  var onMismatch = MismatchPolicy.fail
}

/// How output is compressed.
struct OutputCompressionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The zstd level of the output.", valueName: "n"))
  var level = 1

  @Flag(help: "Write stdout uncompressed.")
  var noCompress = false

  /// The zstd level for an output, or nil where it is not compressed.
  func outputLevel(for output: String) -> Int? {
    if output.hasSuffix(".zst") { return level }
    return output == "-" && !noCompress && isatty(STDOUT_FILENO) == 0 ? level : nil
  }
}

/// How input is decompressed.
struct InputCompressionOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The dictionary of the input's frames.", valueName: "file"))
  var dictionary: String?

  @Option(
    help: ArgumentHelp("Take frames with windows of up to 2^n bytes; at most 31.", valueName: "n"))
  var long = DecompressionOptions().maxWindowLog

  @Option(
    help: ArgumentHelp(
      "Refuse a record above 1 MiB of more than n times its compressed bytes.", valueName: "n"))
  var maxGrowth = DecompressionOptions().maxGrowth

  func decompression() throws -> DecompressionOptions {
    var options = DecompressionOptions()
    options.maxWindowLog = long
    options.maxGrowth = maxGrowth
    if let dictionary {
      options.dictionary = try POSIXFileSystem().contents(of: dictionary, limit: 64 << 20)
    }
    return options
  }
}

/// How the command runs and what it says.
struct RunOptions: ParsableArguments {
  private static let mostThreads = 256

  @Option(help: ArgumentHelp("Units encoded at once; default: the cores.", valueName: "n"))
  var threads = min(StageThreads.usableProcessors, mostThreads)

  @Flag(help: "Say what was done as one JSON object on stderr.")
  var jsonSummary = false

  @Option(help: "How errors are written.")
  var logFormat = LogFormat.text

  mutating func validate() throws {
    guard (1...Self.mostThreads).contains(threads) else {
      throw ValidationError("--threads: expected 1 to \(Self.mostThreads), found \(threads)")
    }
  }
}

/// The parts of a list without empty ones.
func commaSeparated(_ list: String?) -> [String] {
  list?.split(separator: ",").map(String.init) ?? []
}
