internal import Dataflow
internal import Dispatch
internal import Glibc
internal import Operators
internal import Records
internal import Stream

/// Runs one stream to its end on the main queue: signals, progress, summary.
final class NormalizeRun {
  private let configuration: StreamConfiguration
  private let files: StreamFiles
  private let threads: Int
  private let writesSummary: Bool
  private let logFormat: LogFormat

  init(
    _ configuration: StreamConfiguration, files: StreamFiles, threads: Int, writesSummary: Bool,
    logFormat: LogFormat
  ) {
    self.configuration = configuration
    self.files = files
    self.threads = threads
    self.writesSummary = writesSummary
    self.logFormat = logFormat
  }

  /// Runs the stream.
  ///
  /// - Parameter onEvent: called with each event of an operator.
  /// - Returns: what the stream shows at its end.
  @discardableResult
  func run(_ onEvent: @escaping @Sendable (OperatorEvent) -> Void = { _ in }) throws
    -> StreamSnapshot
  {
    let handled = [SIGINT, SIGTERM]
    block(handled)
    let outcome = Outcome()
    let bad = BadRecords()
    let warned = WarnedFeatures()
    let start = DispatchTime.now()
    let stream = try StreamRun(
      configuration, files: files, threads: threads,
      report: { [logFormat, name = configuration.name] event in
        if case .raised(let event) = event { onEvent(event) }
        switch event {
        case .opened(let opening):
          if let text = opening.choiceText { note("\(name): \(text)", format: logFormat) }
          if let text = opening.warning { warn("\(name): \(text)", format: logFormat) }
        case .raised(let event) where event.kind.level >= .warning && event.isLogged:
          warned.note(event.feature ?? event.kind.name)
          warn(event.description, format: logFormat)
        case .badRecord(let record): bad.note(record)
        case .raised, .applied: break
        }
      },
      completion: { failure in outcome.complete(failure) })
    for warning in stream.warnings { warn(warning, format: logFormat) }
    let signals = handled.map { number in
      onSignal(number) { [name = configuration.name] in
        // Output of a partly read file would look like that of the whole file.
        if stream.inputByteCount == nil {
          stream.stop()
        } else {
          stream.cancel(
            .interrupted(stream: name, records: stream.metrics.records, signal: number))
        }
      }
    }
    defer { for signal in signals { signal.cancel() } }
    let progress = ProgressBar(stream)
    stream.start()
    outcome.wait()
    progress?.clear()
    if let summary = bad.summary(
      configuration.name, files.deadLetters, resumedAfter: stream.resumedAfterRecord)
    {
      warn(summary, format: logFormat)
    }
    if let failure = outcome.failure { throw failure }
    for warning in stream.snapshot.warnings(.atEnd) where !warned.contains(warning.feature) {
      warn("\(configuration.name): \(warning)", format: logFormat)
    }
    if let warning = stream.snapshot.keys?.warning, !warned.contains(KeyWatch.unusable.name) {
      warn("\(configuration.name): \(warning)", format: logFormat)
    }
    if writesSummary {
      let seconds = Double(DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 1e9
      writeToStandardError(jsonText(Summary(stream, seconds: seconds)) + "\n")
    }
    return stream.snapshot
  }

  /// Calls `handler` for the first such signal. A second one ends the process at once.
  ///
  /// The signal must be blocked, so that one that comes before the source is active is kept.
  private func onSignal(
    _ number: Int32, _ handler: @escaping @Sendable () -> Void
  ) -> any DispatchSourceSignal {
    let source = DispatchSource.makeSignalSource(
      signal: number, queue: DispatchQueue(label: "signal"))
    source.setEventHandler {
      source.setEventHandler { _exit(128 + number) }
      handler()
    }
    source.activate()
    return source
  }

  /// The contents of `--json-summary`. `clipped` and `warnings` are of the state, and so of all runs; records, batches
  /// and bytes are of this run.
  private struct Summary: Encodable {
    var records: Int
    var batches: Int
    var bytesIn: Int
    var bytesOut: Int
    var badRecords: Int
    var seconds: Double
    var features: [String]
    var leftOut: [FeatureChoice.LeftOut]
    /// The numbers of values that `clip` limited, of features that have any.
    var clipped: [String: Int]
    var warnings: [String]
    /// The last record of the run before; absent if the run did not resume.
    var resumedAfterRecord: Int?

    init(_ stream: StreamRun, seconds: Double) {
      let metrics = stream.metrics
      features = stream.snapshot.opening?.schema.names ?? []
      leftOut = stream.snapshot.opening?.choice?.leftOut ?? []
      clipped = [:]
      for feature in stream.snapshot.features {
        if let count = feature["clipped"], count > 0 { clipped[feature.name] = Int(count) }
      }
      warnings =
        stream.snapshot.warnings(.atEnd).map(\.description)
        + [stream.snapshot.keys?.warning].compactMap(\.self)
      records = metrics.records
      batches = metrics.batches
      bytesIn = metrics.bytesIn
      bytesOut = metrics.bytesOut
      badRecords = metrics.badRecords
      resumedAfterRecord = stream.resumedAfterRecord
      self.seconds = seconds
    }
  }
}

/// The bad records of a run: the numbers of those that were left out and of those that stay, and the first one.
private final class BadRecords: @unchecked Sendable {
  // @unchecked because everything is only touched with `lock` held.
  private let lock = Lock()
  private var leftOut = 0
  private var staying = 0
  private var first: RejectedRecord?

  func note(_ record: RejectedRecord) {
    lock.withLock {
      if record.staysInOutput { staying += 1 } else { leftOut += 1 }
      first = first ?? record
    }
  }

  /// One line for the end of a run; nil if no record was bad.
  ///
  /// - Parameters:
  ///   - deadLetters: the file of them.
  ///   - record: the last record of the run before, if the run resumed.
  func summary(_ stream: String, _ deadLetters: String?, resumedAfter record: Int?) -> String? {
    let (leftOut, staying, first) = lock.withLock { (self.leftOut, self.staying, self.first) }
    guard let first else { return nil }
    var parts: [String] = []
    if leftOut > 0 { parts.append("left out \(Self.counted(leftOut))") }
    if staying > 0 {
      parts.append(
        "\(Self.counted(staying)) \(staying == 1 ? "stays" : "stay") in the output without features"
      )
    }
    return "\(stream): \(parts.joined(separator: ", "))"
      + (record.map { ", since the run resumed after record \(grouped($0))" } ?? "")
      + (deadLetters.map { ", \(staying == 0 ? "kept" : "told") in \($0)" } ?? "")
      + "; the first: \(first)"
  }

  private static func counted(_ count: Int) -> String {
    "\(grouped(count)) bad \(count == 1 ? "record" : "records")"
  }
}

/// The features that were warned of while the stream ran.
private final class WarnedFeatures: @unchecked Sendable {
  // @unchecked because `names` is only touched with `lock` held.
  private let lock = Lock()
  private var names: Set<String> = []

  func note(_ feature: String?) {
    guard let feature else { return }
    _ = lock.withLock { names.insert(feature) }
  }

  func contains(_ feature: String) -> Bool { lock.withLock { names.contains(feature) } }
}

/// How a run ended, passed from the flow to the main thread.
private final class Outcome: @unchecked Sendable {
  // @unchecked because `failure` is written once before the semaphore is signalled, and read after that.
  private let semaphore = DispatchSemaphore(value: 0)
  private(set) var failure: (any Error)?

  func complete(_ failure: (any Error)?) {
    self.failure = failure
    semaphore.signal()
  }

  func wait() { semaphore.wait() }
}
