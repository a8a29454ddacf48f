internal import Dispatch

// Invariant: the completion is called once, after every part has let go of its stage.

/// A way into the middle of a flow.
package struct Inlet<Element: Sendable & Sized>: Sendable {
  let channel: Channel<Element>

  /// Puts an element in, even where there is no room; returns false where none can come any more.
  package func put(_ element: Element) -> Bool { channel.offer(element) }
}

/// A chain of stages from a source to its end, each on a serial queue, joined by bounded channels.
///
/// A failure travels in band: everything emitted before it reaches the end first. A stage that
/// fails downstream cancels what is upstream of it. A flow that was started lives until it has
/// completed.
package final class Flow: @unchecked Sendable {
  // @unchecked because `running` and `failure` are only touched with `lock` held.
  private let runners: [any Runner]
  private let completion: @Sendable ((any Error)?) -> Void
  private let lock = Lock()
  private var running: Int
  private var failure: (any Error)?

  fileprivate init(
    _ runners: [any Runner], completion: @escaping @Sendable ((any Error)?) -> Void
  ) {
    self.runners = runners
    self.completion = completion
    running = runners.count
  }

  /// Starts every part; to be called once.
  package func start() {
    let last = runners.count - 1
    for (index, runner) in runners.enumerated() {
      runner.start { self.partHasEnded(isLast: index == last, $0) }
    }
  }

  /// How the flow ended is how its last part did, which every failure reaches.
  private func partHasEnded(isLast: Bool, _ failure: (any Error)?) {
    let isOver = lock.withLock {
      if isLast { self.failure = failure }
      running -= 1
      return running == 0
    }
    if isOver { completion(lock.withLock { self.failure }) }
  }

  /// Stops reading; what was read goes its way, then the flow completes.
  package func stop() {
    for runner in runners { runner.stop() }
  }

  /// Completes the flow with a failure; what is under way is dropped.
  package func cancel(_ failure: any Error) {
    runners.last?.cancel(failure)
  }

  /// The first piece of a flow.
  ///
  /// - Parameter threads: what its stages take turns on with those of other flows, which does most in a
  ///   time; nil gives each a thread of its own, where it is under way sooner.
  package static func from<S: Stage>(
    _ source: S, label: String, buffer: Buffer, threads: StageThreads? = .shared
  ) -> Open<S.Output> where S.Input == Nothing {
    Open(previous: [], buffer: buffer, threads: threads) { outlet in
      StageRunner(source, label: label, input: nil, outlet: outlet, threads: threads)
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
    private let threads: StageThreads?

    init(
      previous: [any Runner], buffer: Buffer, threads: StageThreads?,
      _ make: (Outlet<Element>) -> any Runner
    ) {
      self.threads = threads
      channel = buffer.channel(of: Element.self)
      runners = previous + [make(Outlet(channel))]
    }

    package func through<S: Stage>(
      _ stage: S, label: String, buffer: Buffer
    ) -> Open<S.Output> where S.Input == Element {
      Open<S.Output>(previous: runners, buffer: buffer, threads: threads) { outlet in
        StageRunner(stage, label: label, input: channel, outlet: outlet, threads: threads)
      }
    }

    /// Spreads the elements over equal workers; the order stays.
    package func spread<W: Worker>(
      over workers: [W], label: String, buffer: Buffer
    ) -> Open<W.Output> where W.Input == Element {
      // One worker needs no way there and back.
      if workers.count == 1, let worker = workers.first {
        return through(WorkerStage(worker: worker), label: label, buffer: buffer)
      }
      return Open<W.Output>(previous: runners, buffer: buffer, threads: threads) { outlet in
        ParallelRunner(
          workers, label: label, input: channel, outlet: outlet, threads: threads)
      }
    }

    /// A way for elements from outside, behind those that wait already.
    package var inlet: Inlet<Element> { Inlet(channel: channel) }

    /// The last piece; `completion` is called once, with the failure if there was one, when every
    /// stage was let go of.
    package func into<S: Stage>(
      _ sink: S, label: String, completion: @escaping @Sendable ((any Error)?) -> Void
    ) -> Flow where S.Input == Element, S.Output == Nothing {
      // It waits for disks.
      let runner = StageRunner(
        sink, label: label, input: channel, outlet: Outlet(), threads: nil)
      return Flow(runners + [runner], completion: completion)
    }
  }
}
