import Dispatch
import Glibc
import Testing

@testable import Dataflow

@Suite struct FlowTests {
  private let own = TestThreads()
  private let items = Shared<[Int]>([])
  private let living = Shared(0)

  private func flow(
    _ source: Numbers, buffer: Flow.Buffer = .init(elements: 2, bytes: 1 << 20), through: Int = 0,
    _ sink: Collecting, _ ending: Ending
  ) -> Flow {
    var open = Flow.from(source, buffer: buffer, threads: own.threads)
    for _ in 0..<through {
      open = open.through(Mapping { [$0] }, buffer: buffer)
    }
    return open.into(sink, on: .unknown) { ending.complete($0) }
  }

  @Test(arguments: [1, 2, 7, 1000], [0, 1, 5])
  func `elements keep their order through every stage`(elements: Int, stages: Int) {
    let ending = Ending()
    flow(
      Numbers(count: 300), buffer: .init(elements: elements, bytes: 1 << 20), through: stages,
      Collecting(items), ending
    ).start()
    #expect(ending.wait())
    #expect(ending.failure == nil)
    #expect(items.current == Array(0..<300))
  }

  @Test func `a stage may emit several elements a step and the rest at the end`() {
    var stage = Mapping { [$0, Item(number: -$0.number)] }
    stage.last = [Item(number: 100), Item(number: 101)]
    let buffer = Flow.Buffer(elements: 1, bytes: 1)
    let ending = Ending()
    Flow.from(Numbers(count: 3), buffer: buffer, threads: own.threads)
      .through(stage, buffer: buffer)
      .into(Collecting(items)) { ending.complete($0) }
      .start()
    #expect(ending.wait())
    #expect(items.current == [0, 0, 1, -1, 2, -2, 100, 101])
  }

  @Test func `a stage that asks for another step gets it before the next element`() {
    let buffer = Flow.Buffer(elements: 1, bytes: 1)
    let ending = Ending()
    Flow.from(Numbers(count: 4), buffer: buffer, threads: own.threads)
      .through(Repeating(times: 3), buffer: buffer)
      .into(Collecting(items)) { ending.complete($0) }
      .start()
    #expect(ending.wait())
    #expect(items.current == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3])
  }

  @Test func `a flow without an element completes`() {
    let ending = Ending()
    flow(Numbers(count: 0), through: 2, Collecting(items), ending).start()
    #expect(ending.wait())
    #expect(items.current.isEmpty)
  }

  @Test func `a flow that nobody holds runs to its end`() {
    let ending = Ending()
    do { flow(Numbers(count: 5000), through: 2, Collecting(items), ending).start() }
    #expect(ending.wait())
    #expect(items.current.count == 5000)
  }

  @Test func `two hundred flows at once all complete in order`() {
    let results = (0..<200).map { _ in (items: Shared<[Int]>([]), ending: Ending()) }
    let flows = results.map { flow(Numbers(count: 50), through: 2, Collecting($0.0), $0.1) }
    for flow in flows { flow.start() }
    for (items, ending) in results {
      #expect(ending.wait())
      #expect(items.current == Array(0..<50))
    }
  }

  // MARK: Bounds

  /// Runs a flow whose sink is stuck until all other stages are idle.
  ///
  /// - Returns: the steps that the source took until then.
  private func stepsBeforeBlockedSink(
    _ source: Numbers, buffer: Flow.Buffer, through stages: Int
  ) -> Int {
    let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    let ending = Ending()
    var sink = Collecting(items)
    sink.onItem = { _ in
      entered.signal()
      #expect(gate.waits())
    }
    flow(source, buffer: buffer, through: stages, sink, ending).start()
    #expect(entered.waits())
    // The sink is stuck, so idle stages stay idle.
    #expect(own.waits { $0.bulk.isIdle })
    let steps = source.steps.current
    for _ in 0..<source.count { gate.signal() }
    #expect(ending.wait())
    #expect(items.current == Array(0..<source.count))
    return steps
  }

