import CNumberOracle
import Foundation
import Testing

@testable import Codecs

@Suite struct ShortestTextTests {
  private static func matches(_ value: Float) -> Bool {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 64) { texts in
      guard let ours = texts.baseAddress else { return false }
      let theirs = UnsafeMutableRawPointer(ours + 32).assumingMemoryBound(to: CChar.self)
      let count = value.writeText(to: ours)
      return count == number_oracle_format_float(value, theirs) && memcmp(ours, theirs, count) == 0
    }
  }

  /// One float in a thousand or so, of every sign and exponent; one in thirty for the full dose.
  @Test func `floats are written as the standard library writes them`() {
    let isFull = ProcessInfo.processInfo.environment["EVENKEEL_FULL"] != nil
    let first = UInt32.random(in: 0..<31)
    var differing: [Float] = []
    for bits in stride(from: UInt64(first), to: 1 << 32, by: isFull ? 31 : 1013) {
      let value = Float(bitPattern: UInt32(bits))
      if !Self.matches(value), differing.count < 9 { differing.append(value) }
    }
    #expect(differing == [], "from bits \(first)")
  }

  @Test func `short and round numbers are written as the standard library writes them`() {
    var differing: [Float] = []
    for index in -20_000...20_000 {
      for unit in [1e-7, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 0.125, 1, 1000, 16_384] as [Float] {
        let value = Float(index) * unit
        for neighbour in [value, value.nextUp] where !Self.matches(neighbour) {
          if differing.count < 9 { differing.append(neighbour) }
        }
      }
    }
    #expect(differing == [])
  }
}
