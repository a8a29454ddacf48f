// Invariant: the completion is called once, after every runner has released its stage.

/// An entry for elements from outside into the middle of a flow.
package struct Inlet<Element: Sendable & Sized>: Sendable {
  let channel: Channel<Element>

  /// Adds an element, even if the channel is full. Returns false if the channel has ended.
  package func put(_ element: Element) -> Bool { channel.offer(element) }
}

/// A chain of stages from a source to a sink. Each stage has a serial queue; bounded channels join them.
///
/// A failure travels with the elements: everything emitted before it reaches the last stage first. A stage that fails
/// cancels the stages before it. A started flow keeps itself alive until it completes.
package final class Flow: @unchecked Sendable {
  // @unchecked because `running` and `failure` are only touched with `lock` held.
  private let runners: [any Runner]
  private let threads: StageThreads
  private let completion: @Sendable ((any Error)?) -> Void
  private let lock = Lock()
  private var running: Int
  private var failure: (any Error)?

  fileprivate init(
    _ runners: [any Runner], threads: StageThreads,
    completion: @escaping @Sendable ((any Error)?) -> Void
  ) {
    self.runners = runners
    self.threads = threads
    self.completion = completion
    running = runners.count
  }

  /// Starts every stage. Must be called once. If the threads cannot be made, the flow completes with the
  /// `ThreadError`.
  package func start() {
    do {
      try threads.start()
    } catch {
      return completion(error)
    }
    let last = runners.count - 1
    for (index, runner) in runners.enumerated() {
      runner.start { self.partHasEnded(isLast: index == last, $0) }
    }
  }

  /// Records that a stage has ended. The flow fails if its last stage does, because every failure reaches it.
  private func partHasEnded(isLast: Bool, _ failure: (any Error)?) {
    let isOver = lock.withLock {
      if isLast { self.failure = failure }
      running -= 1
      return running == 0
    }
    if isOver { completion(lock.withLock { self.failure }) }
  }

  /// Stops reading. The flow completes after everything that was read has reached the last stage.
  package func stop() {
    for runner in runners { runner.stop() }
  }

  /// How much waits before each part but the source, in their order.
  package var queues: [QueueDepth] { runners.compactMap(\.inputDepth) }

  /// Lets the source take a step although it waits: there is something new for it, such as a request.
  package func wakeSource() { runners.first?.wake() }

  /// Completes the flow with a failure, and drops all elements in it.
  package func cancel(_ failure: any Error) {
    runners.last?.cancel(failure)
  }

  /// How the stages of a flow share threads with the stages of other flows.
  package enum Kind: Sendable {
    /// A live stream. Its records must not wait for the stages of streams from files.
    case live
    /// A stream from files. It favours throughput; its source waits while the stages after it have enough work.
    case bulk
  }

  /// The first stage of a flow.
  ///
  /// - Parameter disk: the disk that the source may wait for. All its steps run on the threads of that disk.
  package static func from<S: Stage>(
    _ source: S, on disk: Disk? = nil, buffer: Buffer, as kind: Kind = .bulk,
    threads: StageThreads = .shared
  ) -> Open<S.Output> where S.Input == Nothing {
    let place =
      switch kind {
      case .live:
        RunnerPlace(threads: threads, share: threads.live, longShare: threads.bulk, gate: nil)
      case .bulk:
        RunnerPlace(
          threads: threads, share: threads.bulk, longShare: threads.bulk, gate: threads.gate)
      }
    return Open(previous: [], buffer: buffer, place: place) { outlet in
      StageRunner(source, input: nil, outlet: outlet, at: place.moved(to: disk, gate: place.gate))
    }
  }

  /// The bounds of a channel.
  package struct Buffer: Sendable {
    var elements: Int
    var bytes: Int

    package init(elements: Int, bytes: Int) {
      self.elements = elements
      self.bytes = bytes
    }

    func channel<Element>(of _: Element.Type) -> Channel<Element> {
      Channel(maxElements: elements, maxBytes: bytes)
    }
  }

  /// A flow whose last stage so far has outputs to take.
  package struct Open<Element: Sendable & Sized> {
    private let runners: [any Runner]
    private let channel: Channel<Element>
    private let place: RunnerPlace

    init(
      previous: [any Runner], buffer: Buffer, place: RunnerPlace,
      _ make: (Outlet<Element>) -> any Runner
    ) {
      self.place = place
      channel = buffer.channel(of: Element.self)
      runners = previous + [make(Outlet(channel))]
    }

    package func through<S: Stage>(
      _ stage: S, buffer: Buffer
    ) -> Open<S.Output> where S.Input == Element {
      Open<S.Output>(previous: runners, buffer: buffer, place: place) { outlet in
        StageRunner(stage, input: channel, outlet: outlet, at: place)
      }
    }

    /// Spreads the elements over equal workers, and restores their order after them.
    package func spread<W: Worker>(
      over workers: [W], buffer: Buffer
    ) -> Open<W.Output> where W.Input == Element {
      // One worker is a stage like any other.
      if workers.count == 1, let worker = workers.first {
        return through(WorkerStage(worker: worker), buffer: buffer)
      }
      return Open<W.Output>(previous: runners, buffer: buffer, place: place) { outlet in
        ParallelRunner(workers, input: channel, outlet: outlet, at: place)
      }
    }

    /// An entry for elements from outside. They come after the elements that are queued already.
    package var inlet: Inlet<Element> { Inlet(channel: channel) }

    /// Adds the last stage.
    ///
    /// - Parameters:
    ///   - disk: the disk that the stage may wait for. All its steps run on the threads of that disk.
    ///   - completion: called once, after every stage was released; with the failure, if there was one.
    package func into<S: Stage>(
      _ sink: S, on disk: Disk? = nil, completion: @escaping @Sendable ((any Error)?) -> Void
    ) -> Flow where S.Input == Element, S.Output == Nothing {
      let runner = StageRunner(
        sink, input: channel, outlet: Outlet(), at: place.moved(to: disk, gate: nil))
      return Flow(runners + [runner], threads: place.threads, completion: completion)
    }
  }
}
