internal import Connectors
internal import Dataflow
internal import Dispatch
internal import Operators
internal import Records
internal import Storage

/// The results of a stream that ran to its end, with its output in memory.
struct StreamTestRun {
  let output: [UInt8]
  /// The bytes of the output before the first record.
  let prologue: [UInt8]
  let opening: StreamOpening?
  let rejected: [RejectedRecord]
  let raised: [OperatorEvent]
  let failure: StreamError?

  /// Runs the stream, and waits for its end.
  ///
  /// - Throws: the error with which the stream does not open.
  init(
    _ plan: StreamPlan, greatestOutput: Int, in fileSystem: any FileSystem
  ) throws(StreamError) {
    let sink = MemorySink(limit: greatestOutput)
    var plan = plan
    plan.sink = { _ in sink }
    let results = Results()
    let run = try StreamRun(
      OpenedStream(plan, in: ConnectorContext(fileSystem: fileSystem)), threads: 1,
      metrics: StreamMetrics(), report: { results.note($0) },
      completion: { results.complete($0) })
    run.start()
    failure = results.wait().map { $0 as? StreamError ?? .configuration("\($0)") }
    output = sink.bytes
    prologue = sink.prologue
    opening = run.snapshot.opening
    rejected = results.events.badRecords
    raised = results.events.compactMap { if case .raised(let event) = $0 { event } else { nil } }
  }

  /// The events of the run, and its end.
  private final class Results: @unchecked Sendable {
    // @unchecked because every stored variable is only touched with `lock` held.
    private let lock = Lock()
    private let hasEnded = DispatchSemaphore(value: 0)
    private var noted: [StreamEvent] = []
    private var failure: (any Error)?

    var events: [StreamEvent] { lock.withLock { noted } }

    func note(_ event: StreamEvent) { lock.withLock { noted.append(event) } }

    func complete(_ failure: (any Error)?) {
      lock.withLock { self.failure = failure }
      hasEnded.signal()
    }

    func wait() -> (any Error)? {
      hasEnded.wait()
      return lock.withLock { failure }
    }
  }
}

extension StreamPlan {
  /// A stream of the daemon for a test: with its settings, operators, γ and β. Time cuts no batch, nothing limits
  /// the rate, nothing is compressed and nothing is stored.
  ///
  /// - Parameters:
  ///   - input: the text that the stream reads; nil for `file`.
  ///   - file: the path of the file that it reads.
  init(testing definition: StreamDefinition, checkpoint: String?, input: String?, file: String?) {
    configuration = definition.stream
    configuration.rate = RateLimits()
    configuration.compressionLevel = nil
    if let file {
      source = FilesSource.factory([file])
    } else {
      source = { _ throws(FileError) in MemorySource(Array((input ?? "").utf8)) }
    }
    sink = { _ throws(FileError) in DiscardingSink() }
    destination = configuration.outputForm
    state = .file(checkpoint)
    parameters = definition.parameters?.file
  }
}
