import Foundation
import Records
import TestSupport
import Testing

@testable import Codecs

/// Texts of event times.
@Suite struct TimeTextTests {
  private func nanoseconds(_ text: String, _ format: TimeFormat = .iso8601) -> Int64? {
    let bytes = Array(text.utf8)
    return bytes.withUnsafeBufferPointer { TimeText.nanoseconds($0, format) }
  }

  @Test(arguments: [
    ("1970-01-01", 0), ("1970-01-01T00:00Z", 0), ("1970-01-01 00:00:01.5", 1_500_000_000),
    ("1969-12-31T23:59:59.999999999Z", -1), ("2013-01-01T06:00:00Z", 1_357_020_000_000_000_000),
    ("2013-01-01T06:00:00", 1_357_020_000_000_000_000),
    ("2013-01-01T08:00:00+02:00", 1_357_020_000_000_000_000),
    ("2013-01-01t00:30:00-0530", 1_357_020_000_000_000_000),
    ("2013-01-01T07:00:00+01", 1_357_020_000_000_000_000),
    ("2013-01-01T06:00:00,0000000019Z", 1_357_020_000_000_000_001),
    ("2000-02-29T00:00:00Z", 951_782_400_000_000_000),
    ("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000),
  ])
  func `dates and times of ISO 8601 are read, UTC without an offset`(text: String, expected: Int64)
  {
    #expect(nanoseconds(text) == expected)
  }

  @Test(arguments: [
    "", "2013", "2013-13-01", "2013-02-29", "1900-02-29", "2013-00-10", "2013-01-32",
    "2013-1-1", "2013-01-01T", "2013-01-01T24:00", "2013-01-01T06", "2013-01-01T06:60:00Z",
    "2013-01-01T06:00:61Z", "2013-01-01T06:00:00.Z", "2013-01-01T06:00:00+",
    "2013-01-01T06:00:00+24",
    "2013-01-01T06:00:00Zx", "2013-01-01Z", " 2013-01-01", "9999-01-01", "0001-01-01", "1357020000",
  ])
  func `other texts are no times`(text: String) {
    #expect(nanoseconds(text) == nil)
  }

  @Test func `the calendar is that of the C library`() {
    var random = SeededGenerator(seed: testSeed)
    for _ in 0..<2000 {
      let seconds = Int.random(in: -8_900_000_000...8_900_000_000, using: &random)
      var time = time_t(seconds)
      var parts = tm()
      gmtime_r(&time, &parts)
      let text = EventTime.text(nanoseconds: Int64(seconds) * 1_000_000_000)
      func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
      #expect(
        text
          == "\(parts.tm_year + 1900)-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
          + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))Z")
      #expect(nanoseconds(text) == Int64(seconds) * 1_000_000_000)
    }
  }

  @Test func `numbers since 1970 are read in their unit, to the nanosecond`() {
    #expect(nanoseconds("1357020000", .seconds) == 1_357_020_000_000_000_000)
    #expect(nanoseconds("1357020000.1234567891", .seconds) == 1_357_020_000_123_456_789)
    #expect(nanoseconds("-1.5", .seconds) == -1_500_000_000)
    #expect(nanoseconds("1357020000123", .milliseconds) == 1_357_020_000_123_000_000)
    #expect(nanoseconds("1357020000123.5", .milliseconds) == 1_357_020_000_123_500_000)
    #expect(nanoseconds("1357020000123456", .microseconds) == 1_357_020_000_123_456_000)
    #expect(nanoseconds("1357020000123456789", .nanoseconds) == 1_357_020_000_123_456_789)
    #expect(nanoseconds("1.35702e+09", .seconds) == 1_357_020_000_000_000_000)
    for text in ["", "-", "1.", "1x", "nan", "inf", "1e300", "99999999999", "2013-01-01"] {
      #expect(nanoseconds(text, .seconds) == nil, "\(text)")
    }
    #expect(TimeText.nanoseconds(1_357_020_000.25, .seconds) == 1_357_020_000_250_000_000)
    #expect(TimeText.nanoseconds(-0.5, .seconds) == -500_000_000)
    #expect(TimeText.nanoseconds(.nan, .seconds) == nil)
    #expect(TimeText.nanoseconds(1e30, .nanoseconds) == nil)
    #expect(TimeText.nanoseconds(1, .iso8601) == nil)
    // Just within what an Int64 holds, and out of what the state does.
    #expect(TimeText.nanoseconds(-9_223_372_036.8, .seconds) == nil)
    #expect(nanoseconds("-9223372036.8e0", .seconds) == nil)
    #expect(nanoseconds("9007199254e0", .seconds) == 9_007_199_254_000_000_000)
  }
}
