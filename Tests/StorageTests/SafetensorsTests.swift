import Storage
import Testing

struct SafetensorsTests {
  @Test func `every type of the reference implementation is read`() throws {
    let file = try Safetensors(serialized: golden("types.safetensors"))
    #expect(file.tensors.count == 14)
    #expect(file.metadata == ["note": "é \"quoted\" /\\\n\u{1}"])
    #expect(try file.doubles("f64", count: 3) == [0.1, -2.5, 1e300])
    #expect(try file.doubles("f32", count: 3) == [0.5, -2.25, 16_777_216])
    #expect(try file.doubles("f16") == [0.5, -2.25, 65504])
    #expect(try file.doubles("bf16") == [0.5, -2.25, 0x1p100])
    #expect(try file.integers("i64", shape: [3]) == [.max, .min, 9_007_199_254_740_993])
    #expect(try file.doubles("i64") == [0x1p63, -0x1p63, 0x1p53])
    #expect(try file.integers("i32", shape: [3]) == [Int(Int32.max), Int(Int32.min), 7])
    #expect(try file.integers("i16", shape: [3]) == [32767, -32768, 7])
    #expect(try file.integers("i8", shape: [3]) == [127, -128, 7])
    #expect(try file.integers("u8", shape: [3]) == [255, 0, 7])
    #expect(try file.integer("scalar") == 42)
    #expect(try file.doubles("empty", count: 0) == [])
    #expect(file.tensors["matrix"]?.shape == [2, 3])
    #expect(file.tensors["matrix"]?.doubles == [0, 1, 2, 3, 4, 5])
    #expect(file.tensors["bool"]?.elementType == .bool)
    #expect(file.tensors["bool"]?.doubles == nil)
    #expect(file.tensors["naïve \"name\""] != nil)
  }

  @Test(arguments: [
    "types.safetensors", "batchnorm1d.safetensors", "model.safetensors", "parameters.safetensors",
    "without_count.safetensors", "checkpoint-v2.safetensors",
  ])
  func `a file of the reference implementation is written again byte for byte`(
    name: String
  ) throws {
    let bytes = try golden(name)
    #expect(try Safetensors(serialized: bytes).serialized() == bytes)
  }

  @Test func `written tensors are read back exactly`() throws {
    let numbers: [Double] = [
      0, -0.0, .pi, .infinity, .leastNonzeroMagnitude, .greatestFiniteMagnitude,
    ]
    let file = Safetensors(
      tensors: ["a": .init(numbers), "b": .init([Int.min, 0, .max]), "c": .init(scalar: -1)],
      metadata: ["z": "é\0", "a": ""])
    let bytes = try file.serialized()
    #expect(try Safetensors(serialized: bytes) == file)
    let header = Int(bytes[0]) + 256 * Int(bytes[1])
    #expect(bytes[8..<8 + header].count % 8 == 0)
    #expect(try Safetensors(serialized: Safetensors().serialized()) == Safetensors())
  }

  @Test func `a header that could not be read is not written`() {
    let file = Safetensors(metadata: ["a": String(repeating: "x", count: Safetensors.headerLimit)])
    #expect(message { try file.serialized() }.hasPrefix("header: expected at most 16777216 bytes"))
  }

