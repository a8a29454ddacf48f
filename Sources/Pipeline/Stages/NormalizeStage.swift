internal import BatchNormalization
internal import Codecs
internal import Dataflow
internal import Features
internal import Storage

// Invariants:
// - Batches leave in the order in which they came; while some are held, all that follow are too.
// - A checkpoint leaves between two batches, behind every batch that it knows of.

/// Normalises mini-batches, and gathers them into units that are worth a frame of their own.
struct NormalizeStage: Stage {
  /// The most records that warm-up may hold back.
  static let mostHeldRecords = 1 << 20
  /// The most memory that held records may take, in bytes.
  private static let mostHeldBytes = 256 << 20
  /// A unit is sent when it has about as many bytes of text or columns: large enough for a frame to
  /// compress well, small enough to keep every worker busy.
  private static let unitBytes = 512 << 10

  private let configuration: StreamConfiguration
  private let initial: Checkpoint?
  private let parameters: Parameters?
  private let keepsCheckpoint: Bool
  private var startsFromInitial = false
  private var normalizer: Normalizer?
  private var encoder: (any RecordEncoder)?
  private var unit = NormalizedUnit()
  private var unitBytes = 0
  private var held: [RecordBatch] = []
  private var heldBytes = 0
  private var position = StreamPosition()

  /// - Parameters:
  ///   - initial: the state to start from.
  ///   - parameters: γ and β, in place of those of the state.
  ///   - keepsCheckpoint: whether the final state is sent after the last batch.
  init(
    _ configuration: StreamConfiguration, initial: Checkpoint?, parameters: Parameters?,
    keepsCheckpoint: Bool
  ) {
    self.configuration = configuration
    self.initial = initial
    self.parameters = parameters
    self.keepsCheckpoint = keepsCheckpoint
  }

  mutating func step(
    _ signal: Signal<IngestedItem>, emit: (consuming NormalizedUnit) -> Void
  ) throws -> Progress {
    switch signal {
    case .element(.opened(let opening)): try open(opening)
    case .element(.batch(let batch)): try normalize(batch)
    case .element(.rejected(let records)):
      unit.rejected += records
      unitBytes += records.byteCount
    case .element(.ended(let end)): position = end
    case .resume: break
    case .end:
      try releaseHeld()
      // A stream that was stopped before its start was known is an empty one.
      if normalizer == nil { unit.startsStream = true }
      if keepsCheckpoint, let normalizer {
        unit.checkpoint = Checkpoint(
          normalizer.state, schema: normalizer.schema, settings: checkpointSettings,
          position: position)
      }
      send(emit)
      return .finished
    }
    if unitBytes >= Self.unitBytes || unit.rejected.count >= 64 { send(emit) }
    return .next
  }

  /// Moments that stand still are still those that the settings they were made with made; how they
  /// are applied is settled anew.
  private var checkpointSettings: [String: String] {
    let settings = configuration.normalization
    guard settings.isFrozen, startsFromInitial, let initial else {
      return settings.checkpointSettings
    }
    let others = initial.settings.filter {
      !NormalizationSettings.transformSettingNames.contains($0.key)
    }
    return others.merging(settings.transformSettings) { _, applied in applied }
  }

  private mutating func open(_ opening: StreamOpening) throws(StreamError) {
    do {
      var state: NormalizerState?
      if let initial {
        state = try initial.state(for: opening.schema, configuration)
        startsFromInitial = state != nil
      }
      if let parameters {
        let arranged = try parameters.arranged(for: opening.schema.names)
        var changed = state ?? NormalizerState(featureCount: opening.schema.count)
        changed.parameters = try AffineParameters(weight: arranged.weight, bias: arranged.bias)
        state = changed
      }
      normalizer = try Normalizer(
        schema: opening.schema, settings: configuration.normalization,
        outputPrecision: configuration.precision, state: state)
      encoder = try configuration.makeEncoder(for: opening)
    } catch let error as StreamError {
      throw error
    } catch {
      throw .configuration("\(configuration.name): \(error)")
    }
    unit.startsStream = true
  }

  private mutating func normalize(_ batch: consuming RecordBatch) throws(StreamError) {
    var batch = batch
    position = batch.end
    let emission: BatchEmission
    do {
      guard let result = try normalizer?.normalize(&batch.features) else { return }
      emission = result
    } catch {
      throw .badInput(
        stream: configuration.name,
        "records \(grouped(batch.end.records - batch.features.count + 1)) to "
          + "\(grouped(batch.end.records)): \(error)")
    }
    switch emission {
    case .normalized: append(batch)
    case .passed:
      batch.passesThrough = true
      append(batch)
    case .held:
      held.append(batch)
      heldBytes += batch.byteCount
      guard heldBytes <= Self.mostHeldBytes else {
        throw .badInput(
          stream: configuration.name,
          "warm-up: expected to hold at most \(Self.mostHeldBytes) bytes, found more: "
            + "ask for fewer warm-up batches")
      }
    }
    if normalizer?.isWarm == true { try releaseHeld() }
  }

  private mutating func releaseHeld() throws(StreamError) {
    for var batch in held {
      do {
        try normalizer?.normalizeHeld(&batch.features)
      } catch {
        throw .badInput(stream: configuration.name, "\(error)")
      }
      append(batch)
    }
    held = []
    heldBytes = 0
  }

  private mutating func append(_ batch: consuming RecordBatch) {
    // What counts is what depends on the records alone, so that units are cut alike in every run.
    unitBytes += max(
      batch.text.count,
      batch.features.count * batch.features.featureCount * configuration.precision.byteCount)
    unit.batches.append(batch)
  }

  private mutating func send(_ emit: (consuming NormalizedUnit) -> Void) {
    unit.encoder = encoder
    emit(unit)
    unit = NormalizedUnit()
    unitBytes = 0
  }
}
