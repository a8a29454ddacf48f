internal import Dataflow
internal import Synchronization

/// Takes the samples of one client. It must not wait.
package protocol TapReceiver: Sendable {
  /// Whether the client is gone.
  var isClosed: Bool { get }
  /// Called once, before the first sample.
  func begin()
  /// Takes a sample. Returns false if there is no room for it.
  func take(_ sample: TapSample) -> Bool
  /// Called after the last sample.
  func end()
}

/// How much of a stream a client wants to see.
package struct TapOptions: Sendable, Equatable {
  /// The allowed samples in a second.
  package static let rates = 0.01...100.0
  /// The allowed numbers of samples.
  package static let limits = 1...1_000_000_000

  /// The most records, and the most rejected records, that are shown in a second.
  package var rate = 10.0
  /// The number of samples after which the tap ends; nil for no end.
  package var limit: Int?

  package init(rate: Double = 10, limit: Int? = nil) {
    self.rate = rate
    self.limit = limit
  }
}

// Invariants:
// - `taps` and `hasEnded` are only touched with `lock` held.
// - `isInUse` is true while `taps` is not empty, so that a stream without taps only reads one flag.

/// The clients that look at a running stream. Its stage offers samples; any thread may add a client.
package final class StreamTaps: @unchecked Sendable {
  // @unchecked because of the first invariant.

  private struct Tap {
    let receiver: any TapReceiver
    var left: Int
    var records: TapAllowance
    var rejected: TapAllowance
    var lost = 0
  }

  private let lock = Lock()
  private let isInUse = Atomic(false)
  private var taps: [Tap] = []
  private var hasEnded = false

  package init() {}

  deinit {
    for tap in taps { tap.receiver.end() }
  }

  /// Shows the stream to a client from now on. Returns false if the stream has ended.
  package func add(_ receiver: any TapReceiver, _ options: TapOptions) -> Bool {
    lock.withLock {
      guard !hasEnded else { return false }
      taps.removeAll { $0.receiver.isClosed }
      receiver.begin()
      taps.append(
        Tap(
          receiver: receiver, left: options.limit ?? .max,
          records: TapAllowance(rate: options.rate), rejected: TapAllowance(rate: options.rate)))
      isInUse.store(true, ordering: .relaxed)
      return true
    }
  }

  /// Ends all taps, after the last record of the stream.
  package func end() {
    lock.withLock {
      hasEnded = true
      for tap in taps { tap.receiver.end() }
      taps = []
      isInUse.store(false, ordering: .relaxed)
    }
  }

  /// How many of the next records are to be shown. Costs one look at a flag if nobody looks.
  @inline(__always)
  func wantedRecords(at now: Instant) -> Int { isInUse.load(ordering: .relaxed) ? wanted(now) : 0 }

  private func wanted(_ now: Instant) -> Int {
    lock.withLock {
      dropClosed()
      var most = 0
      for index in taps.indices {
        most = max(most, min(taps[index].left, taps[index].records.count(at: now)))
      }
      return most
    }
  }

  /// Shows consecutive records to all clients that may have them.
  func show(_ records: [TappedRecord]) {
    lock.withLock {
      offer(\.records, records.count) { .record(records[$0]) }
    }
  }

  /// Shows records that were dropped.
  func show(_ rejected: [RejectedRecord], at now: Instant) {
    guard isInUse.load(ordering: .relaxed), !rejected.isEmpty else { return }
    lock.withLock {
      for index in taps.indices { _ = taps[index].rejected.count(at: now) }
      offer(\.rejected, rejected.count) { .rejected(rejected[$0]) }
    }
  }

  private func offer(
    _ allowance: WritableKeyPath<Tap, TapAllowance>, _ count: Int, _ sample: (Int) -> TapSample
  ) {
    for index in taps.indices {
      let shown = min(count, taps[index].left, taps[index][keyPath: allowance].whole)
      taps[index][keyPath: allowance].spend(shown)
      for each in 0..<shown { give(sample(each), to: &taps[index]) }
      if taps[index].left == 0 { taps[index].receiver.end() }
    }
    taps.removeAll { $0.left == 0 }
    dropClosed()
  }

  private func give(_ sample: TapSample, to tap: inout Tap) {
    if tap.lost > 0, tap.receiver.take(.lost(tap.lost)) { tap.lost = 0 }
    if tap.lost == 0, tap.receiver.take(sample) {
      tap.left -= 1
    } else {
      tap.lost += 1
    }
  }

  private func dropClosed() {
    taps.removeAll { $0.receiver.isClosed }
    if taps.isEmpty { isInUse.store(false, ordering: .relaxed) }
  }
}

/// The samples that a client may get by now: at first, and after a pause, those of one second, and at least one.
private struct TapAllowance {
  private let rate: Double
  private var saved: Double
  private var countedAt: Instant?

  init(rate: Double) {
    self.rate = rate
    saved = max(1, rate)
  }

  var whole: Int { Int(saved) }

  /// Adds what the time since the last call allows.
  mutating func count(at now: Instant) -> Int {
    if let countedAt { saved = min(max(1, rate), saved + rate * now.seconds(since: countedAt)) }
    countedAt = now
    return whole
  }

  mutating func spend(_ count: Int) { saved -= Double(count) }
}
