internal import Dispatch

// Invariants:
// - Everything mutable is touched on `queue` only.
// - A step is taken only when the output has room, so back-pressure is "no step".
// - After `isDone` nothing is taken, emitted or waited for.

/// So many steps a runner takes at most before it looks at what else is queued.
let mostStepsOfARun = 64

/// What drives one part of a flow.
protocol Runner: AnyObject, Sendable {
  /// Begins; `onEnd` is called once, when the part has let go of what it held.
  func start(onEnd: @escaping @Sendable ((any Error)?) -> Void)
  /// Ends the input early: what was read goes its way. Only a source does anything.
  func stop()
  /// Ends the work at once, as if the stage had failed.
  func cancel(_ failure: any Error)
}

/// Drives one stage on a serial queue of its own.
final class StageRunner<S: Stage>: Runner, @unchecked Sendable
where S.Input: Sized, S.Output: Sized {
  // @unchecked because every stored variable is only touched on `queue`.

  private let queue: DispatchQueue
  private let threads: StageThreads?
  private let input: Channel<S.Input>?
  private let outlet: Outlet<S.Output>
  /// Let go when done, so that what it holds open is closed before the flow completes.
  private var stage: S?
  private var need: Progress
  private var isStopping = false
  /// Whether a source waits until `threads` call it.
  private var isHeldBack = false
  /// By a source, in bytes.
  private var emittedInTurn = 0
  private var inputHasEnded = false
  private var isDone = false
  private var failure: (any Error)?
  private var onEnd: (@Sendable ((any Error)?) -> Void)?
  private var isWaiting = false
  private var waitIsOver = false
  /// The number of the wait for a descriptor.
  private var wait: Int?
  /// When the wait is over without one.
  private var deadline: DispatchTime?
  /// When the earliest timer under way fires; it serves every wait until then.
  private var timer: DispatchTime?

  /// A runner with no input drives a source: its stage is resumed until it has finished.
  ///
  /// - Parameter threads: what runs it; nil is a thread of its own, for a stage that others must not wait
  ///   for.
  init(
    _ stage: S, label: String, input: Channel<S.Input>?, outlet: Outlet<S.Output>,
    threads: StageThreads?
  ) {
    queue = DispatchQueue(label: label, target: threads?.target)
    self.threads = threads
    self.stage = stage
    self.input = input
    self.outlet = outlet
    need = input == nil ? .again : .next
    input?.onElement { [weak self] in self?.schedule() }
    outlet.onRoom { [weak self] in self?.schedule() }
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

  func cancel(_ failure: any Error) {
    queue.async {
      if !self.isDone { self.done(failure) }
    }
  }

  private func schedule() {
    if isSource {
      queue.async { self.run() }
    } else {
      threads.async(on: queue) { self.run() }
    }
  }

  /// Takes steps while there is something to do, but not so many that stopping has to wait long, nor
  /// that other stages have to.
  private func run() {
    defer {
      outlet.flush()
      if isSource { threads?.sourcePauses() }
    }
    for _ in 0..<mostStepsOfARun {
      guard !isDone else { return }
      switch outlet.room() {
      case .full: return
      case .cancelled: return done(nil)
      case .open: break
      }
      if case .waits = need, isWaiting { return }
      guard mayGoOn() else { return }
      do {
        guard let signal = try nextSignal() else { return }
        waitIsOver = false
        need =
          try stage?.step(consume signal) { (element: consuming S.Output) in
            if isSource { emittedInTurn += element.byteCount }
            outlet.put(consume element)
          } ?? .finished
      } catch {
        return done(error)
      }
      if need == .finished || wantsElement && inputHasEnded { return done(nil) }
      if case .waits(let awaiting) = need { wait(for: awaiting) }
    }
    schedule()
  }

  /// Whether there is a thread to spare for a source, which goes on later otherwise.
  private func mayGoOn() -> Bool {
    guard isSource, let threads else { return true }
    guard !isHeldBack else { return false }
    let isInTurn = emittedInTurn < StageThreads.bytesOfATurn
    isHeldBack = !threads.mayRead(beforeOthers: isInTurn) {
      self.queue.async {
        self.isHeldBack = false
        self.run()
      }
    }
    if isHeldBack, !isInTurn { emittedInTurn = 0 }
    return !isHeldBack
  }

  /// What to tell the stage, or nil where there is nothing; throws the failure that the input ends by.
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
      // A wait that is over is a step; one that is not yet under way begins.
      if waitIsOver { return .resume }
      if !isWaiting { wait(for: awaiting) }
      return nil
    case .ended(let failure):
      // The stage may close what it waits for, whose number is then anyone's.
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

  private var wantsElement: Bool {
    switch need {
    case .next, .nextOr: true
    case .again, .waits, .finished: false
    }
  }

  private func wait(for awaiting: Awaiting) {
    isWaiting = true
    if let readiness = awaiting.readiness {
      wait = ReadinessWatch.shared.wait(for: readiness) { [weak self] number in
        guard let self else { return }
        queue.async { self.resume(after: number) }
      }
    }
    if let seconds = awaiting.seconds {
      deadline = .now() + max(0, seconds)
      setTimer()
    }
  }

  private func resume(after number: Int) {
    // It may have been forgotten meanwhile.
    guard wait == number else { return }
    forgetWait()
    waitIsOver = true
    run()
  }

  private func setTimer() {
    guard let deadline, timer.map({ deadline < $0 }) ?? true else { return }
    timer = deadline
    queue.asyncAfter(deadline: deadline) { [weak self] in self?.timerFired() }
  }

  private func timerFired() {
    timer = nil
    guard let deadline else { return }
    if .now() >= deadline {
      forgetWait()
      waitIsOver = true
      run()
    } else {
      setTimer()
    }
  }

  private func forgetWait() {
    if let wait { ReadinessWatch.shared.forget(wait) }
    wait = nil
    deadline = nil
    isWaiting = false
    waitIsOver = false
  }
}

/// Where a runner puts what its stage emits: the next channel, or nowhere at the end of the flow.
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
  func flush() { channel?.flush() }
  func end(_ failure: (any Error)?) { channel?.end(failure) }
}

/// What the first stage takes and the last one emits.
package enum Nothing: Sized, Sendable {
  package var byteCount: Int { 0 }
}
