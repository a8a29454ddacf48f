import Testing

@testable import Synthetic

@Suite struct RecordTextTests {
  private func decimal(_ number: Int64, _ decimals: Int) -> String {
    var text: [UInt8] = []
    appendDecimal(number, decimals: decimals, to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  private func time(_ minutes: Int) -> String {
    var text: [UInt8] = []
    appendTime(minutes: minutes, to: &text)
    return String(decoding: text, as: UTF8.self)
  }

  @Test func `decimals are spelled with a leading zero, a sign and all their digits`() {
    #expect(decimal(0, 3) == "0.000")
    #expect(decimal(5, 3) == "0.005")
    #expect(decimal(-5, 3) == "-0.005")
    #expect(decimal(1000, 3) == "1.000")
    #expect(decimal(-123_456, 2) == "-1234.56")
    #expect(decimal(0, 0) == "0")
    #expect(decimal(-70, 0) == "-70")
    #expect(decimal(.min, 9) == "-9223372036.854775808")
    #expect(decimal(.max, 0) == "9223372036854775807")
  }

  @Test func `times follow the Gregorian calendar`() {
    #expect(time(0) == "2025-01-01T00:00:00Z")
    #expect(time(61) == "2025-01-01T01:01:00Z")
    #expect(time(58 * recordsPerDay + 1439) == "2025-02-28T23:59:00Z")
    #expect(time(59 * recordsPerDay) == "2025-03-01T00:00:00Z")
    // 2028 is a leap year; 2100 is none.
    #expect(time((3 * 365 + 59) * recordsPerDay) == "2028-02-29T00:00:00Z")
    #expect(time(27_451 * recordsPerDay) == "2100-02-28T00:00:00Z")
    #expect(time(27_452 * recordsPerDay) == "2100-03-01T00:00:00Z")
    #expect(time(2_920_000 * recordsPerDay) == "10019-09-10T00:00:00Z")
  }

  @Test func `SplitMix64 gives the published numbers`() {
    // Seed 1234567 of the reference implementation.
    var random = SplitMix64(seed: 1_234_567)
    #expect(random.next() == 6_457_827_717_110_365_317)
    #expect(random.next() == 3_203_168_211_198_807_973)
    #expect(random.next() == 9_817_491_932_198_370_423)
  }

  @Test func `normal numbers have mean 0, deviation 1 and the normal kurtosis`() {
    var random = SplitMix64(seed: 3)
    let values = (0..<200_000).map { _ in random.nextNormal() }
    let count = Double(values.count)
    let mean = values.reduce(0, +) / count
    let variance = values.reduce(0) { $0 + $1 * $1 } / count
    let fourth = values.reduce(0) { $0 + $1 * $1 * $1 * $1 } / count
    #expect(abs(mean) < 0.01)
    #expect(abs(variance - 1) < 0.015)
    // Irwin–Hall of 8 has 3 − 6/(5 · 8) = 2.85.
    #expect(abs(fourth - 2.85) < 0.08)
  }
}
