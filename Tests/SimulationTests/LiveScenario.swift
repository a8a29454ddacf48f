import BatchNormalization
import Codecs
import Connectors
import Records
import Storage
import Stream
import Synthetic
import TestSupport

@testable import Stream

/// A stream that reads what another program writes meanwhile, drawn from a seed.
struct LiveScenario {
  enum Source: CaseIterable {
    case follow
    case directory
  }

  let source: Source
  let text: ProducedText
  let loss: Loss
  var definition: StreamDefinition
  let unitBytes: Int
  /// Whether batches are cut by time too, so that they differ from run to run.
  let cutsByTime: Bool
  /// Whether files may have other columns.
  let changesColumns: Bool
  private let rotation: LogProducer.Rotation
  private let damages: Bool
  private let mostBytesRead: Int
  private let producerSeed: UInt64

  private static let emptyDirectory = "/old"

  var directory: String { definition.directory(in: Scenario.stateDirectory) }

  init(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    func draw<Value>(_ values: Value...) -> Value {
      values[Int.random(in: 0..<values.count, using: &random)]
    }
    source = draw(.follow, .follow, .directory)
    text = ProducedText(isJSON: Int.random(in: 0..<3, using: &random) == 0)
    loss = draw(.nothing, .afterRest, .anything)
    rotation = draw(.numbered, .dated, .copyTruncate)
    changesColumns = !text.isJSON && Bool.random(using: &random)
    damages = Int.random(in: 0..<4, using: &random) == 0
    cutsByTime = loss == .afterRest || Bool.random(using: &random)
    var stream = StreamConfiguration(name: "simulated", format: text.isJSON ? .ndjson : .csv)
    stream.decoder.features = text.features.map { FeaturePattern($0) }
    stream.batch.size = Int.random(in: 4...12, using: &random)
    stream.batch.maxDelaySeconds = cutsByTime ? 1 : 1e6
    stream.badRecords = draw(.deadLetter, .deadLetter, .fail)
    stream.onSchemaChange = draw(.fail, .skip, .newFile)
    stream.onBadSplit = draw(.fail, .skip)
    stream.compressionLevel = draw(nil, 1)
    stream.normalization.mode = draw(.batch, .running, .running)
    stream.normalization.warmUp.records = draw(0, 9)
    stream.normalization.warmUp.emission = draw(.prefix, .pass)
    let place =
      source == .follow
      ? "follow: { path: \(LogProducer.path) }"
      : "directory: { path: \(DirectoryProducer.directory) }"
    // From a number of its own. After a directory without a file, a sequence is as its last source.
    var sequenceRandom = SplitMix64(seed: seed ^ 0x5e9)
    definition = try Scenario.blankDefinition(
      source: sequenceRandom.once(in: 3)
        ? "sequence: [ { directory: { path: \(Self.emptyDirectory) } }, { \(place) } ]" : place)
    definition.stream = stream
    definition.checkpoint = CheckpointOptions(
      schedule: CheckpointSchedule(
        intervalSeconds: draw(0.5, 30), everyBatches: draw(nil, 1, 3)),
      keep: Int.random(in: 1...3, using: &random))
    definition.deadLetters.keep = 1000
    unitBytes = draw(64, 512, 4096)
    mostBytesRead = draw(30, 100, .max)
    producerSeed = random.next()
  }

  func makeProducer() -> any Producer {
    let acceptsOthers = definition.stream.onSchemaChange == .newFile
    let others: [ProducedText.Header] =
      changesColumns ? [.swapped, .extended, acceptsOthers ? .swapped : .foreign] : []
    let headers = [.plain, .plain, .otherBytes] + others
    return switch source {
    case .follow:
      LogProducer(
        seed: producerSeed, text, rotation, loss, restIsDurable: cutsByTime, headers: headers,
        acceptsOthers: acceptsOthers)
    case .directory:
      DirectoryProducer(
        seed: producerSeed, text, loss, restIsDurable: cutsByTime, headers: headers,
        acceptsOthers: acceptsOthers, damages: damages)
    }
  }

  /// Whether a failure with this error is what the stream is to do.
  func expects(_ error: StreamError) -> Bool {
    switch error {
    case .badRecord where definition.stream.badRecords == .fail: true
    case .badInput, .badRecord:
      changesColumns && definition.stream.onSchemaChange == .fail
        || damages && definition.stream.onBadSplit == .fail
    default: false
    }
  }

  /// Passes over the records and splits that the stream refuses, as an operator does at last.
  mutating func giveIn() {
    definition.stream.badRecords = .deadLetter
    if definition.stream.onSchemaChange == .fail { definition.stream.onSchemaChange = .skip }
    definition.stream.onBadSplit = .skip
  }

  func disk(seed: UInt64) throws -> SimulatedFileSystem {
    let fileSystem = SimulatedFileSystem(seed: seed)
    fileSystem.mostBytesRead = (mostBytesRead, under: LogProducer.directory)
    for directory in [
      Scenario.outputDirectory, Scenario.stateDirectory, LogProducer.directory, Self.emptyDirectory,
    ] {
      try fileSystem.install(directory + "/.there", [])
    }
    return fileSystem
  }
}
