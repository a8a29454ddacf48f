import Dispatch
import Glibc
import TestSupport
import Testing

@testable import Dataflow

@Suite struct SpreadTests {
  private let own = TestThreads()
  private let items = Shared<[Int]>([])
  private let buffer = Flow.Buffer(elements: 8, bytes: 1 << 20)

  private func flow(
    _ source: Numbers, buffer: Flow.Buffer? = nil, workers: Int,
    sink: Collecting? = nil, _ ending: Ending, _ work: @escaping @Sendable (Item) throws -> Item
  ) -> Flow {
    Flow.from(source, buffer: self.buffer, threads: own.threads)
      .spread(
        over: (0..<workers).map { _ in Working(work) },
        buffer: buffer ?? self.buffer
      )
      .into(sink ?? Collecting(items), on: .unknown) { ending.complete($0) }
  }

  @Test(arguments: [1, 2, 3, 8])
  func `outputs keep the order of the inputs if workers finish at random`(workers: Int) {
    let seed = testSeed
    let random = Shared(SeededGenerator(seed: seed))
    let ending = Ending()
    flow(Numbers(count: 400), workers: workers, ending) { item in
      usleep(random.withValue { UInt32.random(in: 0...300, using: &$0) })
      return Item(number: item.number * 2)
    }.start()
    #expect(ending.wait())
    #expect(items.current == (0..<400).map { $0 * 2 }, "seed \(seed)")
  }

  @Test func `a slow element holds back the elements after it, and none before it`() {
    let (gate, others) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let ending = Ending()
    let source = Numbers(count: 100)
    let flow = flow(source, workers: 2, ending) { item in
      if item.number == 5 { #expect(gate.waits()) } else { others.signal() }
      return item
    }
    flow.start()
    // Elements 0 to 4 and 6 to 8. Two workers have at most four elements that were taken and not emitted.
    for _ in 0..<8 { #expect(others.waits()) }
    #expect(others.staysQuiet())
    #expect(items.current.count <= 5)
    gate.signal()
    #expect(ending.wait())
    #expect(items.current == Array(0..<100))
  }

  @Test func `workers stop while the sink takes nothing`() {
    let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let worked = Shared(0)
    var sink = Collecting(items)
    sink.onItem = { _ in
      entered.signal()
      #expect(gate.waits())
    }
    let ending = Ending()
    let bound = Flow.Buffer(elements: 3, bytes: 1 << 20)
    flow(Numbers(count: 50), buffer: bound, workers: 4, sink: sink, ending) { item in
      worked.withValue { $0 += 1 }
      return item
    }.start()
    #expect(entered.waits())
    #expect(own.waits { $0.bulk.isIdle })
    // One element is in the sink, three are in the channel and with workers.
    #expect((3...4).contains(worked.current))
    for _ in 0..<50 { gate.signal() }
    #expect(ending.wait())
    #expect(items.current == Array(0..<50))
  }

  @Test func `each worker has one element at a time`() {
    let atWork = AtWork()
    let ending = Ending()
    flow(Numbers(count: 200), workers: 3, ending) { item in
      atWork.during { usleep(50) }
      return item
    }.start()
    #expect(ending.wait())
    #expect(atWork.most <= 3)
  }

  @Test func `a failure of a worker arrives after all elements before its own`() {
    let ending = Ending()
    let late = DispatchSemaphore(value: 0)
    flow(Numbers(), workers: 4, ending) { item in
      // The element before the bad one finishes last.
      if item.number == 9 { #expect(late.waits()) }
      if item.number == 10 {
        late.signal()
        throw TestFailure(number: 10)
      }
      return item
    }.start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 10))
    #expect(items.current == Array(0..<10))
    #expect(ending.count == 1)
  }

  @Test func `a failure of the source arrives after the remaining work`() {
    let ending = Ending()
    flow(Numbers(failsAt: 20), workers: 3, ending) { item in
      usleep(100)
      return item
    }.start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 20))
    #expect(items.current == Array(0..<20))
  }

  @Test func `no worker works after its flow has completed`() {
    let atWork = Shared(0)
    let atCompletion = Shared(-1)
    let ending = Ending { atCompletion.withValue { $0 = atWork.current } }
    var sink = Collecting(items)
    sink.onItem = { item in
      guard item.number < 2 else { throw TestFailure(number: item.number) }
    }
    flow(Numbers(), workers: 4, sink: sink, ending) { item in
      atWork.withValue { $0 += 1 }
      usleep(item.number > 2 ? 2000 : 0)
      atWork.withValue { $0 -= 1 }
      return item
    }.start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 2))
    #expect(atCompletion.current == 0)
  }

  @Test func `flows of random shapes under random delays give all elements in order`() {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    var results: [(count: Int, failsAt: Int?, items: Shared<[Int]>, ending: Ending)] = []
    for _ in 0..<40 {
      let count = Int.random(in: 0...120, using: &random)
      let failsAt = Bool.random(using: &random) ? Int.random(in: 0...count, using: &random) : nil
      let (items, ending) = (Shared<[Int]>([]), Ending())
      let delays = Shared(SeededGenerator(seed: random.next()))
      let delay: @Sendable () -> Void = {
        let microseconds = delays.withValue { UInt32.random(in: 0...400, using: &$0) }
        if microseconds > 300 { usleep(microseconds) }
      }
      func bounds() -> Flow.Buffer {
        .init(
          elements: Int.random(in: 1...5, using: &random),
          bytes: Int.random(in: 1...40, using: &random))
      }
      var source = Numbers(
        count: count, byteCount: Int.random(in: 0...20, using: &random), failsAt: failsAt)
      source.onStep = { _ in delay() }
      var sink = Collecting(items)
      sink.onItem = { _ in delay() }
      Flow.from(source, buffer: bounds(), threads: own.threads)
        .through(
          Mapping {
            delay()
            return [$0]
          }, buffer: bounds()
        )
        .spread(
          over: (0..<Int.random(in: 1...4, using: &random)).map { _ in
            Working {
              delay()
              return $0
            }
          }, buffer: bounds()
        )
        .into(sink, on: .unknown) { ending.complete($0) }
        .start()
      results.append((count, failsAt, items, ending))
    }
    for result in results {
      #expect(result.ending.wait(), "seed \(seed)")
      #expect(result.ending.failure?.number == result.failsAt, "seed \(seed)")
      #expect(result.items.current == Array(0..<(result.failsAt ?? result.count)), "seed \(seed)")
    }
  }
}
