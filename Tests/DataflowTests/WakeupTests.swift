import Dispatch
import Testing

@testable import Dataflow

@Suite struct WakeupTests {
  @Test func `signals before a wait are one, and end it`() {
    let wakeup = Wakeup()
    wakeup.signal()
    wakeup.signal()
    #expect(wakeup.wait())
    #expect(!wakeup.wait(seconds: 0))
  }

  @Test func `a wait ends with its time`() {
    let start = ContinuousClock.now
    #expect(!Wakeup().wait(seconds: 0.02))
    #expect(ContinuousClock.now - start >= .milliseconds(20))
    #expect(!Wakeup().wait(seconds: -1))
  }

  @Test func `a signal of another thread ends a wait`() {
    let wakeup = Wakeup()
    DispatchQueue(label: "signals").asyncAfter(deadline: .now() + 0.01) { wakeup.signal() }
    #expect(wakeup.wait(seconds: 1e12))
  }
}
