// Invariants:
// - All mutable state is only touched on `queue`.
// - A step is taken only if the output has room. So back-pressure is "no step".
// - After `isDone` the runner takes, emits and waits for nothing.
// - A step that needs a disk's thread runs on a thread of that disk.

/// The most steps that a runner takes before others get their turn.
let mostStepsOfARun = 64

/// Drives one stage, or one group of workers, of a flow.
protocol Runner: AnyObject, Sendable {
  /// Starts the runner. It calls `onEnd` once, after it has released what it held.
  func start(onEnd: @escaping @Sendable ((any Error)?) -> Void)
  /// Ends the input early. Elements that were read still reach the last stage. Only the runner of a source reacts.
  func stop()
  /// Ends the wait of a source. Only the runner of a source reacts.
  func wake()
  /// Ends the work at once, as if the stage had failed.
  func cancel(_ failure: any Error)
  /// The elements that wait at its input; nil for a source.
  var inputDepth: QueueDepth? { get }
}

/// A turn of at least this length is a long one.
private let longTurnSeconds = 0.001

/// The threads that run the jobs of a runner.
struct RunnerPlace: Sendable {
  let threads: StageThreads
  /// Runs short turns.
  let share: ThreadShare
  /// Runs long turns.
  let longShare: ThreadShare
  /// Nil for the stages of live streams, because their sources never wait for the gate.
  let gate: SourceGate?

  /// The place for a stage that may wait for a disk in each step; this place if `disk` is nil.
  func moved(to disk: Disk?, gate: SourceGate?) -> RunnerPlace {
    guard let disk else { return self }
    let share = threads.share(of: disk)
    return RunnerPlace(threads: threads, share: share, longShare: share, gate: gate)
  }

  /// Wraps a job of a stage that is no source. The gate counts it from now until it ends.
  func counted(_ job: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
    guard let gate else { return job }
    gate.jobWasQueued()
    return {
      job()
      gate.jobHasEnded()
    }
  }
}

/// Drives one stage on its own serial queue.
final class StageRunner<S: Stage>: Runner, @unchecked Sendable
where S.Input: Sized, S.Output: Sized {
  // @unchecked because every stored variable is only touched on `queue`.

  private let queue: SerialQueue
  private let place: RunnerPlace
  private let input: Channel<S.Input>?
  private let outlet: Outlet<S.Output>
  /// Released at the end, so that the files it holds are closed before the flow completes.
  private var stage: S?
  private var need: Progress
  private var isStopping = false
  /// Whether this source waits for the gate.
  private var isHeldBack = false
  /// The bytes that this source has emitted in its turn.
  private var emittedInTurn = 0
  private var inputHasEnded = false
  private var isDone = false
  private var failure: (any Error)?
  private var onEnd: (@Sendable ((any Error)?) -> Void)?
  private var wait = RunnerWait()
  /// The number of long turns in a row.
  private var longTurns = 0

  /// A runner without an input drives a source: it resumes the stage until the stage has finished.
  init(_ stage: S, input: Channel<S.Input>?, outlet: Outlet<S.Output>, at place: RunnerPlace) {
    queue = SerialQueue(on: place.share)
    self.place = place
    self.stage = stage
    self.input = input
    self.outlet = outlet
    need = input == nil ? .again : .next
    input?.onElement { [weak self] wake in self?.schedule(wake) }
    outlet.onRoom { [weak self] in self?.schedule(.now) }
  }

  func start(onEnd: @escaping @Sendable ((any Error)?) -> Void) {
    queue.async {
      guard self.stage != nil else { return onEnd(self.failure) }
      self.onEnd = onEnd
      self.run()
    }
  }

  func stop() {
    guard isSource else { return }
    queue.async {
      guard !self.isStopping else { return }
      self.isStopping = true
      self.forgetWait()
      self.run()
    }
  }

  func wake() {
    guard isSource else { return }
    queue.async {
      self.forgetWait()
      self.run()
    }
  }

  func cancel(_ failure: any Error) {
    queue.async {
      if !self.isDone { self.done(failure) }
    }
  }

  private func schedule(_ wake: Wake) {
    if isSource {
      queue.async(wake) { self.run() }
    } else {
      queue.async(wake, place.counted { self.run() })
    }
  }

  /// Takes steps while there is work, but only so many that a stop and other stages need not wait long.
  ///
  /// - Parameter disk: the share of the disk whose thread this is; nil for a thread of the runner's own share.
  private func run(onThreadOf disk: ThreadShare? = nil) {
    let atEnd = Wake.atEnd(of: disk ?? place.share)
    let start = Clock.system.now()
    defer {
      if disk == nil { turnHasEnded(afterSeconds: Clock.system.now().seconds(since: start)) }
      outlet.flush(atEnd)
      if isSource { place.gate?.sourcePauses() }
    }
    for _ in 0..<mostStepsOfARun {
      guard !isDone else { return }
      switch outlet.room() {
      case .full: return
      case .cancelled: return done(nil)
      case .open: break
      }
      if case .waits = need, wait.isOn {
        guard let awaited = wait.disk else { return }
        guard disk === awaited else { return runOnThread(of: awaited) }
        endWait()
      }
      guard mayGoOn() else { return }
      do {
        guard let signal = try nextSignal() else { return }
        wait.isOver = false
        need =
          try stage?.step(consume signal) { (element: consuming S.Output) in
            if isSource { emittedInTurn += element.byteCount }
            outlet.put(consume element)
          } ?? .finished
      } catch {
        return done(error)
      }
      if need == .finished || wantsElement && inputHasEnded { return done(nil) }
      if case .waits(let awaiting) = need { begin(awaiting) }
      // The next steps compute, so they run on the runner's own share.
      if disk != nil { break }
    }
    schedule(atEnd)
  }

  /// Moves a stage with long turns to `longShare`. Two long turns in a row are needed, since the kernel may have
  /// interrupted a short one.
  private func turnHasEnded(afterSeconds seconds: Double) {
    guard place.share !== place.longShare else { return }
    longTurns = seconds < longTurnSeconds ? 0 : longTurns + 1
    queue.move(to: longTurns < 2 ? place.share : place.longShare)
  }

  /// Whether this source may take a step. If not, it continues when the gate calls.
  private func mayGoOn() -> Bool {
    guard isSource, let gate = place.gate else { return true }
    guard !isHeldBack else { return false }
    let isInTurn = emittedInTurn < SourceGate.bytesOfATurn
    isHeldBack = !gate.mayRead(beforeOthers: isInTurn) {
      self.queue.async {
        self.isHeldBack = false
        self.run()
      }
    }
    if isHeldBack, !isInTurn { emittedInTurn = 0 }
    return !isHeldBack
  }

  /// The next signal for the stage; nil if there is none. Throws the failure that ended the input.
  private func nextSignal() throws -> Signal<S.Input>? {
    if isStopping, !inputHasEnded {
      inputHasEnded = true
      return .end
    }
    guard wantsElement, let input else { return .resume }
    switch input.take() {
    case .element(let element):
      forgetWait()
      return .element(element)
    case .empty:
      guard case .nextOr(let awaiting) = need else { return nil }
      // If the wait is over, the stage takes a step. If it is not on yet, it begins.
      if wait.isOver { return .resume }
      if !wait.isOn { begin(awaiting) }
      return nil
    case .ended(let failure):
      // The stage may close the descriptor that it waits for, and another wait may get the same descriptor.
      forgetWait()
      if let failure { throw failure }
      inputHasEnded = true
      return .end
    }
  }

  private func done(_ failure: (any Error)?) {
    isDone = true
    self.failure = failure
    forgetWait()
    stage = nil
    input?.cancel()
    outlet.end(failure)
    onEnd?(failure)
    onEnd = nil
  }

  private var isSource: Bool { input == nil }

  var inputDepth: QueueDepth? { input?.depth }

  private var wantsElement: Bool {
    switch need {
    case .next, .nextOr: true
    case .again, .waits, .finished: false
    }
  }
}

