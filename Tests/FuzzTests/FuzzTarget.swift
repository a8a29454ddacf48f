import Foundation
import Records
import TestSupport
import Testing

@testable import Codecs
@testable import Configuration
@testable import ControlPlane
@testable import Storage

/// A decoder, with valid inputs and the pieces that mutations insert.
struct FuzzTarget: Sendable, CustomStringConvertible, CustomTestStringConvertible {
  let description: String
  let seeds: @Sendable () throws -> [[UInt8]]
  let pieces: [[UInt8]]
  /// Reads an input; false if it or one of its records is refused.
  let read: @Sendable ([UInt8]) -> Bool

  var testDescription: String { description }

  init(
    _ name: String, pieces: [String] = [], bytes: [[UInt8]] = [],
    seeds: @escaping @Sendable () throws -> [[UInt8]], read: @escaping @Sendable ([UInt8]) -> Bool
  ) {
    description = name
    self.seeds = seeds
    self.pieces = pieces.map { Array($0.utf8) } + bytes
    self.read = read
  }

  /// The decoders; `EVENKEEL_FUZZ_ONLY` names a single one.
  static let all = [zstd, csv, ndjson, raw, arrow, lists, safetensors, yaml, http].filter {
    let only = ProcessInfo.processInfo.environment["EVENKEEL_FUZZ_ONLY"] ?? ""
    return only.isEmpty || $0.description == only
  }

  // MARK: Compression

  private static let zstd = FuzzTarget(
    "zstd",
    bytes: [
      [0x28, 0xB5, 0x2F, 0xFD], [0x50, 0x2A, 0x4D, 0x18], [0x01, 0x00, 0x00], [0xFF, 0xFF, 0xFF],
      [0x28, 0xB5, 0x2F, 0xFD, 0x00, 0x58],
    ],
    seeds: {
      let text = Array(String(repeating: "a,b\n1.5,-2e3\n", count: 300).utf8)
      var seeds = [try frame(text), try frame([]), try frame(Array(repeating: 0, count: 300_000))]
      seeds.append(seeds[0] + [0x50, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3] + seeds[1] + seeds[0])
      return seeds
    },
    read: { input in
      let window = ByteBuffer()
      do {
        var decompressor = InputDecompressor(CodecOptions(maxWindowLog: 27))
        var rest = input[...]
        repeat {
          let taken = try rest.withUnsafeBytes {
            try decompressor.decompress($0, isLast: true, limit: 256 << 10, into: window)
          }
          rest = rest.dropFirst(taken)
          window.consume(window.count)
        } while decompressor.mayHoldMore || !rest.isEmpty
        try decompressor.finish()
        return true
      } catch {
        return false
      }
    })

  private static func frame(_ bytes: [UInt8]) throws -> [UInt8] {
    let compressor = try ZstdCompressor(level: 3)
    return try bytes.withUnsafeBufferPointer { try compressor.compress($0) }
  }

  // MARK: Formats

  private static let csv = FuzzTarget(
    "csv",
    pieces: [
      ",", "\"", "\"\"", "\n", "\r\n", "NA", "nan", "1e999", "-Infinity", "\u{FEFF}", "\0", "é",
      "0x1p3", "1_000", "+1", "a,b,k\n", ",,,,,,,,", "\n#c\n", "#\"",
    ], bytes: [[0xFF], [0xC3]],
    seeds: {
      [
        "a,b,k\n1,2,x\n-3.5e2,NA,\"q, \"\"w\"\"\"\n,4,\n5,6,é\n", "\u{FEFF}a,b\r\n\"1\",2\r\n",
        "\"a\nb\",b,k\n1,2,\"x\ny\"\n3,4,z",
      ].map { Array($0.utf8) }
    },
    read: { input in
      convert(input, .csv, to: [.arrow], features: ["*b*"])
      edit(input, .csv, features: ["*b*"])
      edit(input, .csv, features: ["*b*"]) {
        $0.settings[CSVSettings.comment] = UInt8(ascii: "#")
        $0.settings[RecordSettings.columns] = [FeaturePattern("*b*")]
        $0.settings[CSVSettings.skipRows] = 1
      }
      convert(input, .csv, to: [.arrow], features: ["*b*"]) {
        $0.settings[CSVSettings.comment] = UInt8(ascii: "#")
      }
      return readRecords(.csv, input) { $0.features = [FeaturePattern("*b*")] }
    })

