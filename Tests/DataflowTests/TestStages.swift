import Dispatch
import Glibc
import Testing

@testable import Dataflow

/// A numbered element of a size of its own.
struct Item: Sized, Sendable, Equatable {
  var number: Int
  var byteCount = 1
}

struct TestFailure: Error, Equatable {
  var number: Int
}

/// A value that many threads change, one at a time.
final class Shared<Value: Sendable>: @unchecked Sendable {
  // @unchecked because `value` is only touched with `lock` held.
  private let lock = Lock()
  private var value: Value

  init(_ value: Value) { self.value = value }

  func withValue<Result>(_ body: (inout Value) -> Result) -> Result {
    lock.withLock { body(&value) }
  }

  var current: Value { withValue { $0 } }
}

/// Threads of a test's own, so that a stage may block one without stopping another test.
final class TestThreads: Sendable {
  let threads: StageThreads

  init(processors: Int = 4) {
    threads = StageThreads(processors: processors)
    do {
      try threads.start()
    } catch {
      Issue.record(error)
    }
  }

  deinit { threads.stop() }

  /// Whether `condition` holds by the deadline.
  func waits(until condition: (StageThreads) -> Bool) -> Bool {
    holdsByTheDeadline { condition(threads) }
  }
}

/// The name of the calling thread, as it was given to the kernel.
func threadName() -> String {
  let file = open("/proc/thread-self/comm", O_RDONLY)
  defer { close(file) }
  var name = [UInt8](repeating: 0, count: 16)
  let count = max(0, read(file, &name, name.count))
  return String(decoding: name.prefix(count).prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
}

/// Counts how many are at work at once.
struct AtWork: Sendable {
  private let counts = Shared((now: 0, most: 0))

  func during(_ work: () -> Void) {
    counts.withValue { $0 = ($0.now + 1, max($0.most, $0.now + 1)) }
    work()
    counts.withValue { $0.now -= 1 }
  }

  var most: Int { counts.current.most }
}

/// Counts itself out when it is released, and with it the stage that holds it.
final class Life: Sendable {
  private let living: Shared<Int>

  init(_ living: Shared<Int>) {
    self.living = living
    living.withValue { $0 += 1 }
  }

  deinit { living.withValue { $0 -= 1 } }
}

/// Emits 0, 1, 2, … one a step.
struct Numbers: Stage {
  var count = Int.max
  var byteCount = 1
  var failsAt: Int?
  /// Emitted when the source is stopped.
  var farewell: Int?
  var life: Life?
  var steps = Shared(0)
  var onStep: @Sendable (Int) -> Void = { _ in }
  private var next = 0

  init(count: Int = .max, byteCount: Int = 1, failsAt: Int? = nil) {
    self.count = count
    self.byteCount = byteCount
    self.failsAt = failsAt
  }

  mutating func step(
    _ signal: Signal<Nothing>, emit: (consuming Item) -> Void
  ) throws -> Progress {
    if case .end = signal {
      if let farewell { emit(Item(number: farewell)) }
      return .finished
    }
    steps.withValue { $0 += 1 }
    onStep(next)
    if next == failsAt { throw TestFailure(number: next) }
    guard next < count else { return .finished }
    emit(Item(number: next, byteCount: byteCount))
    next += 1
    return .again
  }
}

/// Turns every element into others, and emits some more at the end.
struct Mapping: Stage {
  var life: Life?
  var last: [Item] = []
  let transform: @Sendable (Item) throws -> [Item]

  init(_ transform: @escaping @Sendable (Item) throws -> [Item]) {
    self.transform = transform
  }

  mutating func step(_ signal: Signal<Item>, emit: (consuming Item) -> Void) throws -> Progress {
    switch signal {
    case .element(let item):
      for result in try transform(item) { emit(result) }
    case .resume: break
    case .end: for item in last { emit(item) }
    }
    return .next
  }
}

/// Keeps what comes; `onItem` may throw or wait.
struct Collecting: Stage {
  var life: Life?
  let items: Shared<[Int]>
  var finishesAfter = Int.max
  var onItem: @Sendable (Item) throws -> Void = { _ in }

  init(_ items: Shared<[Int]>) { self.items = items }

  mutating func step(_ signal: Signal<Item>, emit: (consuming Nothing) -> Void) throws -> Progress {
    guard case .element(let item) = signal else { return .next }
    try onItem(item)
    let count = items.withValue {
      $0.append(item.number)
      return $0.count
    }
    return count == finishesAfter ? .finished : .next
  }
}

/// Works on an element in a function of the test's.
struct Working: Worker {
  let transform: @Sendable (Item) throws -> Item

  init(_ transform: @escaping @Sendable (Item) throws -> Item) {
    self.transform = transform
  }

  mutating func work(_ input: consuming Item) throws -> Item {
    try transform(copy input)
  }
}

/// Whether `condition` holds by the deadline; it is asked again and again.
func holdsByTheDeadline(_ condition: () -> Bool) -> Bool {
  for _ in 0..<Ending.deadlineSeconds * 1000 {
    if condition() { return true }
    usleep(1000)
  }
  return condition()
}

/// How a flow ended. It waits with a deadline that only a hang reaches.
final class Ending: Sendable {
  static let deadlineSeconds = 120
  private let calls = Shared<[(any Error)?]>([])
  private let semaphore = DispatchSemaphore(value: 0)
  private let beforehand: @Sendable () -> Void

  /// - Parameter beforehand: called in the completion.
  init(_ beforehand: @escaping @Sendable () -> Void = {}) { self.beforehand = beforehand }

  func complete(_ failure: (any Error)?) {
    beforehand()
    calls.withValue { $0.append(failure) }
    semaphore.signal()
  }

  /// Whether the flow has completed by the deadline.
  func wait() -> Bool { semaphore.waits() }

  var failure: TestFailure? { calls.current.first.flatMap { $0 as? TestFailure } }
  var count: Int { calls.withValue { $0.count } }
}

extension DispatchSemaphore {
  /// Whether it was signalled by the deadline.
  func waits() -> Bool { wait(timeout: .now() + .seconds(Ending.deadlineSeconds)) == .success }

  /// Whether it is not signalled for a moment. A busy machine may hide a mistake in that time; it cannot make one.
  func staysQuiet() -> Bool { wait(timeout: .now() + .milliseconds(50)) == .timedOut }
}