  @Test func `an error names the tensor, what was expected and what was found`() throws {
    let file = try Safetensors(serialized: golden("types.safetensors"))
    #expect(
      message { try file.doubles("f32", count: 4) }
        == "tensor 'f32': expected numbers [4], found F32 [3]")
    #expect(
      message { try file.doubles("matrix", count: 6) }
        == "tensor 'matrix': expected numbers [6], found F32 [2, 3]")
    #expect(
      message { try file.doubles("bool") } == "tensor 'bool': expected numbers [d], found BOOL [3]")
    #expect(
      message { try file.doubles("x\n") }
        == #"tensor 'x\n': expected numbers [d], found nothing"#)
    #expect(
      message { try file.integers("f64", shape: [3]) }
        == "tensor 'f64': expected integers [3], found F64 [3]")
    #expect(
      message { try file.integer("i8") } == "tensor 'i8': expected an integer [], found I8 [3]")
  }

  /// A file with this header and so many bytes of data.
  private func file(_ header: String, data count: Int = 0) -> [UInt8] {
    let length = withUnsafeBytes(of: UInt64(header.utf8.count).littleEndian) { Array($0) }
    return length + Array(header.utf8) + Array(repeating: 0, count: count)
  }

  /// A header with one tensor `a`.
  private func tensor(_ type: String, _ shape: String, _ offsets: String) -> String {
    #"{"a":{"dtype":\#(type),"shape":\#(shape),"data_offsets":\#(offsets)}}"#
  }

  private func refusal(_ bytes: [UInt8]) -> String {
    message { try Safetensors(serialized: bytes) }
  }

  @Test func `lengths that the file does not have are refused`() {
    #expect(refusal([]) == "file: expected a safetensors file of 8 bytes or more, found 0")
    #expect(refusal([1, 2, 3]).hasSuffix("found 3"))
    #expect(
      refusal([16, 0, 0, 0, 0, 0, 0, 0, 123])
        == "header: expected 16 bytes as its length says, found 1")
    #expect(
      refusal([1, 0, 0, 1, 0, 0, 0, 0])
        == "header: expected a safetensors header of at most 16777216 bytes, "
        + "found a length of 16777217")
    #expect(refusal(Array(repeating: 0xFF, count: 8)).hasSuffix("found a length of \(UInt64.max)"))
  }

  @Test func `headers that are no header are refused`() {
    #expect(refusal(file("")) == "header: expected a JSON object, found something else")
    #expect(
      refusal(file("[]")) == "file: expected a safetensors file, found a file of another kind")
    let invalid = "header: expected valid JSON"
    for text in ["{", "{} x", "{\"a\":}", "{\"\n\":{}}", #"{"\ud83d":{}}"#] {
      #expect(refusal(file(text)) == invalid)
    }
    #expect(refusal(file("{\"a\":" + String(repeating: "[", count: 1_000_000))) == invalid)
    #expect(refusal(file("{\"?\":{}}").map { $0 == 0x3F ? 0xFF : $0 }) == invalid)
    #expect(
      refusal(file(#"{"a":[[[[[[]]]]]]}"#))
        == "'a' in the header: "
        + "expected an object, found an array"
    )
    #expect(
      refusal(file(#"{"__metadata__":{"a\n":1}}"#))
        == #"'__metadata__.a\n' in the header: "#
        + "expected a text, found a number")
    #expect(
      refusal(file(#"{"a":{"dtype":"F32","shape":[1]}}"#))
        == "'a.data_offsets' in the header: expected a value, found nothing")
  }

  @Test func `of two tensors of one name the first counts, so the other's data is a hole`() {
    func twice(_ second: String) -> String {
      let entry = #""a":{"dtype":"U8","shape":[1],"data_offsets":"#
      return "{\(entry)[0,1]},\(entry)\(second)}}"
    }
    #expect(
      refusal(file(twice("[1,2]"), data: 2)) == "data: expected 1 bytes as the header says, found 2"
    )
    #expect(refusal(file(twice("[0,1]"), data: 1)) == "no error")
  }

  @Test(arguments: [
    (#""F32""#, "[1]", "[0,4]", 4, "no error"),
    (#""F32""#, "[0]", "[0,0]", 0, "no error"),
    (#""F32""#, "[]", "[0,4]", 4, "no error"),
    (#""F32""#, "[1]", "[0,4]", 5, "data: expected 4 bytes as the header says, found 5"),
    (
      #""F32""#, "[1]", "[0,4]", 3,
      "tensor 'a': expected data_offsets that rise within the 3 bytes of data, found [0, 4]"
    ),
    (
      #""F32""#, "[1]", "[4,0]", 4,
      "tensor 'a': expected data_offsets that rise within the 4 bytes of data, found [4, 0]"
    ),
    (
      #""F32""#, "[1]", "[-4,0]", 4,
      "tensor 'a': expected data_offsets that rise within the 4 bytes of data, found [-4, 0]"
    ),
    (
      #""F32""#, "[1]", "[0,9223372036854775807]", 4,
      "tensor 'a': expected data_offsets that rise within the 4 bytes of data, "
        + "found [0, 9223372036854775807]"
    ),
    (
      #""F32""#, "[1]", "[0,9223372036854775808]", 4,
      "header: expected valid JSON"
    ),
    (#""F32""#, "[1]", "[0.0,4e0]", 4, "no error"),
    (#""F32""#, "[1]", "[0]", 4, "tensor 'a': expected two data_offsets, found 1"),
    (#""F32""#, "[1]", "[0,4,4]", 4, "tensor 'a': expected two data_offsets, found 3"),
    (
      #""F32""#, "[1]", "null", 4,
      "'a.data_offsets' in the header: expected an array, found null"
    ),
    (
      #""F32""#, "[1]", "[0,\"4\"]", 4,
      "'a.data_offsets[1]' in the header: expected a whole number, found a text"
    ),
    (#""F32""#, "[2]", "[0,4]", 4, "tensor 'a': expected 8 bytes for F32 [2], found 4 bytes"),
    (
      #""F32""#, "[-1]", "[0,4]", 4,
      "tensor 'a': expected a shape of integers of 0 or more, found -1"
    ),
    (
      #""F32""#, "[1.5]", "[0,4]", 4,
      "header: expected valid JSON"
    ),
    (
      #""F32""#, "7", "[0,4]", 4,
      "'a.shape' in the header: expected an array, found a number"
    ),
    (
      #""U8""#, "[\(String(repeating: "1,", count: 64))1]", "[0,1]", 1,
      "tensor 'a': expected a shape of at most 64 dimensions, found 65"
    ),
    (
      #""F32""#, "[4611686018427387904,4]", "[0,4]", 4,
      "tensor 'a': expected a shape that fits into memory, found [4611686018427387904, 4]"
    ),
    (
      #""F32""#, "[1000000000000]", "[0,4]", 4,
      "tensor 'a': expected 4000000000000 bytes for F32 [1000000000000], found 4 bytes"
    ),
    ("4", "[1]", "[0,4]", 4, "expected a text, found a number"),
    (#""F4""#, "[1]", "[0,4]", 4, "found 'F4'"),
    (#""f32""#, "[1]", "[0,4]", 4, "found 'f32'"),
  ])
  func `the header of a tensor is checked`(
    type: String, shape: String, offsets: String, count: Int, expected: String
  ) {
    #expect(refusal(file(tensor(type, shape, offsets), data: count)).hasSuffix(expected))
  }

  @Test(arguments: [
    ("[0,4]", "[4,8]", 8, "no error"), ("[4,8]", "[0,4]", 8, "no error"),
    (
      "[0,4]", "[0,4]", 4,
      "tensor 'b': expected data from byte 4, without a hole or overlap, found byte 0"
    ),
    (
      "[0,4]", "[2,6]", 6,
      "tensor 'b': expected data from byte 4, without a hole or overlap, found byte 2"
    ),
    (
      "[0,4]", "[5,9]", 9,
      "tensor 'b': expected data from byte 4, without a hole or overlap, found byte 5"
    ),
    (
      "[1,5]", "[5,9]", 9,
      "tensor 'a': expected data from byte 0, without a hole or overlap, found byte 1"
    ),
  ])
  func `tensors cover the data without holes or overlap`(
    first: String, second: String, count: Int, expected: String
  ) {
    let members = [("a", first), ("b", second)].map {
      #""\#($0)":{"dtype":"F32","shape":[1],"data_offsets":\#($1)}"#
    }
    #expect(refusal(file("{\(members.joined(separator: ","))}", data: count)) == expected)
  }

  @Test func `keys that are unknown and any order of tensors are taken`() throws {
    let header =
      #"{"b":{"new":1,"shape":[1],"dtype":"U8","data_offsets":[1,2]},"#
      + #""a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}  "#
    let read = try Safetensors(serialized: file(header) + [7, 9])
    #expect(try read.integers("a", shape: [1]) == [7])
    #expect(try read.integers("b", shape: [1]) == [9])
  }

  @Test func `an unsigned number of 2^63 or more is no integer here but a Double`() throws {
    let file = try Safetensors(
      serialized: file(tensor(#""U64""#, "[1]", "[0,8]"))
        + Array(repeating: 0xFF, count: 8))
    #expect(try file.doubles("a") == [0x1p64])
    #expect(
      message { try file.integers("a", shape: [1]) }
        == "tensor 'a': expected integers [1], found U64 [1] with a value of 2^63 or more")
  }
}
