import Dispatch
import Testing

@testable import Dataflow

@Suite struct SourceGateTests {
  /// Sources wait while three jobs are queued.
  private let gate = SourceGate(threads: 1)
  private let called = Shared<[Int]>([])

  /// Whether source `number` may go on; it is among `called` when it is told to.
  private func mayRead(_ number: Int, beforeOthers: Bool = false) -> Bool {
    gate.mayRead(beforeOthers: beforeOthers) { [called] in called.withValue { $0.append(number) } }
  }

  @Test func `sources read while less than three jobs are queued for each thread`() {
    for _ in 1...2 { gate.jobWasQueued() }
    #expect(mayRead(1) && mayRead(2))
    gate.jobHasEnded()
    #expect(mayRead(3))
    #expect(called.current == [])
  }

  @Test func `a source waits while enough is queued, and is called when less is`() {
    for _ in 1...4 { gate.jobWasQueued() }
    #expect(!mayRead(1) && !mayRead(2) && !mayRead(3) && !mayRead(4))
    gate.jobHasEnded()
    #expect(called.current == [])
    // Each job that leaves fewer than three calls one.
    for _ in 1...2 { gate.jobHasEnded() }
    #expect(called.current == [1, 2])
    #expect(mayRead(5))
  }

  @Test func `a source in its turn is called before those that came earlier, the others after`() {
    for _ in 1...3 { gate.jobWasQueued() }
    #expect(!mayRead(1) && !mayRead(2, beforeOthers: true) && !mayRead(3))
    for _ in 1...2 { gate.jobHasEnded() }
    gate.sourcePauses()
    #expect(called.current == [2, 1, 3])
  }

  @Test func `a source that pauses calls the next, so that none is forgotten`() {
    for _ in 1...3 { gate.jobWasQueued() }
    for number in 1...4 { #expect(!mayRead(number)) }
    gate.sourcePauses()
    #expect(called.current == [])
    for _ in 1...2 { gate.jobHasEnded() }
    for _ in 1...3 { gate.sourcePauses() }
    #expect(called.current == [1, 2, 3, 4])
  }
}

/// Flows on one processor: every job of a stage runs on one thread, in the order in which it was queued.
@Suite struct SourceTurnTests {
  private let own = TestThreads(processors: 1)

  @Test func `many flows hold little more than one between their sources and their ends`() {
    let held = Shared((now: 0, most: 0))
    runMany(itemBytes: 1) { _, change in
      held.withValue { $0 = ($0.now + change, max($0.most, $0.now + change)) }
    }
    // One flow alone may hold more than 20.
    #expect(held.current.most < 60, "\(held.current)")
  }

  /// If items are small, no turn is over before its flow; else no flow is done before all had a turn.
  @Test(arguments: [(1 << 10, 1...12), (SourceGate.bytesOfATurn / 20, 36...40)])
  func `a flow begins when others pause, or have had their turn`(
    itemBytes: Int, begun: ClosedRange<Int>
  ) {
    let flows = Shared((begun: 0, atFirstEnd: 0))
    runMany(itemBytes: itemBytes) { number, change in
      guard number == (change > 0 ? 0 : 99) else { return }
      flows.withValue {
        if change > 0 { $0.begun += 1 } else if $0.atFirstEnd == 0 { $0.atFirstEnd = $0.begun }
      }
    }
    #expect(begun.contains(flows.current.atFirstEnd), "\(flows.current)")
  }

  /// Runs 40 flows of 100 items each. `count` is told 1 for each that a source emits and −1 for each that a
  /// sink takes.
  private func runMany(
    itemBytes: Int, _ count: @escaping @Sendable (_ number: Int, _ change: Int) -> Void
  ) {
    let items = 100
    let flows = (0..<40).map { _ in (ending: Ending(), result: Shared<[Int]>([])) }
    let allStarted = DispatchSemaphore(value: 0)
    own.threads.bulk.run { #expect(allStarted.waits()) }
    for (ending, result) in flows {
      var source = Numbers(count: items, byteCount: itemBytes)
      source.onStep = { if $0 < items { count($0, 1) } }
      var sink = Collecting(result)
      sink.onItem = { count($0.number, -1) }
      let buffer = Flow.Buffer(elements: 8, bytes: 1 << 30)
      Flow.from(source, buffer: buffer, threads: own.threads)
        .through(Mapping { [$0] }, buffer: buffer)
        .spread(over: (0..<2).map { _ in Working { $0 } }, buffer: buffer)
        .into(sink) { ending.complete($0) }
        .start()
    }
    allStarted.signal()
    for (ending, result) in flows {
      #expect(ending.wait())
      #expect(result.current == Array(0..<items))
    }
  }

  @Test func `sources that wait for something else do not stop those after them`() {
    let steps = DispatchSemaphore(value: 0)
    // Three jobs are enough for a source to wait.
    for _ in 1...3 { own.threads.gate.jobWasQueued() }
    let flows = (0..<10).map { _ in
      let ending = Ending()
      let flow = Flow.from(
        Waiting { steps.signal() }, buffer: .init(elements: 2, bytes: 100), threads: own.threads
      )
      .into(Collecting(Shared([]))) { ending.complete($0) }
      flow.start()
      return (flow, ending)
    }
    #expect(own.waits { $0.bulk.isIdle })
    #expect(steps.wait(timeout: .now()) == .timedOut)
    for _ in 1...3 { own.threads.gate.jobHasEnded() }
    for _ in flows { #expect(steps.waits()) }
    for (flow, _) in flows { flow.stop() }
    for (_, ending) in flows { #expect(ending.wait()) }
  }
}

/// Waits from its first step on until it is stopped.
private struct Waiting: Stage {
  let onStep: @Sendable () -> Void

  mutating func step(
    _ signal: Signal<Nothing>, emit: (consuming Item) -> Void
  ) throws -> Progress {
    if case .end = signal { return .finished }
    onStep()
    return .waits(Awaiting(nil, seconds: 1000))
  }
}
