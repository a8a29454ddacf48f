import Dispatch
import Testing

@testable import Dataflow

/// Stages that may wait for a disk.
@Suite struct DiskTests {
  private let own = TestThreads(processors: 1)
  private let items = Shared<[Int]>([])
  private let buffer = Flow.Buffer(elements: 2, bytes: 100)

  /// A flow whose last stage takes a step on a thread of `disk` for each item, in which it calls `onDisk`.
  private func flow(
    count: Int, disk: Disk, into items: Shared<[Int]>, _ ending: Ending,
    onDisk: @escaping @Sendable () -> Void
  ) -> Flow {
    Flow.from(Numbers(count: count), buffer: buffer, as: .live, threads: own.threads)
      .into(Storing(items, disk: disk, onDisk: onDisk)) { ending.complete($0) }
  }

  @Test func `a step that asks for a disk's thread is taken on one, the next one is not`() {
    let names = Shared<[String]>([])
    let ending = Ending()
    let sink = Storing(
      items, disk: .unknown, onStep: { names.withValue { $0.append(threadName()) } })
    Flow.from(Numbers(count: 2), buffer: buffer, as: .live, threads: own.threads)
      .into(sink) { ending.complete($0) }
      .start()
    #expect(ending.wait())
    #expect(items.current == [0, 1])
    #expect(names.current == ["stage", "disk", "stage", "disk", "stage"])
  }

  @Test func `a disk that hangs stops the streams that use it alone`() {
    let gate = DispatchSemaphore(value: 0)
    let hung = (0..<50).map { _ in (items: Shared<[Int]>([]), ending: Ending()) }
    for (items, ending) in hung {
      flow(count: 1, disk: Disk(device: 1), into: items, ending) { #expect(gate.waits()) }.start()
    }
    for _ in 0..<20 {
      let ending = Ending()
      flow(count: 3, disk: Disk(device: 2), into: items, ending) {}.start()
      #expect(ending.wait())
    }
    #expect(items.current.count == 60)
    #expect(hung.allSatisfy { $0.items.current.isEmpty })
    for _ in hung { gate.signal() }
    for (_, ending) in hung { #expect(ending.wait()) }
  }

  @Test func `a source that waits for a disk is stopped and cancelled all the same`() {
    for stops in [true, false] {
      let (ending, gate, entered) = (
        Ending(), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
      )
      let disk = Disk(device: 3)
      // Both threads of the disk are taken.
      for _ in 0..<2 {
        own.threads.share(of: disk).run {
          entered.signal()
          #expect(gate.waits())
        }
      }
      for _ in 0..<2 { #expect(entered.waits()) }
      let flow = Flow.from(Reading(disk: disk), buffer: buffer, threads: own.threads)
        .into(Collecting(items)) { ending.complete($0) }
      flow.start()
      #expect(own.waits { $0.bulk.isIdle })
      if stops { flow.stop() } else { flow.cancel(TestFailure(number: 1)) }
      for _ in 0..<2 { gate.signal() }
      #expect(ending.wait())
      #expect(ending.failure == (stops ? nil : TestFailure(number: 1)))
    }
  }

  @Test func `a source takes no disk step while there is no room for what it may emit`() {
    let (ending, gate, entered) = (
      Ending(), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
    )
    var sink = Collecting(items)
    sink.onItem = { _ in
      entered.signal()
      #expect(gate.waits())
    }
    let steps = Shared(0)
    Flow.from(
      Reading(disk: Disk(device: 4), count: 20, steps: steps), buffer: buffer, threads: own.threads
    )
    .into(sink, on: .unknown) { ending.complete($0) }
    .start()
    #expect(entered.waits())
    #expect(own.waits { $0.bulk.isIdle && $0.share(of: Disk(device: 4)).isIdle })
    // One with the sink, and two in the channel.
    #expect((2...3).contains(steps.current))
    for _ in 0..<20 { gate.signal() }
    #expect(ending.wait())
    #expect(items.current == Array(0..<20))
  }
}

/// Keeps each item in a step on a disk's thread.
private struct Storing: Stage {
  let items: Shared<[Int]>
  let disk: Disk
  let onStep: @Sendable () -> Void
  let onDisk: @Sendable () -> Void
  private var item: Item?

  init(
    _ items: Shared<[Int]>, disk: Disk, onStep: @escaping @Sendable () -> Void = {},
    onDisk: @escaping @Sendable () -> Void = {}
  ) {
    self.items = items
    self.disk = disk
    self.onStep = onStep
    self.onDisk = onDisk
  }

  mutating func step(_ signal: Signal<Item>, emit: (consuming Nothing) -> Void) -> Progress {
    onStep()
    switch signal {
    case .element(let item):
      self.item = item
      return .waits(Awaiting(threadOf: disk))
    case .resume:
      onDisk()
      if let item = item.take() { items.withValue { $0.append(item.number) } }
      return .next
    case .end:
      return .finished
    }
  }
}

/// Emits an item for each step on a disk's thread.
private struct Reading: Stage {
  let disk: Disk
  var count = Int.max
  var steps = Shared(0)
  private var next = 0
  private var hasAsked = false

  init(disk: Disk, count: Int = .max, steps: Shared<Int> = Shared(0)) {
    self.disk = disk
    self.count = count
    self.steps = steps
  }

  mutating func step(_ signal: Signal<Nothing>, emit: (consuming Item) -> Void) -> Progress {
    if case .end = signal { return .finished }
    guard hasAsked else {
      hasAsked = true
      return next < count ? .waits(Awaiting(threadOf: disk)) : .finished
    }
    hasAsked = false
    steps.withValue { $0 += 1 }
    emit(Item(number: next))
    next += 1
    return .again
  }
}
