import Records
import TestSupport
import Testing

@testable import Synthetic

@Suite struct SyntheticStreamTests {
  private func settings(
    rows: Int = 500, features: Int = 5, seed: UInt64 = 1, format: SyntheticFormat = .csv,
    _ change: (inout SyntheticSettings) -> Void = { _ in }
  ) -> SyntheticSettings {
    var settings = SyntheticSettings()
    settings.rows = rows
    settings.features = features
    settings.seed = seed
    settings.format = format
    change(&settings)
    return settings
  }

  private func bytes(
    _ settings: SyntheticSettings, recordLimit: () -> Int = { .max }
  ) throws -> [UInt8] {
    var stream = try SyntheticStream(settings)
    var (all, chunk) = ([UInt8](), [UInt8]())
    while stream.next(into: &chunk, recordLimit: recordLimit()) > 0 {
      all += chunk
    }
    return all
  }

  /// The fields of a CSV text, line by line, the header aside.
  private func rows(_ csv: [UInt8]) -> [[Substring]] {
    String(decoding: csv, as: UTF8.self).split(separator: "\n").dropFirst()
      .map { $0.split(separator: ",", omittingEmptySubsequences: false) }
  }

  private static let formats: [SyntheticFormat] = [
    .csv, .ndjson, .raw(.float32), .raw(.float64),
  ]

  @Test(arguments: formats)
  func `the same seed gives the same bytes, another seed others`(format: SyntheticFormat) throws {
    let first = try bytes(settings(seed: 7, format: format))
    #expect(try bytes(settings(seed: 7, format: format)) == first)
    #expect(try bytes(settings(seed: 8, format: format)) != first)
  }