  @Test func `a source stops when the channels hold their bound of elements`() {
    // The sink holds one element, and each channel at most three. A full channel takes more when half of it is
    // free.
    let steps = stepsBeforeBlockedSink(
      Numbers(count: 40), buffer: .init(elements: 3, bytes: 1 << 20), through: 2)
    #expect((7...10).contains(steps))
  }

  @Test func `a source stops when the channels hold their bound of bytes`() {
    // 100 + 100 bytes are below the bound, 300 are not.
    let steps = stepsBeforeBlockedSink(
      Numbers(count: 20, byteCount: 100), buffer: .init(elements: 1000, bytes: 201), through: 1)
    #expect((5...7).contains(steps))
  }

  @Test func `a source never emits more than the bound before the sink takes it`() {
    let source = Numbers(count: 2000)
    let (greatestLead, taken) = (Shared(0), Shared(0))
    var sink = Collecting(items)
    sink.onItem = { [steps = source.steps] _ in
      let lead =
        steps.current
        - taken.withValue {
          $0 += 1
          return $0
        }
      greatestLead.withValue { $0 = max($0, lead) }
    }
    let ending = Ending()
    flow(source, buffer: .init(elements: 2, bytes: 1 << 20), through: 1, sink, ending).start()
    #expect(ending.wait())
    // There are two channels of two. The last step of the source emits nothing.
    #expect(greatestLead.current <= 5)
  }

  // MARK: Failures

