internal import Dispatch

// Invariants:
// - Everything mutable is touched on `queue` only.
// - A step is taken only when the output has room, so back-pressure is "no step".
// - After `isDone` nothing is taken, emitted or armed.

/// What drives one part of a flow.
protocol Runner: AnyObject, Sendable {
  func start()
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
  private let input: Channel<S.Input>?
  private let outlet: Outlet<S.Output>
  /// Let go when done, so that what it holds open is closed before the flow completes.
  private var stage: S?
  private var need: Progress
  private var isStopping = false
  private var inputHasEnded = false
  private var isDone = false
  private var readiness: (any DispatchSourceProtocol)?

  /// A runner with no input drives a source: its stage is resumed until it has finished.
  init(_ stage: S, label: String, input: Channel<S.Input>?, outlet: Outlet<S.Output>) {
    queue = DispatchQueue(label: label)
    self.stage = stage
    self.input = input
    self.outlet = outlet
    need = input == nil ? .again : .next
    input?.onElement { [weak self] in self?.schedule() }
    outlet.onRoom { [weak self] in self?.schedule() }
  }

  func start() { schedule() }

  func stop() {
    guard input == nil else { return }
    queue.async {
      self.isStopping = true
      self.disarm()
      self.run()
    }
  }

  func cancel(_ failure: any Error) {
    queue.async {
      if !self.isDone { self.done(failure) }
    }
  }

  private func schedule() {
    queue.async { self.run() }
  }

  /// Takes steps while there is something to do, but not so many that stopping has to wait long.
  private func run() {
    for _ in 0..<16 {
      guard !isDone, isStopping || readiness == nil else { return }
      switch outlet.room() {
      case .full: return
      case .cancelled: return done(nil)
      case .open: break
      }
      do {
        guard let signal = try nextSignal() else { return }
        need = try stage?.step(signal) { outlet.put($0) } ?? .finished
      } catch {
        return done(error)
      }
      if need == .finished || need == .next && inputHasEnded { return done(nil) }
      if case .waits(let readiness) = need { arm(readiness) }
    }
    schedule()
  }

  /// What to tell the stage, or nil where there is nothing; throws the failure that the input ends by.
  private func nextSignal() throws -> Signal<S.Input>? {
    if isStopping, !inputHasEnded {
      inputHasEnded = true
      return .end
    }
    guard need == .next, let input else { return .resume }
    switch input.take() {
    case .element(let element): return .element(element)
    case .empty: return nil
    case .ended(let failure):
      if let failure { throw failure }
      inputHasEnded = true
      return .end
    }
  }

  private func done(_ failure: (any Error)?) {
    isDone = true
    stage = nil
    disarm()
    input?.cancel()
    outlet.end(failure)
  }

  private func arm(_ wanted: Readiness) {
    let source: any DispatchSourceProtocol =
      switch wanted {
      case .readable(let descriptor):
        DispatchSource.makeReadSource(fileDescriptor: descriptor, queue: queue)
      case .writable(let descriptor):
        DispatchSource.makeWriteSource(fileDescriptor: descriptor, queue: queue)
      }
    source.setEventHandler { [weak self] in
      self?.disarm()
      self?.run()
    }
    readiness = source
    source.activate()
  }

  private func disarm() {
    readiness?.cancel()
    readiness = nil
  }
}

/// Where a runner puts what its stage emits: the next channel, or the end of the flow.
struct Outlet<Element: Sendable & Sized>: Sendable {
  private let channel: Channel<Element>?
  private let completion: @Sendable ((any Error)?) -> Void

  init(_ channel: Channel<Element>) {
    self.channel = channel
    completion = { _ in }
  }

  /// The outlet of the last stage: takes no element, and `completion` is called once at the end.
  init(completion: @escaping @Sendable ((any Error)?) -> Void) where Element == Nothing {
    channel = nil
    self.completion = completion
  }

  func onRoom(_ wake: @escaping @Sendable () -> Void) { channel?.onRoom(wake) }
  func room(reserved: Int = 0) -> Channel<Element>.Room {
    channel?.room(reserved: reserved) ?? .open
  }
  func put(_ element: consuming Element) { channel?.put(element) }

  func end(_ failure: (any Error)?) {
    channel?.end(failure)
    completion(failure)
  }
}

/// What the first stage takes and the last one emits.
package enum Nothing: Sized, Sendable {
  package var byteCount: Int { 0 }
}
