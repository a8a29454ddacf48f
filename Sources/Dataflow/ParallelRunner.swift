internal import Dispatch

// Invariants:
// - Everything mutable is touched on `queue` only, but a worker that is out working.
// - Elements get ascending numbers as they are taken; outputs are put in that order.
// - Taken and not yet put are at most as many elements as there are workers, twice.

/// Drives equal workers side by side and puts their outputs back in the order of the inputs.
final class ParallelRunner<W: Worker>: Runner, @unchecked Sendable
where W.Input: Sized, W.Output: Sized {
  // @unchecked because every stored variable is only touched on `queue`.

  private let queue: DispatchQueue
  private let workQueue: DispatchQueue
  private let threads: StageThreads?
  private let input: Channel<W.Input>
  private let outlet: Outlet<W.Output>
  /// What may be taken and not yet put; one slow element must not let the others run ahead without bound.
  private let most: Int
  private var idle: [W]
  private var nextTaken = 0
  private var nextPut = 0
  private var finished: [Int: Result<W.Output, any Error>] = [:]
  private var inputHasEnded = false
  private var inputFailure: (any Error)?
  private var working = 0
  private var isDone = false
  private var failure: (any Error)?
  private var onEnd: (@Sendable ((any Error)?) -> Void)?

  init(
    _ workers: [W], label: String, input: Channel<W.Input>, outlet: Outlet<W.Output>,
    threads: StageThreads?
  ) {
    precondition(!workers.isEmpty)
    queue = DispatchQueue(label: label, target: threads?.target)
    workQueue = DispatchQueue(
      label: label + ".workers", attributes: .concurrent, target: threads?.target)
    self.input = input
    self.outlet = outlet
    self.threads = threads
    most = 2 * workers.count
    idle = workers
    input.onElement { [weak self] in self?.schedule() }
    outlet.onRoom { [weak self] in self?.schedule() }
  }

  func start(onEnd: @escaping @Sendable ((any Error)?) -> Void) {
    queue.async {
      self.onEnd = onEnd
      self.run()
      self.letGo()
    }
  }

  func stop() {}

  func cancel(_ failure: any Error) {
    queue.async {
      if !self.isDone { self.done(failure) }
    }
  }

  private func schedule() {
    threads.async(on: queue) { self.run() }
  }

  private func run() {
    defer { outlet.flush() }
    while !isDone {
      putFinished()
      guard !isDone else { return }
      if inputHasEnded {
        guard nextPut == nextTaken else { return }
        return done(inputFailure)
      }
      guard !idle.isEmpty, nextTaken - nextPut < most else { return }
      switch outlet.room(reserved: nextTaken - nextPut) {
      case .full: return
      case .cancelled: return done(nil)
      case .open: break
      }
      switch input.take() {
      case .element(let element): dispatch(consume element)
      case .empty: return
      case .ended(let failure):
        inputHasEnded = true
        inputFailure = failure
      }
    }
  }

  private func dispatch(_ element: consuming W.Input) {
    let number = nextTaken
    nextTaken += 1
    working += 1
    let worker = idle.removeLast()
    let handover = Handover(consume element)
    threads.async(on: workQueue) {
      var worker = worker
      let result = Result { try worker.work(handover.take()) }
      self.threads.async(on: self.queue) { [worker] in
        self.working -= 1
        guard !self.isDone else { return self.letGo() }
        self.idle.append(worker)
        self.finished[number] = result
        self.run()
      }
    }
  }

  private func putFinished() {
    while let result = finished.removeValue(forKey: nextPut) {
      nextPut += 1
      switch result {
      case .success(let output): outlet.put(output)
      case .failure(let error): return done(error)
      }
    }
  }

  private func done(_ failure: (any Error)?) {
    isDone = true
    self.failure = failure
    idle = []
    finished = [:]
    nextPut = nextTaken
    input.cancel()
    outlet.end(failure)
    letGo()
  }

  /// Says that the part has ended, once no worker is out working.
  private func letGo() {
    guard isDone, working == 0, let onEnd else { return }
    self.onEnd = nil
    onEnd(failure)
  }
}

/// An element on its way to a worker, who is to be its only owner: a closure would be one too.
private final class Handover<Element>: @unchecked Sendable {
  // @unchecked because who makes it is done with it when the worker begins.
  private var element: Element?

  init(_ element: consuming Element) {
    self.element = consume element
  }

  func take() -> Element {
    guard let element = element.take() else { preconditionFailure("taken twice") }
    return element
  }
}

/// A worker that does its work in its turn.
struct WorkerStage<W: Worker>: Stage {
  var worker: W

  mutating func step(
    _ signal: consuming Signal<W.Input>, emit: (consuming W.Output) -> Void
  ) throws -> Progress {
    guard case .element(let element) = consume signal else { return .next }
    emit(try worker.work(consume element))
    return .next
  }
}
