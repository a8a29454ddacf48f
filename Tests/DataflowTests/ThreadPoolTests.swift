import Dispatch
import Glibc
import Testing

@testable import Dataflow

@Suite struct ThreadPoolTests {
  private let log = Shared<[String]>([])

  private func note(_ text: String) { log.withValue { $0.append(text) } }

  /// Runs `body` with a pool whose threads end after it.
  private func withPool(threads: Int, _ body: (ThreadPool) throws -> Void) throws {
    let pool = ThreadPool("test", count: threads)
    try pool.start()
    defer { pool.stop() }
    try body(pool)
  }

  @Test func `the jobs of a share that may run one at a time run in order`() throws {
    try withPool(threads: 3) { pool in
      let share = pool.share(most: 1)
      let done = DispatchSemaphore(value: 0)
      let numbers = Shared<[Int]>([])
      for number in 0..<1000 {
        share.run {
          numbers.withValue { $0.append(number) }
          if number == 999 { done.signal() }
        }
      }
      #expect(done.waits())
      #expect(numbers.current == Array(0..<1000))
    }
  }

  @Test func `of the threads that sleep, the one that ran last is woken`() throws {
    try withPool(threads: 3) { pool in
      let share = pool.share(most: 3)
      let threads = Shared<[pthread_t]>([])
      // All threads have run before any is asked for.
      let (entered, gate) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      for _ in 1...3 {
        share.run {
          entered.signal()
          #expect(gate.waits())
        }
      }
      for _ in 1...3 { #expect(entered.waits()) }
      for _ in 1...3 { gate.signal() }
      for _ in 1...20 {
        #expect(holdsByTheDeadline { share.isIdle })
        share.run { threads.withValue { $0.append(pthread_self()) } }
      }
      #expect(holdsByTheDeadline { share.isIdle })
      #expect(threads.current.count == 20)
      #expect(Set(threads.current).count == 1)
    }
  }

  @Test func `no share has more jobs running than its most, and the pool no more than its threads`()
    throws
  {
    try withPool(threads: 3) { pool in
      let (first, second) = (pool.share(most: 2), pool.share(most: 3))
      let (firstAtWork, atWork) = (AtWork(), AtWork())
      let done = DispatchGroup()
      for _ in 0..<500 {
        done.enter()
        first.run {
          atWork.during { firstAtWork.during {} }
          done.leave()
        }
        done.enter()
        second.run {
          atWork.during {}
          done.leave()
        }
      }
      #expect(done.wait(timeout: .now() + .seconds(Ending.deadlineSeconds)) == .success)
      #expect(firstAtWork.most <= 2)
      #expect(atWork.most <= 3)
    }
  }

  @Test func `a share whose running jobs are stuck stops no other`() throws {
    try withPool(threads: 3) { pool in
      let (stuck, other) = (pool.share(most: 2), pool.share(most: 2))
      let (gate, entered, done) = (
        DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
      )
      for _ in 0..<100 {
        stuck.run {
          entered.signal()
          #expect(gate.waits())
        }
      }
      for _ in 0..<2 { #expect(entered.waits()) }
      for _ in 0..<100 { other.run { done.signal() } }
      for _ in 0..<100 { #expect(done.waits()) }
      #expect(!stuck.isIdle)
      for _ in 0..<100 { gate.signal() }
      #expect(holdsByTheDeadline { stuck.isIdle && other.isIdle })
    }
  }

  @Test func `shares take turns, whatever one of them has queued`() throws {
    try withPool(threads: 1) { pool in
      let shares = (0..<3).map { _ in pool.share(most: 1) }
      let (gate, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      shares[0].run { #expect(gate.waits()) }
      for (number, count) in [(0, 4), (1, 2), (2, 2)] {
        for job in 0..<count { shares[number].run { note("\(number)\(job)") } }
      }
      shares[0].run { done.signal() }
      gate.signal()
      #expect(done.waits())
      #expect(log.current == ["10", "20", "00", "11", "21", "01", "02", "03"])
    }
  }

  @Test func `the share with the fewest running jobs goes first`() throws {
    try withPool(threads: 2) { pool in
      let (large, small) = (pool.share(most: 2), pool.share(most: 2))
      let (first, second) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      let (entered, done) = (DispatchSemaphore(value: 0), DispatchSemaphore(value: 0))
      for gate in [first, second] {
        large.run {
          entered.signal()
          #expect(gate.waits())
        }
      }
      for _ in 0..<2 { #expect(entered.waits()) }
      large.run {
        note("large")
        done.signal()
      }
      small.run { note("small") }
      first.signal()
      #expect(done.waits())
      #expect(log.current == ["small", "large"])
      second.signal()
    }
  }

  @Test func `a job is released before the pool's lock is taken again`() throws {
    try withPool(threads: 1) { pool in
      let share = pool.share(most: 1)
      let done = DispatchSemaphore(value: 0)
      // Its release queues another job, which needs the lock.
      share.run { [atEnd = AtEnd { share.run { done.signal() } }] in _ = atEnd }
      #expect(done.waits())
    }
  }

  @Test func `a stopped pool runs what is queued and then lets its threads end`() throws {
    let pool = ThreadPool("test", count: 2)
    let count = Shared(0)
    weak let released = pool
    try pool.start()
    let share = pool.share(most: 2)
    for _ in 0..<100 { share.run { count.withValue { $0 += 1 } } }
    pool.stop()
    #expect(holdsByTheDeadline { count.current == 100 })
    #expect(released != nil)
  }
}

/// Does something when it is released.
private final class AtEnd: Sendable {
  private let body: @Sendable () -> Void

  init(_ body: @escaping @Sendable () -> Void) { self.body = body }

  deinit { body() }
}
