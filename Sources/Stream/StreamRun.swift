internal import Codecs
internal import Connectors
package import Dataflow
internal import Records
internal import State
package import Storage

/// One run of a stream, from its source to its sink.
package final class StreamRun: Sendable {
  package let metrics: StreamMetrics
  package let snapshot = StreamSnapshot()
  /// The size of the input in bytes, if it is known.
  package let inputByteCount: Int?
  /// The number of the last record that earlier runs took; nil if the run begins at the start of its input.
  package let resumedAfterRecord: Int?
  /// Problems that did not stop the run.
  package let warnings: [String]
  private let name: String
  private let flow: Flow
  private let requests: RequestInbox
  /// The lock of the state directory, held as long as the run.
  private let stateLock: StateDirectoryLock?

  /// A run of `evenkeel normalize`. Opens everything and connects the stages. Reads nothing before `start`.
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

  /// Connects the stages of a stream.
  ///
  /// - Parameters:
  ///   - threads: how many units are encoded at once.
  ///   - taps: the clients that look at the records.
  ///   - warn: called with problems that do not stop the stream.
  ///   - report: called with each event after its batch was written.
  ///   - completion: called once, with the failure if there was one.
  package init(
    _ opened: OpenedStream, threads: Int, metrics: StreamMetrics, taps: StreamTaps? = nil,
    clock: Clock = .system, warn: @escaping @Sendable (String) -> Void = { _ in },
    report: @escaping @Sendable (StreamEvent) -> Void = { _ in },
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) throws(StreamError) {
    let configuration = opened.configuration
    self.metrics = metrics
    warnings = opened.warnings
    resumedAfterRecord = opened.state.cursor == nil ? nil : opened.state.position.records
    stateLock = opened.stateLock
    name = configuration.name
    inputByteCount = opened.source.size
    requests = RequestInbox()
    let snapshot = snapshot
    let pool = BlockPool()
    let ingest = try IngestStage(
      IngestContext(
        configuration, cursor: opened.state.cursor,
        gradientCursor: opened.state.checkpoint?.gradients, schedule: opened.schedule,
        metrics: metrics, inbox: requests, knownFeatures: opened.knownFeatures, clock: clock,
        warn: warn),
      source: opened.source, gradients: opened.gradients, pool: pool)
    let operate = OperateStage(
      configuration, from: opened.state, snapshot: snapshot, taps: taps,
      leastDeltaBytes: opened.output.leastDeltaBytes, clock: clock)
    operate.showStart()
    var workers: [EncodeWorker] = []
    do throws(CompressionError) {
      for _ in 0..<threads {
        workers.append(
          try EncodeWorker(
            level: configuration.compressionLevel, pool: pool,
            keepsOrigins: configuration.keepsMessages && !configuration.mixesMessages
              && opened.output.sink.keepsOrigins))
      }
    } catch {
      throw .compression(stream: name, error)
    }
    let emit = EmitStage(
      streamName: name, opened.output, metrics: metrics,
      report: { event in
        if case .opened(let opening) = event { snapshot.show(opening) }
        report(event)
      })
    // The bounds of memory between two stages. docs/OPERATIONS.md adds them up.
    flow =
      Flow.from(
        ingest,
        on: (opened.source.pathOnDisk ?? opened.gradients?.pathOnDisk).map(Disk.init(of:)),
        buffer: .init(elements: 256, bytes: 1 << 20), as: configuration.isLive ? .live : .bulk
      )
      .through(operate, buffer: .init(elements: 2, bytes: 8 << 20))
      .spread(over: workers, buffer: .init(elements: 2 * threads + 1, bytes: 8 << 20))
      .into(emit, on: opened.output.sinkDisk, completion: completion)
  }

  /// The stages that have a queue before them, in the order of the records.
  package static let queuedStages = ["operate", "encode", "emit"]

  /// How much waits before each of `queuedStages`.
  package var queues: [QueueDepth] { flow.queues }

  package func start() { flow.start() }

  /// Stops reading. The run completes after it has emitted everything that was read.
  package func stop() { flow.stop() }

  /// Completes the run with a failure, and drops its output.
  package func cancel(_ failure: StreamError) { flow.cancel(failure) }

  /// Runs a command between two batches. Calls `reply` when the command has taken effect.
  package func request(
    _ command: StreamCommand, reply: @escaping CommandReply
  ) {
    requests.put(StreamRequest(command, of: name, reply: reply))
    flow.wakeSource()
  }
}

/// The state at the start of a run.
struct InitialState {
  var checkpoint: Checkpoint?
  /// γ and β, instead of those of the checkpoint.
  var parameters: Parameters?
  /// The state that the stream is compared with.
  var reference: StateTable?
  /// The states of other partitions; nil if a partition takes nothing from them.
  var peers: PeerReading?
  /// The changes by users that all partitions make; nil for a stream that is no partition.
  var control: StreamControl?
  /// The cursor to resume at; nil at the start of an input, or if the input cannot be read again.
  var cursor: InputCursor?

  /// The cursor in the form that is shown.
  var position: StreamPosition {
    guard let last = cursor?.splits.last else { return StreamPosition() }
    return StreamPosition(
      records: last.records, byteOffset: last.byteOffset,
      frameOffset: last.container?.offset ?? 0,
      byteOffsetInFrame: last.container?.bytesWithin ?? last.byteOffset)
  }
}

/// The outputs of a run.
struct StreamOutput {
  var sink: any ByteSink
  /// Identifies the files of the sink.
  var destination: String?
  /// The file of dead letters.
  var deadLetters: (any ByteSink)?
  /// The topic of dead letters, instead of the file.
  var letterTopic: (any LetterSink)?
  var keeper: (any CheckpointKeeper)?
  /// The memory of keys from which on checkpoints may be deltas.
  var leastDeltaBytes: Int {
    keeper?.takesDeltas == false ? .max : CheckpointMaker.leastDeltaBytes
  }
  /// The disk that the sink may wait for; nil if it waits for none.
  private(set) var sinkDisk: Disk?
  /// The disk of the dead letters and checkpoints; nil if there are none.
  private(set) var stateDisk: Disk?

  /// Finds the disks of the sink and of the state.
  ///
  /// - Parameter state: the directory or file of dead letters and checkpoints.
  mutating func findDisks(state: String?) {
    sinkDisk = sink.pathOnDisk.map(Disk.init(of:))
    stateDisk = state.map(Disk.init(of:))
  }
}