  private static let ndjson = FuzzTarget(
    "ndjson",
    pieces: [
      "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "null", "true", "7", "1e999", "-", "0.",
      "\n",
      "\r\n", "\0", "é", "\"a\":1", "\"o\":{", "\"v\":[", "\\ud800", "[[[[[[[[",
      String(repeating: "{\"o\":", count: 300),
    ], bytes: [[0xFF], [0xF0, 0x9F], [0x80]],
    seeds: {
      [
        #"{"a":1.5,"o":{"b":-2e3,"p":{"c":0}},"v":[1,2,3],"s":"t\"\u00e9\\","n":null}"#,
        #" { "v" : [ 4 , 5 , 6 ] , "o":{ "b" : 1 } , "x" : [ { "y" : [ ] } , true , "" ] , "a" : 7 } "#,
        #"{"o":{"p":null,"b":0.5},"a":12,"z":{"o":{"b":1}},"v":[-1,0]}"#,
      ].map { Array(($0 + "\n" + $0 + "\n").utf8) }
    },
    read: { input in
      convert(input, .ndjson, to: [.arrow], features: ["a", "o.b", "v[0]"])
      edit(input, .ndjson, features: ["a", "o.b", "v[0]"])
      return readRecords(.ndjson, input) {
        $0.features = ["a", "o.b", "v[*]"].map { FeaturePattern($0) }
        $0.onMissing = .impute
      }
    })

  private static let raw = FuzzTarget(
    "raw", bytes: [[0, 0, 0x80, 0x7F], [0, 0, 0xC0, 0x7F], [0xFF, 0xFF, 0xFF, 0xFF]],
    seeds: { [Array(repeating: 0x3F, count: 8), Array(0..<200), Array(repeating: 0, count: 800)] },
    read: { input in
      readRecords(.raw, input) {
        $0.settings[RawSettings.columns] = 2
        $0.columns = .float32
      }
    })

  /// Reads a stream through a window of its own bytes.
  ///
  /// - Returns: whether every record was taken.
  private static func readRecords(
    _ format: RecordFormat, _ input: [UInt8], _ set: (inout DecoderOptions) -> Void
  ) -> Bool {
    var options = DecoderOptions()
    set(&options)
    guard var decoder = try? format.makeDecoder(options) else { return false }
    return input.withUnsafeBufferPointer { input in
      guard let opening = try? decoder.open(InputWindow(bytes: input, isLast: true)) else {
        return false
      }
      var rest = UnsafeBufferPointer(rebasing: input[opening.prologue.count...])
      var isGood = true
      while true {
        var batch = RecordBlock(
          columns: FeatureColumns(
            featureCount: opening.schema.count, capacity: 4, precision: options.columns))
        var progress = DecodeProgress()
        let outcome = decoder.decode(
          InputWindow(bytes: rest, isLast: true), into: &batch, limit: 4, progress: &progress)
        rest = UnsafeBufferPointer(rebasing: rest[progress.consumed...])
        switch outcome {
        case .limitReached, .unitEnded: continue
        case .rejected: isGood = false
        case .failed: return false
        case .needsInput: return isGood && rest.isEmpty && (try? decoder.finish()) != nil
        }
      }
    }
  }

  // MARK: State and configuration

