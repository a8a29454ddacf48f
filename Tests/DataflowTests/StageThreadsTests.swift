import Dispatch
import Glibc
import Testing

@testable import Dataflow

@Suite struct StageThreadsTests {
  /// Sources wait where two pieces of work are queued.
  private let threads = StageThreads(.global(qos: .utility), count: 1)
  private let queue = DispatchQueue(label: "test.work", attributes: .concurrent)
  private let called = Shared<[Int]>([])

  /// Whether source `number` may go on; it is among `called` when it is told to.
  private func mayRead(_ number: Int, beforeOthers: Bool = false) -> Bool {
    threads.mayRead(beforeOthers: beforeOthers) { [called] in called.withValue { $0.append(number) }
    }
  }

  /// Queues so many pieces of work, each of which lasts until it is signalled.
  private func occupy(_ count: Int, until gate: DispatchSemaphore, _ done: DispatchGroup) {
    for _ in 0..<count {
      done.enter()
      threads.async(on: queue) { #expect(gate.waits()) }
    }
    // It begins when all of them have been counted off.
    queue.async(flags: .barrier) { for _ in 0..<count { done.leave() } }
  }

  @Test func `sources read while there is less to do than twice as much as there are threads`() {
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchGroup())
    occupy(1, until: gate, done)
    #expect(mayRead(1) && mayRead(2))
    gate.signal()
    done.wait()
    #expect(mayRead(3))
    #expect(called.current == [])
  }

  @Test func `a source waits while there is as much to do, and is called when there is less`() {
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchGroup())
    occupy(3, until: gate, done)
    #expect(!mayRead(1) && !mayRead(2) && !mayRead(3) && !mayRead(4))
    gate.signal()
    usleep(20_000)
    #expect(called.current == [])
    for _ in 1...2 { gate.signal() }
    done.wait()
    // One for each piece of work that left fewer than two.
    #expect(called.current == [1, 2])
    #expect(mayRead(5))
  }

  @Test func `a source in its turn is called before those that came earlier, the others after`() {
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchGroup())
    occupy(2, until: gate, done)
    #expect(!mayRead(1) && !mayRead(2, beforeOthers: true) && !mayRead(3))
    for _ in 1...2 { gate.signal() }
    done.wait()
    threads.sourcePauses()
    #expect(called.current == [2, 1, 3])
  }

  @Test func `a source that pauses calls the next, so that none is forgotten`() {
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchGroup())
    occupy(2, until: gate, done)
    for number in 1...4 { #expect(!mayRead(number)) }
    threads.sourcePauses()
    #expect(called.current == [])
    for _ in 1...2 { gate.signal() }
    done.wait()
    for _ in 1...3 { threads.sourcePauses() }
    #expect(called.current == [1, 2, 3, 4])
  }

  @Test func `many flows hold little more than one between their sources and their ends`() {
    let held = Shared((now: 0, most: 0))
    runMany(itemBytes: 1) { _, change in
      held.withValue { $0 = ($0.now + change, max($0.most, $0.now + change)) }
    }
    // Each of them alone may hold more than 20.
    #expect(held.current.most < 160)
  }

  /// Where items are small, no turn is over before its flow; else none is done before all had theirs.
  @Test(arguments: [(1 << 10, 1...12), (StageThreads.bytesOfATurn / 20, 36...40)])
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

  /// Runs 40 flows of 100 items each; `count` is told 1 for each that a source emits and −1 for each that a
  /// sink takes.
  private func runMany(
    itemBytes: Int, _ count: @escaping @Sendable (_ number: Int, _ change: Int) -> Void
  ) {
    let items = 100
    let flows = (0..<40).map { _ in (ending: Ending(), result: Shared<[Int]>([])) }
    for (ending, result) in flows {
      var source = Numbers(count: items, byteCount: itemBytes)
      source.onStep = { if $0 < items { count($0, 1) } }
      var sink = Collecting(result)
      sink.onItem = { count($0.number, -1) }
      let buffer = Flow.Buffer(elements: 8, bytes: 1 << 30)
      Flow.from(source, label: "test.source", buffer: buffer, threads: threads)
        .through(Mapping { [$0] }, label: "test.stage", buffer: buffer)
        .spread(
          over: (0..<2).map { _ in
            Working {
              usleep(100)
              return $0
            }
          }, label: "test.spread", buffer: buffer
        )
        .into(sink, label: "test.sink") { ending.complete($0) }
        .start()
    }
    for (ending, result) in flows {
      #expect(ending.wait())
      #expect(result.current == Array(0..<items))
    }
  }

  @Test func `sources that wait for something else do not stop those behind them`() {
    let (gate, done) = (DispatchSemaphore(value: 0), DispatchGroup())
    occupy(2, until: gate, done)
    let steps = DispatchSemaphore(value: 0)
    let flows = (0..<10).map { _ in
      let ending = Ending()
      let flow = Flow.from(
        Waiting { steps.signal() }, label: "test.source",
        buffer: .init(elements: 2, bytes: 100), threads: threads
      )
      .into(Collecting(called), label: "test.sink") { ending.complete($0) }
      flow.start()
      return (flow, ending)
    }
    #expect(steps.staysQuiet())
    for _ in 1...2 { gate.signal() }
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