  @Test func `the bytes of a seed are those of every earlier release`() throws {
    let text = try bytes(settings(rows: 3, features: 3, seed: 3) { $0.missingRatio = 0.2 })
    #expect(
      String(decoding: text, as: UTF8.self) == """
        time,f0,f1,f2
        2025-01-01T00:00:00Z,1.032,-4.110,211.731
        2025-01-01T00:01:00Z,-0.006,-3.875,241.590
        2025-01-01T00:02:00Z,,-3.574,

        """)
  }

  @Test(arguments: formats)
  func `the bytes do not depend on how many records are asked for at a time`(
    format: SyntheticFormat
  ) throws {
    let seed = testSeed
    var random = SeededGenerator(seed: seed)
    // Long enough for several full chunks.
    let settings = settings(rows: 5000, seed: seed, format: format)
    let whole = try bytes(settings)
    #expect(try bytes(settings) { 1 } == whole, "seed \(seed)")
    #expect(
      try bytes(settings) { Int.random(in: 1...900, using: &random) } == whole, "seed \(seed)")
  }

  @Test func `chunks hold whole records and are about 64 KiB long`() throws {
    var stream = try SyntheticStream(settings(rows: 10_000))
    var chunk: [UInt8] = []
    #expect(stream.next(into: &chunk) == chunk.count)
    #expect(chunk.last == UInt8(ascii: "\n"))
    #expect((65_536..<66_000).contains(chunk.count))
    #expect(stream.row == rows(chunk).count)
  }

  @Test func `CSV has a header and as many records and fields as asked for`() throws {
    let text = try bytes(settings(rows: 2000, features: 7))
    #expect(text.starts(with: "time,f0,f1,f2,f3,f4,f5,f6\n".utf8))
    let rows = rows(text)
    #expect(rows.count == 2000)
    #expect(rows.allSatisfy { $0.count == 8 })
  }

  @Test func `every format holds the same values`() throws {
    let fields = rows(try bytes(settings())).map { $0.dropFirst().map { Double($0) } }
    let lines = String(decoding: try bytes(settings(format: .ndjson)), as: UTF8.self)
      .split(separator: "\n")
    let members = lines.map { line in
      line.dropLast().split(separator: ",").dropFirst().map { Double($0.split(separator: ":")[1]) }
    }
    #expect(members == fields)
    #expect(lines[0].hasPrefix("{\"time\":\"2025-01-01T00:00:00Z\",\"f0\":"))

    let raw = try bytes(settings(format: .raw(.float64)))
    let values = stride(from: 0, to: raw.count, by: 8).map { start in
      Double(bitPattern: raw[start..<start + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }
    #expect(values.map { $0.isNaN ? nil : $0 } == fields.flatMap { $0 })

    let narrow = try bytes(settings(format: .raw(.float32)))
    let floats = stride(from: 0, to: narrow.count, by: 4).map { start in
      Float(bitPattern: narrow[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }
    #expect(floats.map { $0.isNaN ? nil : $0 } == values.map { $0.isNaN ? nil : Float($0) })
  }

  @Test(arguments: [0, 0.01, 0.3, 1])
  func `the share of missing values is near the one asked for`(ratio: Double) throws {
    let rows = rows(
      try bytes(settings(rows: 5000, features: 10) { $0.missingRatio = ratio }))
    let missing = rows.reduce(0) { $0 + $1.count { $0.isEmpty } }
    let share = Double(missing) / 50_000
    // Four standard errors.
    #expect(abs(share - ratio) <= 4 * (ratio * (1 - ratio) / 50_000).squareRoot())
  }

  @Test func `a temperature is in °F from the unit change on and only that feature`() throws {
    // A change after the end makes the feature a temperature too.
    let plain = rows(
      try bytes(
        settings {
          $0.missingRatio = 0
          $0.changes = [SyntheticChange(.unit, row: 1_000_000, feature: 2)]
        }))
    let changed = rows(
      try bytes(
        settings {
          $0.missingRatio = 0
          $0.changes = [SyntheticChange(.unit, row: 300, feature: 2)]
        }))
    for (row, (before, after)) in zip(plain, changed).enumerated() {
      let celsius = try #require(Double(before[3]))
      #expect((-20...60).contains(celsius))
      let expected = row < 300 ? celsius : celsius * 1.8 + 32
      // Both were rounded to 0.001, one of them before it was scaled.
      #expect(abs(try #require(Double(after[3])) - expected) <= 0.0015)
      #expect(Array(before[..<3]) == Array(after[..<3]) && before[4...] == after[4...])
    }
  }

  @Test func `each change begins at its record and leaves other features as they are`() throws {
    func column(_ changes: [SyntheticChange], _ index: Int = 2) throws -> [Double?] {
      let made = settings {
        $0.missingRatio = 0
        $0.season = 0
        $0.drift = 0
        $0.changes = changes
      }
      return rows(try bytes(made)).map { Double($0[index + 1]) }
    }
    let plain = try column([])
    let deviation = spread(plain)
    for kind in SyntheticChange.Kind.allCases where kind != .unit {
      let changed = try column([SyntheticChange(kind, row: 300, feature: 2)])
      #expect(changed[..<300] == plain[..<300], "\(kind)")
      let (before, after) = (Array(plain[300...]), Array(changed[300...]))
      switch kind {
      case .bias:
        let shift = zip(before, after).map { ($1 ?? 0) - ($0 ?? 0) }
        #expect(abs(shift.reduce(0, +) / Double(shift.count) - 2 * deviation) < 0.3 * deviation)
      case .dead: #expect(Set(after) == [plain[299]])
      case .noise: #expect(spread(after) > 1.05 * deviation)
      case .missing:
        #expect(after.enumerated().allSatisfy { ($1 == nil) == ($0 % 500 < 50) })
      case .outliers: #expect(spread(after) > 3 * deviation)
      case .unit: break
      }
      #expect(try column([SyntheticChange(kind, row: 300, feature: 2)], 1) == column([], 1))
    }
  }

  private func spread(_ values: [Double?]) -> Double {
    let present = values.compactMap(\.self)
    let mean = present.reduce(0, +) / Double(present.count)
    return (present.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(present.count))
      .squareRoot()
  }

  @Test func `a change is written as kind, record and feature`() {
    #expect(SyntheticChange("bias@20:f3") == SyntheticChange(.bias, row: 20, feature: 3))
    #expect(SyntheticChange("unit@0")?.text == "unit@0:f0")
    for text in ["bias", "bias@", "bias@-1", "other@1", "bias@1:2", "bias@1:f", "bias@1:f1:f2"] {
      #expect(SyntheticChange(text) == nil, "\(text)")
    }
  }

  @Test func `more features leave the first ones as they are`() throws {
    let few = rows(try bytes(settings(features: 3)))
    let many = rows(try bytes(settings(features: 6)))
    #expect(few == many.map { Array($0.prefix(4)) })
  }

  @Test func `a feature without season and drift keeps its mean, with them it does not`() throws {
    func spreadOfDailyMeans(_ change: (inout SyntheticSettings) -> Void) throws -> Double {
      let rows = rows(
        try bytes(
          settings(rows: 20 * recordsPerDay, features: 1) {
            $0.missingRatio = 0
            change(&$0)
          }))
      let values = try rows.map { try #require(Double($0[1])) }
      let means = stride(from: 0, to: values.count, by: recordsPerDay).map {
        values[$0..<$0 + recordsPerDay].reduce(0, +) / Double(recordsPerDay)
      }
      return try #require(means.max()) - (try #require(means.min()))
    }
    let still = try spreadOfDailyMeans {
      $0.drift = 0
      $0.season = 0
    }
    let seasonal = try spreadOfDailyMeans { $0.drift = 0 }
    let drifting = try spreadOfDailyMeans { $0.drift = 0.5 }
    #expect(abs(seasonal - still) < 0.01 * drifting)
    #expect(drifting > 5 * still)
  }

  @Test func `no rows give a header alone, or nothing`() throws {
    #expect(try bytes(settings(rows: 0, features: 1)) == Array("time,f0\n".utf8))
    #expect(try bytes(settings(rows: 0, format: .ndjson)).isEmpty)
  }

  @Test func `settings out of range are refused by name`() {
    func error(_ change: (inout SyntheticSettings) -> Void) -> String? {
      do {
        _ = try SyntheticStream(settings(change))
        return nil
      } catch {
        return error.description
      }
    }
    #expect(error { $0.rows = -1 } == "rows: expected 0 or more")
    #expect(error { $0.features = 0 } == "features: expected 1 to 1000000")
    #expect(error { $0.missingRatio = .nan } == "missing ratio: expected 0 to 1")
    #expect(error { $0.drift = .infinity } == "drift: expected 0 to 1000")
    #expect(error { $0.season = -1 } == "season: expected 0 to 1000")
    #expect(error { $0.decimals = 10 } == "decimals: expected 0 to 9")
    #expect(
      error { $0.changes = [SyntheticChange(.unit, row: 1, feature: 5)] }
        == "feature of change unit: expected an index below 5")
    #expect(error { _ in } == nil)
  }

  @Test func `the largest drift and the most decimals do not trap`() throws {
    let text = try bytes(
      settings {
        $0.drift = 1000
        $0.decimals = 9
      })
    #expect(rows(text).count == 500)
  }
}
