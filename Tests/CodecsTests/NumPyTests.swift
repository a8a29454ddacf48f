import Configuration
import Records
import Testing

@testable import Codecs

/// NumPy files are raw rows after a header. The headers are as numpy.save writes them.
@Suite struct NumPyTests {
  private static func file(
    _ descr: String = "'<f4'", _ shape: String = "(2, 3)", order: String = "False",
    version: UInt8 = 1, values: [Float] = [1, 2, 3, 4, 5, 6]
  ) -> [UInt8] {
    var text = "{'descr': \(descr), 'fortran_order': \(order), 'shape': \(shape), }"
    let lengthBytes = version == 1 ? 2 : 4
    text += String(repeating: " ", count: 127 - 8 - lengthBytes - text.utf8.count) + "\n"
    let length = (0..<lengthBytes).map { UInt8(text.utf8.count >> (8 * $0) & 0xFF) }
    let data =
      descr == "'<f8'"
      ? values.flatMap { value in withUnsafeBytes(of: Double(value)) { Array($0) } }
      : values.flatMap { value in withUnsafeBytes(of: value) { Array($0) } }
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(text.utf8) + data
  }

  private static var options: DecoderOptions {
    var options = DecoderOptions()
    options.settings[RawSettings.npy] = true
    return options
  }

  private func fault(_ bytes: [UInt8]) throws -> String? {
    let outcome = try FormatReading(.raw, bytes, Self.options).outcome
    return (outcome.openingFault ?? outcome.failure?.fault ?? outcome.finishFault)?.description
  }

  @Test(arguments: [1, 2, 3] as [UInt8], ["'<f4'", "'<f8'"])
  func `rows are read by the shape and width of the header`(version: UInt8, descr: String) throws {
    let bytes = Self.file(descr, version: version)
    for chunk in [1, 5, .max] {
      let reading = try FormatReading(.raw, bytes, Self.options, chunk: chunk)
      #expect(reading.names == ["f0", "f1", "f2"])
      #expect(reading.rows == [[1, 2, 3], [4, 5, 6]])
      #expect(reading.outcome.finishFault == nil)
      #expect(reading.outcome.opening?.prologue == Array(bytes.prefix(128)))
    }
  }

  @Test func `the output is raw rows of the features alone`() throws {
    var options = Self.options
    options.features = [FeaturePattern("f2"), FeaturePattern("f0")]
    let reading = try FormatReading(.raw, Self.file(), options)
    #expect(reading.rows == [[3, 1], [6, 4]])
    var encoder = try reading.encoderOptions(.float32)
    encoder.settings = options.settings
    let written = try reading.encoded(.raw, encoder)
    let floats = stride(from: 0, to: written.count, by: 4).map { start in
      written.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: start, as: Float.self) }
    }
    #expect(floats == [3, 1, 6, 4])
  }

  @Test func `a later run knows the shape from the stream's opening`() throws {
    let bytes = Self.file()
    let opening = try #require(try FormatReading(.raw, bytes, Self.options).outcome.opening)
    var options = Self.options
    options.header = .passed
    options.opening = opening
    let rest = try FormatReading(.raw, Array(bytes.suffix(12)), options)
    #expect(rest.rows == [[4, 5, 6]])
  }

  @Test(
    arguments: [
      (file("'>f4'"), "expected values of type float32 or float64, little-endian, found '>f4'; "),
      (file("'<i8'"), "expected values of type float32 or float64, little-endian, found '<i8'; "),
      (
        file("[('a', '<f4')]"),
        "expected values of type float32 or float64, little-endian, found '["
      ),
      (
        file(order: "True"),
        "expected an array in C order, row by row, found one in Fortran order; "
      ),
      (
        file("'<f4'", "(6,)"), "expected an array of two dimensions, of 1 to 100000 columns, found "
      ),
      (file("'<f4'", "(1, 2, 3)"), "expected an array of two dimensions"),
      (file("'<f4'", "(6, 0)"), "expected an array of two dimensions"),
      (file("'<f4'", "(-2, 3)"), "expected an array of two dimensions"),
      (file("'<f4'", "(2, 9223372036854775807)"), "expected an array of two dimensions"),
      (file(version: 4), "expected a NumPy file of version 1 to 3, found version 4.0"),
      (file("'<f4'", "(3, 3)"), "expected 3 rows, as the header of the NumPy file says, found 2"),
      (file("'<f4'", "(1, 3)"), "expected 1 rows, as the header of the NumPy file says, found 2"),
      (Array(file().dropLast()), "expected a row of 12 bytes, found 11 bytes at the end"),
      (
        Array(file().prefix(60)), "expected the header of a NumPy file, found the end of the stream"
      ),
      (Array("1,2\n3,4\n".utf8), "expected a NumPy file, found '1,2"),
      (
        [0x93] + Array("NUMPY\u{2}\0".utf8) + [0xFF, 0xFF, 0xFF, 0x7F],
        "expected a NumPy header of at most 65536 bytes, found 2147483647"
      ),
    ] as [([UInt8], String)])
  func `other arrays are refused with what to do`(bytes: [UInt8], says: String) throws {
    let fault = try fault(bytes)
    #expect(fault?.hasPrefix(says) == true, "\(fault ?? "no fault")")
  }

  @Test func `a NumPy file in the place of raw rows is told`() throws {
    var options = DecoderOptions()
    options.settings[RawSettings.columns] = 3
    let outcome = try FormatReading(.raw, Self.file(), options, chunk: 1).outcome
    #expect(
      outcome.openingFault?.description == "expected raw floats, found a NumPy file; pass --npy")
  }

  @Test func `a header that is cut or changed gives a fault or rows, never a trap`() throws {
    let bytes = Self.file()
    for index in 0..<128 {
      for value in [0, 0x20, 0x28, 0x27, 0x39, 0xFF] as [UInt8] {
        var changed = bytes
        changed[index] = value
        _ = try FormatReading(.raw, changed, Self.options)
        _ = try FormatReading(.raw, Array(bytes.prefix(index)), Self.options)
      }
    }
  }
}
