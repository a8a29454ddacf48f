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
  private let input: Channel<W.Input>
  private let outlet: Outlet<W.Output>
  private let workerCount: Int
  private var idle: [W]
  private var nextTaken = 0
  private var nextPut = 0
  private var finished: [Int: Result<W.Output, any Error>] = [:]
  private var inputHasEnded = false
  private var inputFailure: (any Error)?
  private var isDone = false

  init(_ workers: [W], label: String, input: Channel<W.Input>, outlet: Outlet<W.Output>) {
    precondition(!workers.isEmpty)
    queue = DispatchQueue(label: label)
    workQueue = DispatchQueue(label: label + ".workers", attributes: .concurrent)
    self.input = input
    self.outlet = outlet
    workerCount = workers.count
    idle = workers
    input.onElement { [weak self] in self?.start() }
    outlet.onRoom { [weak self] in self?.start() }
  }

  func start() {
    queue.async { self.run() }
  }

  func stop() {}

  func cancel(_ failure: any Error) {
    queue.async {
      if !self.isDone { self.done(failure) }
    }
  }

  private func run() {
    while !isDone {
      putFinished()
      guard !isDone else { return }
      if inputHasEnded {
        guard nextPut == nextTaken else { return }
        return done(inputFailure)
      }
      // One slow element must not let the others run ahead without bound.
      guard !idle.isEmpty, nextTaken - nextPut < 2 * workerCount else { return }
      switch outlet.room(reserved: nextTaken - nextPut) {
      case .full: return
      case .cancelled: return done(nil)
      case .open: break
      }
      switch input.take() {
      case .element(let element): dispatch(element)
      case .empty: return
      case .ended(let failure):
        inputHasEnded = true
        inputFailure = failure
      }
    }
  }

  private func dispatch(_ element: W.Input) {
    let number = nextTaken
    nextTaken += 1
    let worker = idle.removeLast()
    workQueue.async {
      var worker = worker
      let result = Result { try worker.work(element) }
      self.queue.async { [worker] in
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
    idle = []
    finished = [:]
    input.cancel()
    outlet.end(failure)
  }
}