  @Test func `a failure of the source arrives after everything emitted before it`() {
    let ending = Ending()
    flow(Numbers(failsAt: 25), through: 3, Collecting(items), ending).start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 25))
    #expect(items.current == Array(0..<25))
  }

  @Test func `a failure of a stage arrives after everything emitted before it`() {
    let ending = Ending()
    let buffer = Flow.Buffer(elements: 4, bytes: 1 << 20)
    Flow.from(Numbers(), buffer: buffer, threads: own.threads)
      .through(
        Mapping { item in
          guard item.number < 9 else { throw TestFailure(number: item.number) }
          return [item]
        }, buffer: buffer
      )
      .through(Mapping { [$0] }, buffer: buffer)
      .into(Collecting(items)) { ending.complete($0) }
      .start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 9))
    #expect(items.current == Array(0..<9))
  }

  @Test func `a failure of the sink stops the source and releases every stage before completion`() {
    var source = Numbers()
    var stage = Mapping { [$0] }
    var sink = Collecting(items)
    source.life = Life(living)
    stage.life = Life(living)
    sink.life = Life(living)
    sink.onItem = { item in
      guard item.number < 3 else { throw TestFailure(number: item.number) }
    }
    // A long step, so that the flow must wait for the source when the sink fails.
    source.onStep = { if $0 > 6 { usleep(2000) } }
    let steps = source.steps
    let atCompletion = Shared<(living: Int, steps: Int)?>(nil)
    let ending = Ending { [living] in
      atCompletion.withValue { $0 = (living.current, steps.current) }
    }
    let buffer = Flow.Buffer(elements: 4, bytes: 1 << 20)
    var flow: Flow? = Flow.from(source, buffer: buffer, threads: own.threads)
      .through(stage, buffer: buffer)
      .into(sink) { ending.complete($0) }
    // The test releases its own copies.
    source.life = nil
    stage.life = nil
    sink.life = nil
    flow?.start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 3))
    #expect(items.current == [0, 1, 2])
    #expect(atCompletion.current?.living == 0)
    #expect(steps.current == atCompletion.current?.steps)
    flow = nil
    #expect(ending.count == 1)
  }

  @Test func `a sink that finishes ends the flow without a failure`() {
    var sink = Collecting(items)
    sink.finishesAfter = 4
    let ending = Ending()
    flow(Numbers(), through: 1, sink, ending).start()
    #expect(ending.wait())
    #expect(ending.failure == nil)
    #expect(items.current == [0, 1, 2, 3])
  }

  // MARK: Stopping and cancelling

  @Test func `stop ends the source early, and everything emitted before reaches the sink`() {
    var source = Numbers()
    source.farewell = -1
    let reached = DispatchSemaphore(value: 0)
    source.onStep = { if $0 == 50 { reached.signal() } }
    let ending = Ending()
    let flow = flow(source, through: 2, Collecting(items), ending)
    flow.start()
    #expect(reached.waits())
    flow.stop()
    flow.stop()
    #expect(ending.wait())
    #expect(ending.failure == nil)
    let received = items.current
    #expect(received == Array(0..<source.steps.current) + [-1])
    #expect(ending.count == 1)
  }

  @Test func `a flow that is stopped before its start completes with the source's last element`() {
    var source = Numbers()
    source.farewell = -1
    let ending = Ending()
    let flow = flow(source, through: 1, Collecting(items), ending)
    flow.stop()
    flow.start()
    #expect(ending.wait())
    #expect(items.current == [-1])
  }

  @Test func `cancel completes an endless flow once with the failure`() {
    let source = Numbers()
    let ending = Ending()
    let flow = flow(source, through: 2, Collecting(items), ending)
    flow.start()
    flow.cancel(TestFailure(number: 1))
    flow.cancel(TestFailure(number: 2))
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 1))
    let steps = source.steps.current
    flow.cancel(TestFailure(number: 3))
    flow.stop()
    #expect(source.steps.current == steps)
    #expect(ending.count == 1)
  }

  /// Live stages with long turns also use the share of the bulk stages: two threads more in all.
  @Test(arguments: [(Flow.Kind.live, 6), (.bulk, 4)])
  func `many flows at work share a few threads`(kind: Flow.Kind, threads: Int) {
    let atWork = AtWork()
    let endings = (0..<64).map { _ in Ending() }
    for ending in endings {
      var source = Numbers(count: 10)
      source.onStep = { _ in atWork.during { usleep(50) } }
      Flow.from(source, buffer: .init(elements: 2, bytes: 100), as: kind, threads: own.threads)
        .into(Collecting(items)) { ending.complete($0) }
        .start()
    }
    for ending in endings { #expect(ending.wait()) }
    #expect(items.current.count == 640)
    #expect(atWork.most <= threads)
  }

  @Test func `cancel drops the elements that wait for a slow sink`() {
    let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
    var sink = Collecting(items)
    sink.onItem = { _ in
      entered.signal()
      #expect(gate.waits())
    }
    let ending = Ending()
    let flow = flow(Numbers(), through: 1, sink, ending)
    flow.start()
    #expect(entered.waits())
    flow.cancel(TestFailure(number: 1))
    for _ in 0..<mostStepsOfARun { gate.signal() }
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 1))
    #expect(items.current.count <= mostStepsOfARun)
  }

  @Test func `a flow that is cancelled before its start completes with the failure`() {
    let ending = Ending()
    let flow = flow(Numbers(), through: 1, Collecting(items), ending)
    flow.cancel(TestFailure(number: 1))
    flow.start()
    #expect(ending.wait())
    #expect(ending.failure == TestFailure(number: 1))
    #expect(items.current.isEmpty)
  }
}

/// Emits every element several times, once a step.
private struct Repeating: Stage {
  let times: Int
  private var item: Item?
  private var left = 0

  init(times: Int) { self.times = times }

  mutating func step(_ signal: Signal<Item>, emit: (consuming Item) -> Void) throws -> Progress {
    switch signal {
    case .element(let element):
      item = element
      left = times
    case .resume: break
    case .end: return .finished
    }
    guard let item else { return .next }
    emit(item)
    left -= 1
    return left > 0 ? .again : .next
  }
}
