import Testing

@testable import Codecs

/// The text of the scalar types of Arrow.
struct ArrowSpellingTests {
  private func text(_ append: (ByteBuffer) -> Void) -> String {
    let output = ByteBuffer()
    append(output)
    return String(decoding: output.readable, as: UTF8.self)
  }

  @Test(arguments: [
    (0, "1970-01-01"), (-1, "1969-12-31"), (11_016, "2000-02-29"), (11_017, "2000-03-01"),
    (20_784, "2026-11-27"), (-719_528, "0000-01-01"), (-719_529, "-0001-12-31"),
    (2_932_896, "9999-12-31"), (2_932_897, "+10000-01-01"), (-25_508, "1900-03-01"),
    (-25_509, "1900-02-28"),
  ])
  func `days are dates`(days: Int, expected: String) {
    #expect(text { $0.appendDate(days: days) } == expected)
  }

  @Test func `every day around three ends of centuries follows the day before`() {
    // 1899 to 1901, 1999 to 2001, 2099 to 2101.
    for (first, begin) in [(-25_932, 1899), (10_592, 1999), (47_117, 2099)] {
      follow(from: first, year: begin)
    }
  }

  private func follow(from first: Int, year begin: Int) {
    var (year, month, day) = (begin, 1, 1)
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    for days in first..<first + 3 * 365 {
      let expected = "\(year)-\(month < 10 ? "0" : "")\(month)-\(day < 10 ? "0" : "")\(day)"
      let found = text { $0.appendDate(days: days) }
      guard found == expected else {
        Issue.record("day \(days): expected \(expected), found \(found)")
        return
      }
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      day += 1
      if day > lengths[month - 1] + (month == 2 && isLeap ? 1 : 0) { (month, day) = (month + 1, 1) }
      if month > 12 { (year, month) = (year + 1, 1) }
    }
  }

  @Test(arguments: [
    (1_500, ArrowType.Unit.milliseconds, nil, "1970-01-01T00:00:01.500"),
    (-1, .milliseconds, nil, "1969-12-31T23:59:59.999"),
    (-1, .nanoseconds, "UTC", "1969-12-31T23:59:59.999999999Z"),
    (0, .seconds, "+02:00", "1970-01-01T02:00:00+02:00"),
    (0, .seconds, "-03:30", "1969-12-31T20:30:00-03:30"),
    (0, .microseconds, "Europe/Berlin", "1970-01-01T00:00:00.000000Z"),
    (0, .seconds, "+99:00", "1970-01-01T00:00:00Z"), (0, .seconds, "+é:00", "1970-01-01T00:00:00Z"),
  ])
  func `timestamps are those of ISO 8601`(
    value: Int, unit: ArrowType.Unit, zone: String?, expected: String
  ) {
    #expect(text { $0.appendTimestamp(value, unit, zone: zone) } == expected)
  }

  @Test func `times at the ends of their range do not trap`() {
    for value in [Int.min, Int.min + 1, Int.max, Int.max - 86_400] {
      for unit in [ArrowType.Unit.seconds, .milliseconds, .nanoseconds] {
        #expect(!text { $0.appendTimestamp(value, unit, zone: "+23:59") }.isEmpty)
      }
    }
    #expect(text { $0.appendTime(0, .nanoseconds) } == "00:00:00.000000000")
    #expect(text { $0.appendTime(86_399, .seconds) } == "23:59:59")
    #expect(text { $0.appendTime(45_296_007, .milliseconds) } == "12:34:56.007")
  }

  @Test(arguments: [
    (ArrowType.Unit.seconds, 32, 1), (.milliseconds, 32, 1000), (.nanoseconds, 64, 1_000_000_000),
  ])
  func `a time beyond its day has no text, and a null needs none`(
    unit: ArrowType.Unit, bits: Int, perSecond: Int
  ) throws {
    let times = [0, 86_399 * perSecond, 86_400 * perSecond, -1, 86_400 * perSecond, 7 * perSecond]
    let column = ArrowScalarColumn(
      name: "w", type: .time(unit, bits: bits), place: ArrowPlace(node: 0, buffer: 0, views: 0),
      parents: [])
    let array = try ArrowScalarArray(
      column, records: times.count, validity: [0b10_1111], parents: [],
      values: times.flatMap { time in
        withUnsafeBytes(of: time.littleEndian) { Array($0.prefix(bits / 8)) }
      }, data: [])
    #expect((0..<7).map { array.rowWithoutText(from: $0) } == [2, 2, 2, 3, nil, nil, nil])
    #expect(
      array.fault(of: 2)?.description
        == "expected a time of 0 to 24 h, less than \(86_400 * perSecond), in column 'w', found \(86_400 * perSecond)"
    )
    #expect(array.fault(of: 3)?.found == "-1")
    #expect([0, 1, 4, 5].allSatisfy { array.fault(of: $0) == nil })
    var words = ArrowWordList()
    words.append(array, count: 3)
    words.append(array, count: 6)
    #expect(
      (0..<9).map { words.fault(of: $0) != nil } == [0, 0, 1, 0, 0, 1, 1, 0, 0].map { $0 == 1 })
  }

  @Test(arguments: [
    (0, 2, "0.00"), (1, 2, "0.01"), (-1, 2, "-0.01"), (12_345, 2, "123.45"), (-12_345, 0, "-12345"),
    (12, -3, "12000"), (0, -3, "0"), (Int.max, 18, "9.223372036854775807"),
    (Int.min, 0, "-9223372036854775808"), (100, 3, "0.100"),
  ])
  func `decimals are exact`(value: Int, scale: Int, expected: String) {
    for width in [8, 16, 32] {
      var bytes = withUnsafeBytes(of: Int64(value)) { Array($0) }
      bytes += [UInt8](repeating: value < 0 ? 0xFF : 0, count: width - 8)
      let text = DecimalText.text(littleEndian: bytes[...], scale: scale)
      #expect(String(decoding: text, as: UTF8.self) == expected)
    }
  }

  @Test func `the widest decimals are exact`() {
    // Computed with Python: -(2 ** 255), and 2 ** 255 - 1.
    let least = [UInt8](repeating: 0, count: 31) + [0x80]
    #expect(
      String(decoding: DecimalText.text(littleEndian: least[...], scale: 0), as: UTF8.self)
        == "-57896044618658097711785492504343953926634992332820282019728792003956564819968")
    let greatest = [UInt8](repeating: 0xFF, count: 31) + [0x7F]
    #expect(
      String(decoding: DecimalText.text(littleEndian: greatest[...], scale: 76), as: UTF8.self)
        == "5.7896044618658097711785492504343953926634992332820282019728792003956564819967")
  }

  @Test(arguments: [0, -1, 7, 10, -10, 1234, Int.min, Int.max])
  func `integers are spelled`(number: Int) {
    #expect(text { $0.appendDigits(of: number) } == "\(number)")
    #expect(
      text { $0.appendDigits(of: UInt64(bitPattern: Int64(number))) }
        == "\(UInt64(bitPattern: Int64(number)))")
  }
}
