import Dispatch
import Testing

@testable import Dataflow

@Suite struct SerialQueueTests {
  private let own = TestThreads()

  @Test
  func `jobs from many threads run one at a time, in the order in which each thread gave them`() {
    let queue = SerialQueue(on: own.threads.live)
    let (atWork, done) = (AtWork(), DispatchGroup())
    let numbers = (0..<4).map { _ in Shared<[Int]>([]) }
    for given in numbers {
      done.enter()
      own.threads.bulk.run {
        for number in 0..<500 {
          queue.async {
            atWork.during { given.withValue { $0.append(number) } }
            if number == 499 { done.leave() }
          }
        }
      }
    }
    #expect(done.wait(timeout: .now() + .seconds(Ending.deadlineSeconds)) == .success)
    #expect(atWork.most == 1)
    for given in numbers { #expect(given.current == Array(0..<500)) }
  }

  @Test func `a job for another share keeps its place in the order`() {
    let queue = SerialQueue(on: own.threads.live)
    let disk = own.threads.share(of: .unknown)
    let (log, done) = (Shared<[Int]>([]), DispatchSemaphore(value: 0))
    for number in 0..<100 {
      queue.async(on: number.isMultiple(of: 3) ? disk : nil) {
        log.withValue { $0.append(number) }
        if number == 99 { done.signal() }
      }
    }
    #expect(done.waits())
    #expect(log.current == Array(0..<100))
  }

  @Test func `a job runs on a thread of the share that it was given for`() {
    let queue = SerialQueue(on: own.threads.live)
    let disk = own.threads.share(of: .unknown)
    let (gate, entered, done) = (
      DispatchSemaphore(value: 0), DispatchSemaphore(value: 0), DispatchSemaphore(value: 0)
    )
    // Both threads of the disk are stuck.
    for _ in 0..<2 {
      disk.run {
        entered.signal()
        #expect(gate.waits())
      }
    }
    for _ in 0..<2 { #expect(entered.waits()) }
    queue.async { done.signal() }
    queue.async(on: disk) { done.signal() }
    #expect(done.waits())
    #expect(own.waits { $0.live.isIdle })
    #expect(done.wait(timeout: .now()) == .timedOut)
    for _ in 0..<2 { gate.signal() }
    #expect(done.waits())
  }

  @Test func `a queue with many jobs lets others have their turn`() {
    let one = TestThreads(processors: 1)
    let share = one.threads.bulk
    let (first, second) = (SerialQueue(on: share), SerialQueue(on: share))
    let (log, done) = (Shared<[String]>([]), DispatchSemaphore(value: 0))
    let gate = DispatchSemaphore(value: 0)
    share.run { #expect(gate.waits()) }
    first.async {
      // Comes after the job of the other queue, which was queued before.
      first.async {
        log.withValue { $0.append("again") }
        done.signal()
      }
      log.withValue { $0.append("first") }
    }
    second.async { log.withValue { $0.append("second") } }
    gate.signal()
    #expect(done.waits())
    #expect(log.current == ["first", "second", "again"])
  }
}
