// Invariants:
// - All mutable state is only touched on `queue`, except a worker that is working.
// - Elements get ascending numbers when they are taken. Outputs are put in that order.
// - At most `most` elements, two for each worker, were taken and not put yet.

/// Drives equal workers in parallel, and restores the order of the inputs in their outputs.
final class ParallelRunner<W: Worker>: Runner, @unchecked Sendable
where W.Input: Sized, W.Output: Sized {
  // @unchecked because every stored variable is only touched on `queue`.

  private let queue: SerialQueue
  private let place: RunnerPlace
  private let input: Channel<W.Input>
  private let outlet: Outlet<W.Output>
  /// Limits how many elements the other workers process while one element is slow.
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

  var inputDepth: QueueDepth? { input.depth }

  init(
    _ workers: [W], input: Channel<W.Input>, outlet: Outlet<W.Output>, at place: RunnerPlace
  ) {
    precondition(!workers.isEmpty)
    queue = SerialQueue(on: place.share)
    self.place = place
    self.input = input
    self.outlet = outlet
    most = 2 * workers.count
    idle = workers
    input.onElement { [weak self] wake in self?.schedule(wake) }
    outlet.onRoom { [weak self] in self?.schedule(.now) }
  }

  func start(onEnd: @escaping @Sendable ((any Error)?) -> Void) {
    queue.async {
      self.onEnd = onEnd
      self.run()
      self.letGo()
    }
  }

  func stop() {}
  func wake() {}

  func cancel(_ failure: any Error) {
    queue.async {
      if !self.isDone { self.done(failure) }
    }
  }

  private func schedule(_ wake: Wake) {
    queue.async(wake, place.counted { self.run() })
  }

  private func run() {
    defer { outlet.flush(.atEnd(of: place.share)) }
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
    place.longShare.run(
      place.counted {
        var worker = worker
        let result = Result { try worker.work(handover.take()) }
        self.queue.async(
          .atEnd(of: self.place.longShare),
          self.place.counted { [worker] in self.take(result, number, from: worker) })
      })
  }

  private func take(_ result: Result<W.Output, any Error>, _ number: Int, from worker: W) {
    working -= 1
    guard !isDone else { return letGo() }
    idle.append(worker)
    finished[number] = result
    run()
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

  /// Reports the end of the runner when no worker is working.
  private func letGo() {
    guard isDone, working == 0, let onEnd else { return }
    self.onEnd = nil
    onEnd(failure)
  }
}

/// An element on its way to a worker, which must be its only owner. A closure would be a second one.
private final class Handover<Element>: @unchecked Sendable {
  // @unchecked because the runner that makes it does not touch it after it has queued the worker.
  private var element: Element?

  init(_ element: consuming Element) {
    self.element = consume element
  }

  func take() -> Element {
    guard let element = element.take() else { preconditionFailure("taken twice") }
    return element
  }
}

/// A worker as a stage.
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