  private static let safetensors = FuzzTarget(
    "safetensors",
    pieces: [
      "{", "}", "[", "]", ",", "\"F64\"", "\"dtype\":", "\"shape\":", "data_offsets",
      "18446744073709551615",
      "-1", "[1,2]", "[9223372036854775807,9223372036854775807]", "__metadata__", "\\u0000",
      "[[[[[",
      "evenkeel.features", "evenkeel.version",
    ], bytes: [[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]],
    seeds: {
      var checkpoint = Checkpoint(features: ["a", "b"], settings: ["momentum": "0.1"])
      checkpoint.input = InputCursor(
        splits: [SplitCursor(split: "a", byteOffset: 9, records: 3)], done: OpaqueBytes([0xFF]))
      let tensors = Safetensors(
        tensors: ["weight": .init([1.5, 2]), "n": .init(scalar: 3)], metadata: ["k": "é"])
      return [try checkpoint.serialized(), try tensors.serialized()]
    },
    read: { input in
      // The checksum refuses nearly every mutated checkpoint, so the layers below it are read by themselves.
      _ = try? Checkpoint(serialized: input)
      guard let file = try? Safetensors(serialized: input) else { return false }
      _ = file.tensors.values.map(\.doubles)
      return (try? file.serialized()) != nil
    })

  private static let yaml = FuzzTarget(
    "yaml",
    pieces: [
      "[", "]", "{", "}", ": ", "- ", "? ", "&s ", "*s", "*base", "<<: ", "\"", "'", "|", ">", "#",
      "!", "!!int ", "%", "@", "`", "\n", "\t", "  ", "---\n", "...\n", "${", "$${", ",", "\\",
      "\u{FEFF}", "\0", "\r", "~", "!<a%FF>", "%YAML 1.1\n", "\\xFF", "é", "[[[[", "{{{{",
      "&a [*a,*a]", "250ms", "1GiB",
    ],
    seeds: {
      [
        """
        state: &s ${STATE:-x}   # words
        control: { listen: "127.0.0.1:9600", token: ~ }
        base: &base
          size: 256
        streams:
          one:
            <<: *base
            features: [a, "b*", 'c''d', *s]
            text: |
              two
              lines
          two: *base

        """, "a: 1\nb: [1, 2.5, true]\n",
      ].map { Array($0.utf8) }
    },
    read: { input in
      do throws(ConfigurationFailure) {
        let document = try ConfigurationDocument(input, file: "f") { _ in "1" }
        ask(document.root)
        return true
      } catch {
        return false
      }
    })

  /// Reads every key as every kind of value.
  private static func ask(_ section: ConfigurationSection) {
    for key in section.keys {
      _ = section.read([
        SettingGroup(
          "",
          [
            Setting(key, .integer(in: 0...10), help: ""), Setting(key, .text, help: ""),
            Setting(key, .seconds(in: 0...10), help: ""), Setting(key, .size(in: 0...10), help: ""),
            Setting(key, .texts, help: ""),
          ] as [any SettingDescription])
      ])
      if let inner = section.section(key) { ask(inner) }
    }
  }

  // MARK: Requests

  private static let http = FuzzTarget(
    "http",
    pieces: [
      "\r\n", "\n", "\r", " ", ":", "HTTP/1.0", "HTTP/2", "Content-Length: 1", "\r\nHost: y",
      "99999999999999999999", "-1", "%", "%ZZ", "%2e%2e/", "?", "Transfer-Encoding: chunked",
      "Expect: 100-continue", "\0", "é", "/api/v1/streams/", "Connection: close",
      String(repeating: "A: b\r\n", count: 70),
    ], bytes: [[0xFF], [0x16, 0x03, 0x01]],
    seeds: {
      [
        "GET /api/v1/streams/weather?x=%20 HTTP/1.1\r\nHost: localhost:9600\r\nAccept: */*",
        "PUT /api/v1/streams/a%2Fb/mode HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n"
          + "Authorization: Bearer abc\r\nContent-Type: application/json\r\nExpect: 100-continue",
        "GET /metrics HTTP/1.0\r\nConnection: keep-alive, x",
      ].map { Array($0.utf8) }
    },
    read: { input in
      guard let head = try? HTTPRequestHead(parsing: input) else { return false }
      // The values of a head that was accepted are within the limits.
      return head.contentLength >= 0 && head.path.hasPrefix("/") && head.fields.count <= 64
    })
}
