import Configuration
import Records
import TestSupport
import Testing

@testable import Codecs

/// Rows of little-endian floating-point numbers, in and out.
@Suite struct RawTests {
  private static func bytes(_ values: [Double], _ scalar: Precision) -> [UInt8] {
    values.flatMap { value -> [UInt8] in
      switch scalar {
      case .float32: withUnsafeBytes(of: Float(value).bitPattern.littleEndian) { Array($0) }
      case .float64: withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
      }
    }
  }

  private static func values(_ bytes: [UInt8], _ scalar: Precision) -> [Double] {
    stride(from: 0, to: bytes.count, by: scalar.byteCount).map { start in
      bytes.withUnsafeBytes { bytes in
        switch scalar {
        case .float32:
          Double(Float(bitPattern: bytes.loadUnaligned(fromByteOffset: start, as: UInt32.self)))
        case .float64:
          Double(bitPattern: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self))
        }
      }
    }
  }

  private static func options(_ columns: Int, _ scalar: Precision, _ features: [String] = [])
    -> DecoderOptions
  {
    var options = DecoderOptions()
    options.settings[RawSettings.columns] = columns
    options.settings[RawSettings.scalar] = scalar
    options.features = features.map { FeaturePattern($0) }
    return options
  }

  private func encoderOptions(
    _ reading: FormatReading, _ columns: Int, _ scalar: Precision, _ precision: Precision
  ) throws -> EncoderOptions {
    var options = try reading.encoderOptions(precision)
    options.settings[RawSettings.columns] = columns
    options.settings[RawSettings.scalar] = scalar
    return options
  }

  @Test(arguments: Precision.allCases)
  func `all columns of either width are features by default`(scalar: Precision) throws {
    let input = Self.bytes([1, -2.5, 3, 4, 0, 6], scalar)
    let reading = try FormatReading(.raw, input, Self.options(3, scalar))
    #expect(reading.names == ["f0", "f1", "f2"])
    #expect(reading.outcome.opening?.prologue == [])
    #expect(reading.rows == [[1, -2.5, 3], [4, 0, 6]])
    // The columns hold all of the rows.
    #expect(reading.batches.allSatisfy { $0.text.isEmpty })
    #expect(try reading.encoded(.raw, encoderOptions(reading, 3, scalar, scalar)) == input)
    #expect(reading.outcome.recordCount == 2)
  }

  @Test func `bytes are little-endian`() throws {
    let reading = try FormatReading(
      .raw, [0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0], Self.options(2, .float32))
    #expect(reading.rows == [[1, -2]])
  }

  @Test func `some columns may be features, in any order`() throws {
    let input = Self.bytes([1, 2, 3, 4, 5, 6], .float32)
    let reading = try FormatReading(.raw, input, Self.options(3, .float32, ["f2", "f0"]))
    #expect(reading.names == ["f2", "f0"])
    #expect(reading.rows == [[3, 1], [6, 4]])
    let wrong = try FormatReading(.raw, input, Self.options(3, .float32, ["f3"]))
    #expect(
      wrong.outcome.openingFault?.description
        == "expected a column that 'f3' matches, found none among 'f0', 'f1', 'f2'")
  }

  @Test func `4-byte floats may stay so or be widened`() throws {
    let input = Self.bytes([0.1, 2], .float32)
    for columns in Precision.allCases {
      var options = Self.options(2, .float32)
      options.columns = columns
      let reading = try FormatReading(.raw, input, options)
      #expect(reading.rows == [[Double(Float(0.1)), 2]])
      #expect(reading.batches[0].columns.precision == columns)
    }
  }

  @Test func `the number of columns must be told and sensible`() {
    #expect(
      throws:
        FormatError(RawSettings.columns, "expected the number of columns, found nothing")
    ) {
      try FormatReading(.raw, [])
    }
    for count in [0, -1, 100_001, .max] {
      #expect(
        throws:
          FormatError(RawSettings.columns, "expected 1 to 100000 columns, found \(count)")
      ) {
        try FormatReading(.raw, [], Self.options(count, .float32))
      }
    }
  }

  @Test(arguments: Precision.allCases)
  func `a row that ends too soon ends the stream`(scalar: Precision) throws {
    let input = Self.bytes([1, 2, 3, 4], scalar)
    let rowBytes = 2 * scalar.byteCount
    for left in 1..<rowBytes {
      let reading = try FormatReading(
        .raw, Array(input[..<(rowBytes + left)]), Self.options(2, scalar), chunk: 3)
      #expect(reading.rows == [[1, 2]])
      let failure = try #require(reading.outcome.failure)
      #expect(
        failure.fault.description
          == "expected a row of \(rowBytes) bytes, found \(left) bytes at the end of the stream")
      #expect(failure.byteOffset == rowBytes)
      #expect(failure.record == 2)
    }
    let empty = try FormatReading(.raw, [], Self.options(2, scalar))
    #expect(empty.names == ["f0", "f1"])
    #expect(empty.rows == [])
    #expect(empty.outcome.failure == nil)
  }

  @Test(arguments: Precision.allCases)
  func `NaN is missing and infinities are invalid, by policy`(scalar: Precision) throws {
    let input = Self.bytes([1, 2, .nan, 4, .infinity, 6, 7, -.infinity, 9, 10], scalar)
    var options = Self.options(2, scalar)
    let kept = try FormatReading(.raw, input, options)
    #expect(kept.rows == [[1, 2], [nil, 4], [9, 10]])
    #expect(
      kept.faults == [
        "expected a finite number in feature 'f0', found inf",
        "expected a finite number in feature 'f1', found -inf",
      ])
    #expect(kept.outcome.rejections.map(\.record) == [3, 4])
    #expect(
      kept.outcome.rejections.map(\.byteOffset) == [4 * scalar.byteCount, 6 * scalar.byteCount])
    options.onInvalid = .missing
    let lenient = try FormatReading(.raw, input, options)
    #expect(lenient.rows == [[1, 2], [nil, 4], [nil, 6], [7, nil], [9, 10]])
    #expect(try lenient.encoded(.raw, encoderOptions(lenient, 2, scalar, scalar)) == input)
    options.onMissing = .reject
    options.onInvalid = .reject
    let strict = try FormatReading(.raw, input, options)
    #expect(strict.rows == [[1, 2], [9, 10]])
    #expect(strict.faults[0] == "expected a value of feature 'f0', found NaN")
    #expect(
      try strict.encoded(.raw, encoderOptions(strict, 2, scalar, scalar))
        == Self.bytes([1, 2, 9, 10], scalar))
  }

  @Test func `a column that is no feature may hold anything`() throws {
    var input = Self.bytes([1, .nan, 2, -.infinity], .float32)
    // A NaN with a payload of its own.
    input[4...7] = [0xEF, 0xBE, 0xAD, 0x7F]
    var options = Self.options(2, .float32, ["f0"])
    options.onMissing = .reject
    let reading = try FormatReading(.raw, input, options)
    #expect(reading.rows == [[1], [2]])
    let output = try reading.encoded(.raw, encoderOptions(reading, 2, .float32, .float32)) {
      $0 + 10
    }
    #expect(
      output == Self.bytes([11], .float32) + input[4...7] + Self.bytes([12, -.infinity], .float32))
  }

  @Test(arguments: Precision.allCases)
  func `missing values keep their bits where rows pass`(scalar: Precision) throws {
    var input = Self.bytes([1, .nan], scalar)
    input[scalar.byteCount] = 0x42
    let reading = try FormatReading(.raw, input, Self.options(1, scalar))
    let output = try reading.encoded(.raw, encoderOptions(reading, 1, scalar, scalar)) { $0 * 3 }
    #expect(output == Self.bytes([3], scalar) + input[scalar.byteCount...])
  }

  @Test(arguments: Precision.allCases, Precision.allCases)
  func `rows may be written in either precision`(scalar: Precision, precision: Precision) throws {
    let input = Self.bytes([0.1, 2, .nan, 4, 5, 6], scalar)
    for features in [[], ["f1", "f0"]] {
      let reading = try FormatReading(.raw, input, Self.options(2, scalar, features), batchSize: 2)
      let output = try reading.encoded(.raw, encoderOptions(reading, 2, scalar, precision)) {
        $0 * 2
      }
      let first = (scalar == .float32 ? Double(Float(0.1)) : 0.1) * 2
      let expected = [precision == .float32 ? Double(Float(first)) : first, 4, .nan, 8, 10, 12]
      // Columns stay in their order, whatever the order of the features.
      #expect(
        Self.values(output, precision).map(\.bitPattern) == expected.map(\.bitPattern),
        "features \(features)")
    }
  }

  @Test func `a batch of 4-byte columns is written like any other`() throws {
    var options = Self.options(2, .float32)
    options.columns = .float32
    let reading = try FormatReading(.raw, Self.bytes([1, 2, 3, 4], .float32), options)
    for precision in Precision.allCases {
      let output = try reading.encoded(.raw, encoderOptions(reading, 2, .float32, precision)) {
        $0 + 0.5
      }
      #expect(Self.values(output, precision) == [1.5, 2.5, 3.5, 4.5])
    }
  }

  @Test func `columns that are no features cannot change their width`() throws {
    let reading = try FormatReading(
      .raw, Self.bytes([1, 2], .float32), Self.options(2, .float32, ["f1"]))
    #expect(
      throws: FormatError(
        RecordSettings.precision,
        "expected float32, the width of the columns that are no features and pass unchanged, "
          + "found float64; or make every column a feature")
    ) {
      try RecordFormat.raw.makeEncoder(encoderOptions(reading, 2, .float32, .float64))
    }
  }

  @Test func `a batch that passes is written as it was read, at its precision`() throws {
    let input = Self.bytes([1, .nan, 3, 4], .float32)
    let reading = try FormatReading(.raw, input, Self.options(2, .float32))
    var batch = reading.batches[0]
    batch.unnormalized = UnnormalizedFeatures([true, true], .asRead)
    for precision in Precision.allCases {
      let output = ByteBuffer()
      try RecordFormat.raw.makeEncoder(encoderOptions(reading, 2, .float32, precision))
        .encode(batch, into: output)
      #expect(Array(output.readable) == Self.bytes([1, .nan, 3, 4], precision))
    }
  }

  @Test func `records of another format become rows of their features`() throws {
    let reading = try FormatReading(csv: "k,b,a\nx,1,2\ny,,4\n") {
      $0.features = [FeaturePattern("a"), FeaturePattern("b")]
    }
    var options = EncoderOptions(
      schema: try #require(reading.outcome.opening?.schema), prologue: nil)
    options.precision = .float64
    let output = try reading.encoded(.raw, options)
    #expect(
      Self.values(output, .float64).map(\.bitPattern) == [2, 1, 4, .nan].map(\.bitPattern))
  }

  @Test func `windows of any size give the same rows`() throws {
    let input = Self.bytes((0..<50).map { $0 == 20 ? .infinity : Double($0) }, .float32) + [1, 2]
    let whole = try FormatReading(.raw, input, Self.options(5, .float32))
    #expect(whole.rows.count == 9)
    for chunk in [1, 7, 4096] {
      let chunked = try FormatReading(.raw, input, Self.options(5, .float32), chunk: chunk)
      #expect(chunked.outcome == whole.outcome, "chunks of \(chunk)")
    }
  }

  /// Shapes that are made of squares of four by four values, of single ones, and of both.
  @Test(arguments: Precision.allCases, [1, 3, 4, 5, 8, 21, 33])
  func `rows of any width, taken any number at a time, come out as they went in`(
    scalar: Precision, width: Int
  ) throws {
    var random = SeededGenerator()
    let rows = 43
    let input = (0..<rows * width).map { _ in
      // As Float holds it.
      Double(Float.random(in: -1000...1000, using: &random))
    }
    let some = (0..<width).filter { $0 % 7 != 2 }.map { "f\($0)" }
    for (features, precision) in [([], Precision.float32), ([], .float64), (some, scalar)] {
      var options = Self.options(width, scalar, features)
      options.columns = scalar == .float32 && precision == .float32 ? .float32 : .float64
      let names = features.isEmpty ? (0..<width).map { "f\($0)" } : features
      let columns = names.map { Int($0.dropFirst()) ?? -1 }
      for batchSize in [3, 5, 16, 100] {
        let reading = try FormatReading(
          .raw, Self.bytes(input, scalar), options, batchSize: batchSize, chunk: 4096)
        let expected = (0..<rows).map { row in columns.map { input[row * width + $0] } }
        #expect(reading.rows == expected, "batches of \(batchSize), seed \(random.seed)")
        let output = try reading.encoded(
          .raw, encoderOptions(reading, width, scalar, precision)
        ) { -$0 }
        let negated = input.enumerated().map { columns.contains($0 % width) ? -$1 : $1 }
        #expect(
          Self.values(output, precision) == negated, "batches of \(batchSize), seed \(random.seed)")
      }
    }
  }

  @Test(arguments: Precision.allCases, [3, 8])
  func `bad rows among many are found one by one`(scalar: Precision, width: Int) throws {
    let rows = 3000
    let bad: Set = [0, 1, 5, 1023, 1024, 2047, 2998, 2999]
    let input: [Double] = (0..<rows * width).map { index in
      let isBad = bad.contains(index / width) && index % width == width - 1
      return isBad ? -.infinity : Double(index % 100)
    }
    let reading = try FormatReading(
      .raw, Self.bytes(input, scalar), Self.options(width, scalar), batchSize: 5000)
    #expect(reading.outcome.rejections.map { $0.record - 1 } == bad.sorted())
    let places: [Int] = reading.outcome.rejections.map {
      $0.byteOffset / (width * scalar.byteCount)
    }
    #expect(places == bad.sorted())
    let good: [Int] = (0..<rows).filter { !bad.contains($0) }
    let kept: [[Double]] = good.map { row in
      (row * width..<(row + 1) * width).map { Double($0 % 100) }
    }
    #expect(reading.rows == kept)
  }
}