// MARK: Waits

/// The wait of a runner for its stage.
private struct RunnerWait {
  var isOn = false
  /// Whether the last wait has ended because its condition came true.
  var isOver = false
  /// The number of the wait for a descriptor.
  var number: Int?
  /// The latest end of the wait.
  var deadline: Instant?
  /// The share whose thread must take the next step.
  var disk: ThreadShare?
  /// Whether a job on that share is queued.
  var hasDiskJob = false
  /// The earliest timer that is set. It serves every wait until then.
  var timer: Instant?
}

extension StageRunner {
  private func begin(_ awaiting: Awaiting) {
    wait.isOn = true
    if let disk = awaiting.disk {
      let share = place.threads.share(of: disk)
      wait.disk = share
      return runOnThread(of: share)
    }
    if let readiness = awaiting.readiness {
      wait.number = place.threads.watch.wait(for: readiness) { [weak self] number in
        guard let self else { return }
        queue.async { self.resume(after: number) }
      }
    }
    if let seconds = awaiting.seconds {
      wait.deadline = Clock.system.now() + seconds
      setTimer()
    }
  }

  private func runOnThread(of disk: ThreadShare) {
    guard !wait.hasDiskJob else { return }
    wait.hasDiskJob = true
    queue.async(on: disk) {
      self.wait.hasDiskJob = false
      self.run(onThreadOf: disk)
    }
  }

  private func resume(after number: Int) {
    // The wait may have been forgotten meanwhile.
    guard wait.number == number else { return }
    endWait()
    run()
  }

  private func setTimer() {
    guard let deadline = wait.deadline, wait.timer.map({ deadline < $0 }) ?? true else { return }
    wait.timer = deadline
    place.threads.watch.call(at: deadline) { [weak self] in
      guard let self else { return }
      queue.async { self.timerFired() }
    }
  }

  private func timerFired() {
    wait.timer = nil
    guard let deadline = wait.deadline else { return }
    guard Clock.system.now() >= deadline else { return setTimer() }
    endWait()
    run()
  }

  /// Ends the wait because its condition came true.
  private func endWait() {
    forgetWait()
    wait.isOver = true
  }

  private func forgetWait() {
    if let number = wait.number { place.threads.watch.forget(number) }
    wait.number = nil
    wait.deadline = nil
    wait.disk = nil
    wait.isOn = false
    wait.isOver = false
  }
}

/// The output of a runner: the next channel, or nothing after the last stage.
struct Outlet<Element: Sendable & Sized>: Sendable {
  private let channel: Channel<Element>?

  init(_ channel: Channel<Element>) {
    self.channel = channel
  }

  /// The outlet of the last stage, which emits nothing.
  init() where Element == Nothing {
    channel = nil
  }

  func onRoom(_ wake: @escaping @Sendable () -> Void) { channel?.onRoom(wake) }
  func room(reserved: Int = 0) -> Channel<Element>.Room {
    channel?.room(reserved: reserved) ?? .open
  }
  func put(_ element: consuming Element) { channel?.put(consume element) }
  func flush(_ wake: Wake) { channel?.flush(wake) }
  func end(_ failure: (any Error)?) { channel?.end(failure) }
}

/// The input of a source and the output of the last stage. It has no values.
package enum Nothing: Sized, Sendable {
  package var byteCount: Int { 0 }
}
