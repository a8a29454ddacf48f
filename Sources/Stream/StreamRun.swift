internal import Codecs
package import Configuration
internal import Connectors
internal import Dataflow
internal import Records
package import Storage

/// Where a stream comes from, where it goes to, and the files beside it; all by path.
package struct StreamFiles: Sendable {
  /// `-` is standard input.
  package var input: String
  /// `-` is standard output.
  package var output: String
  package var checkpointIn: String?
  package var checkpointOut: String?
  /// γ and β.
  package var parameters: String?
  package var deadLetters: String?
  /// The directory of the state that lets a run go on where an earlier one was killed.
  package var resume: String?
  /// With `resume`: when the state is kept.
  package var schedule = CheckpointSchedule(intervalSeconds: 10)

  /// The kinds that input and output are opened by, and the values of their options.
  package var catalogue = Catalogue.builtIn
  package var values = SettingValues()

  package init(input: String, output: String) {
    self.input = input
    self.output = output
  }
}

/// One stream on its way from its source to its sink.
package final class StreamRun: Sendable {
  package let metrics: StreamMetrics
  package let board = StreamBoard()
  /// The size of the input in bytes, where it is known.
  package let inputByteCount: Int?
  /// What was amiss, though the run goes on.
  package let warnings: [String]
  private let name: String
  private let flow: Flow
  private let requests: Inlet<IngestedItem>
  /// Held as long as the run.
  private let stateLock: StateDirectoryLock?

  /// A run of `evenkeel normalize`: opens everything and puts the stages together; nothing is read yet.
  ///
  /// - Parameters:
  ///   - threads: how many units are encoded at once.
  ///   - completion: called once, with the failure if there was one.
  package convenience init(
    _ configuration: StreamConfiguration, files: StreamFiles, threads: Int,
    fileSystem: any FileSystem = POSIXFileSystem(),
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) throws(StreamError) {
    let state = InitialState(
      checkpoint: try read(files.checkpointIn) { path throws(StorageError) in
        try CheckpointFile.read(path, configuration.stateReading, in: fileSystem)
      },
      parameters: try read(files.parameters) { path throws(StorageError) in
        try ParametersFile.read(path, in: fileSystem)
      })
    let parts: StreamParts
    if let directory = files.resume {
      parts = try StreamParts(resuming: directory, files, state, configuration, in: fileSystem)
    } else {
      parts = try StreamParts(files, state, in: fileSystem)
    }
    try self.init(
      configuration, source: parts.source, state: parts.state, output: parts.output,
      checkpoints: parts.checkpoints, threads: threads, metrics: StreamMetrics(),
      completion: completion, stateLock: parts.stateLock, skipped: parts.skipped)
  }

  /// A run of a stream of the daemon.
  ///
  /// - Parameters:
  ///   - threads: how many units are encoded at once.
  ///   - completion: called once, with the failure if there was one.
  package convenience init(
    _ opened: OpenedStream, checkpoints: CheckpointSchedule, threads: Int, metrics: StreamMetrics,
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) throws(StreamError) {
    try self.init(
      opened.configuration, source: opened.source, state: opened.state, output: opened.output,
      checkpoints: checkpoints, threads: threads, metrics: metrics, completion: completion,
      skipped: opened.skipped)
  }

  init(
    _ configuration: StreamConfiguration, source: any ByteSource, state: InitialState,
    output: StreamOutput, checkpoints: CheckpointSchedule?, threads: Int, metrics: StreamMetrics,
    completion: @escaping @Sendable ((any Error)?) -> Void, stateLock: StateDirectoryLock? = nil,
    skipped: [StorageError] = []
  ) throws(StreamError) {
    warnings = skipped.map { "passed over a damaged checkpoint: \($0)" }
    self.metrics = metrics
    self.stateLock = stateLock
    name = configuration.name
    inputByteCount = source.size
    let pool = BlockPool()
    let ingest = try IngestStage(
      configuration, source: source, metrics: metrics, resumption: state.resumption, pool: pool)
    let normalize = NormalizeStage(
      configuration, from: state, checkpoints: checkpoints, board: board)
    normalize.showStart()
    var workers: [EncodeWorker] = []
    do {
      for _ in 0..<threads {
        workers.append(try EncodeWorker(level: configuration.compressionLevel, pool: pool))
      }
    } catch {
      throw .configuration("\(error)")
    }
    let emit = EmitStage(streamName: name, output, metrics: metrics)
    // The bounds of memory: what waits between two stages. docs/ARCHITECTURE.md adds them up.
    let ingested = Flow.from(
      ingest, on: source.pathOnDisk.map(Disk.init(of:)),
      buffer: .init(elements: 256, bytes: 1 << 20),
      as: configuration.isLive ? .live : .bulk)
    requests = ingested.inlet
    flow =
      ingested
      .through(normalize, buffer: .init(elements: 2, bytes: 8 << 20))
      .spread(over: workers, buffer: .init(elements: 2 * threads + 1, bytes: 8 << 20))
      .into(emit, on: output.sinkDisk, completion: completion)
  }

  package func start() { flow.start() }

  /// Stops reading; what was read is normalised and emitted, then the run completes.
  package func stop() { flow.stop() }

  /// Completes the run with a failure; its output is dropped.
  package func cancel(_ failure: StreamError) { flow.cancel(failure) }

  /// Carries out a command between two batches; `reply` is called once it has taken effect.
  package func request(
    _ command: StreamCommand, reply: @escaping @Sendable (Result<Void, CommandRefusal>) -> Void
  ) {
    _ = requests.put(.request(StreamRequest(command, of: name, reply: reply)))
  }
}

/// What a run starts from.
struct InitialState {
  var checkpoint: Checkpoint?
  /// γ and β, in place of the checkpoint's.
  var parameters: Parameters?
  /// The place in the input to go on from; what is before it is emitted already.
  var resumption: StreamPosition?
}

/// Where a run's output goes.
struct StreamOutput {
  var sink: any ByteSink
  /// What tells the sink's files from others.
  var destination: String?
  var deadLetters: (any ByteSink)?
  var keeper: (any CheckpointKeeper)?
  /// The disk that the sink may wait for; nil if it waits for none.
  private(set) var sinkDisk: Disk?
  /// The disk of the dead letters and checkpoints; nil if there are none.
  private(set) var stateDisk: Disk?

  /// Finds out on which disks the sink and the state are.
  ///
  /// - Parameter state: the directory or file that dead letters and checkpoints are written to.
  mutating func findDisks(state: String?) {
    sinkDisk = sink.pathOnDisk.map(Disk.init(of:))
    stateDisk = state.map(Disk.init(of:))
  }
}

private func read<Content>(
  _ path: String?, _ read: (String) throws(StorageError) -> Content
) throws(StreamError) -> Content? {
  guard let path else { return nil }
  do {
    return try read(path)
  } catch {
    throw StreamError(error)
  }
}
