internal import Codecs
internal import Connectors
package import Dataflow
internal import Records
package import Storage

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
  private let requests: RequestInbox
  /// Held as long as the run.
  private let stateLock: StateDirectoryLock?

  /// A run of `evenkeel normalize`: opens everything and puts the stages together; nothing is read yet.
  package convenience init(
    _ configuration: StreamConfiguration, files: StreamFiles, threads: Int,
    fileSystem: any FileSystem = POSIXFileSystem(),
    report: @escaping @Sendable (StreamEvent) -> Void = { _ in },
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) throws(StreamError) {
    let context = ConnectorContext(fileSystem: fileSystem)
    let plan = StreamPlan(configuration, files)
    try self.init(
      OpenedStream(plan, in: context), threads: threads, metrics: StreamMetrics(),
      report: report, completion: completion)
  }

  /// Puts the stages of a stream together.
  ///
  /// - Parameters:
  ///   - threads: how many units are encoded at once.
  ///   - warn: called with what is amiss though the stream goes on.
  ///   - report: called with each event once its batch is written.
  ///   - completion: called once, with the failure if there was one.
  package init(
    _ opened: OpenedStream, threads: Int, metrics: StreamMetrics, clock: Clock = .system,
    warn: @escaping @Sendable (String) -> Void = { _ in },
    report: @escaping @Sendable (StreamEvent) -> Void = { _ in },
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) throws(StreamError) {
    let configuration = opened.configuration
    self.metrics = metrics
    warnings = opened.warnings
    stateLock = opened.stateLock
    name = configuration.name
    inputByteCount = opened.source.size
    requests = RequestInbox()
    let pool = BlockPool()
    let ingest = try IngestStage(
      IngestContext(
        configuration, cursor: opened.state.cursor, schedule: opened.schedule, metrics: metrics,
        inbox: requests, clock: clock, warn: warn), source: opened.source, pool: pool)
    let operate = OperateStage(configuration, from: opened.state, board: board, clock: clock)
    operate.showStart()
    var workers: [EncodeWorker] = []
    do {
      for _ in 0..<threads {
        workers.append(try EncodeWorker(level: configuration.compressionLevel, pool: pool))
      }
    } catch {
      throw .configuration("\(error)")
    }
    let emit = EmitStage(streamName: name, opened.output, metrics: metrics, report: report)
    // The bounds of memory: what waits between two stages. docs/ARCHITECTURE.md adds them up.
    flow =
      Flow.from(
        ingest, on: opened.source.pathOnDisk.map(Disk.init(of:)),
        buffer: .init(elements: 256, bytes: 1 << 20), as: configuration.isLive ? .live : .bulk
      )
      .through(operate, buffer: .init(elements: 2, bytes: 8 << 20))
      .spread(over: workers, buffer: .init(elements: 2 * threads + 1, bytes: 8 << 20))
      .into(emit, on: opened.output.sinkDisk, completion: completion)
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
    requests.put(StreamRequest(command, of: name, reply: reply))
    flow.wakeSource()
  }
}

/// What a run starts from.
struct InitialState {
  var checkpoint: Checkpoint?
  /// γ and β, in place of the checkpoint's.
  var parameters: Parameters?
  /// Where the input goes on; nil at the start of an input, and of one that cannot be read again.
  var cursor: InputCursor?

  /// The same, as it is shown.
  var position: StreamPosition {
    guard let last = cursor?.splits.last else { return StreamPosition() }
    return StreamPosition(
      records: last.records, byteOffset: last.byteOffset,
      frameOffset: last.container?.offset ?? 0,
      byteOffsetInFrame: last.container?.bytesWithin ?? last.byteOffset)
  }
}

/// Where a run's output goes.
struct StreamOutput {
  var sink: any ByteSink
  /// Tells the sink's files from others.
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
