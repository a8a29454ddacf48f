// Invariant: the completion is called once, after every part has released its stage.

/// A way into the middle of a flow.
package struct Inlet<Element: Sendable & Sized>: Sendable {
  let channel: Channel<Element>

  /// Puts an element in, even if there is no room; returns false if none can come any more.
  package func put(_ element: Element) -> Bool { channel.offer(element) }
}

/// A chain of stages from a source to its end, each on a serial queue, joined by bounded channels.
///
/// A failure travels in band: everything emitted before it reaches the end first. A stage that fails cancels
/// the stages before it. A flow that was started lives until it has completed.
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

  /// Starts every part; to be called once. If the threads cannot be made, the flow completes with the
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

  /// The flow ends as its last part does, which every failure reaches.
  private func partHasEnded(isLast: Bool, _ failure: (any Error)?) {
    let isOver = lock.withLock {
      if isLast { self.failure = failure }
      running -= 1
      return running == 0
    }
    if isOver { completion(lock.withLock { self.failure }) }
  }

  /// Stops reading. What was read still reaches the end, then the flow completes.
  package func stop() {
    for runner in runners { runner.stop() }
  }

  /// Gives the source a step, though what it waits for has not come: it was given something to look at.
  package func wakeSource() { runners.first?.wake() }

  /// Completes the flow with a failure and drops everything on its way.
  package func cancel(_ failure: any Error) {
    runners.last?.cancel(failure)
  }

  /// How the stages of a flow share threads with those of other flows.
  package enum Kind: Sendable {
    /// Of a stream whose records must not wait for the stages of streams from files.
    case live
    /// Of a stream from files: does most in a time, and its source waits while there is enough to do.
    case bulk
  }

  /// The first piece of a flow.
  ///
  /// - Parameter disk: what any step of the source may wait for, so that all run on that disk's threads.
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

  /// A flow whose last stage still emits something.
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

    /// Spreads the elements over equal workers; the order stays.
    package func spread<W: Worker>(
      over workers: [W], buffer: Buffer
    ) -> Open<W.Output> where W.Input == Element {
      // One worker needs no way there and back.
      if workers.count == 1, let worker = workers.first {
        return through(WorkerStage(worker: worker), buffer: buffer)
      }
      return Open<W.Output>(previous: runners, buffer: buffer, place: place) { outlet in
        ParallelRunner(workers, input: channel, outlet: outlet, at: place)
      }
    }

    /// A way for elements from outside, after those that wait already.
    package var inlet: Inlet<Element> { Inlet(channel: channel) }

    /// The last piece.
    ///
    /// - Parameters:
    ///   - disk: what any of its steps may wait for, so that all run on that disk's threads.
    ///   - completion: called once, with the failure if there was one, when every stage was released.
    package func into<S: Stage>(
      _ sink: S, on disk: Disk? = nil, completion: @escaping @Sendable ((any Error)?) -> Void
    ) -> Flow where S.Input == Element, S.Output == Nothing {
      let runner = StageRunner(
        sink, input: channel, outlet: Outlet(), at: place.moved(to: disk, gate: nil))
      return Flow(runners + [runner], threads: place.threads, completion: completion)
    }
  }
}
