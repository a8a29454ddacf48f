import Records
import State
import Storage
import TestSupport
import Testing

/// Checkpoints as readable JSON.
@Suite struct JSONInterchangeTests: InterchangeSuite {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  @Test func `the JSON export reads as documented`() throws {
    var checkpoint = Checkpoint(features: ["a/\"b\""], settings: ["bias_correction": "true"])
    checkpoint.runningMean = [0.1]
    checkpoint.bias = [-0.0]
    checkpoint.input = InputCursor(splits: [SplitCursor(split: "a", byteOffset: 9, records: 1)])
    checkpoint.batchesTracked = 3
    #expect(
      String(decoding: try export(checkpoint, "json"), as: UTF8.self) == """
        {
          "features" : [
            {
              "affine" : {
                "bias" : -0,
                "weight" : 1
              },
              "moments" : {
                "batches" : 0,
                "mean" : 0.1,
                "variance" : 1,
                "variance_batches" : 0,
                "variance_weight" : 0,
                "weight" : 0
              },
              "name" : "a/\\"b\\"",
              "values" : {
                "clipped" : 0,
                "missing" : 0,
                "present" : 0
              }
            }
          ],
          "input" : {
            "form" : "",
            "splits" : [
              {
                "byte_offset" : 9,
                "decoder" : "",
                "records" : 1,
                "split" : "a"
              }
            ]
          },
          "settings" : {
            "bias_correction" : "true"
          },
          "stream" : {
            "stream" : {
              "batches" : 3,
              "records" : 0
            },
            "versions" : {
              "parameters" : 0,
              "state" : 0
            }
          },
          "version" : 2
        }

        """)
  }

  @Test func `a JSON export comes back exactly`() throws {
    var random = SeededGenerator()
    for count in [1, 50] {
      let checkpoint = randomCheckpoint(count, using: &random)
      let read = try `import`(export(checkpoint, "json"), "json")
      // As files, because -0.0 == 0.0.
      #expect(try read.serialized() == checkpoint.serialized(), "seed \(random.seed)")
    }
    var extreme = sampleCheckpoint()
    extreme.bias = [-0.0, .leastNonzeroMagnitude, -.greatestFiniteMagnitude]
    extreme.batches = [StateColumn.countLimit, StateColumn.countLimit - 1, 0]
    #expect(
      try `import`(export(extreme, "json"), "json").serialized() == extreme.serialized())
  }

  @Test func `a number that is not finite is not written as JSON`() throws {
    var checkpoint = Checkpoint(features: ["a"])
    for number in [Double.nan, .infinity, -.infinity] {
      checkpoint.weight = [number]
      #expect(
        message { try ExportFormat.json.encode(checkpoint) }
          == "'weight' in the JSON: expected a finite number")
    }
  }

  @Test func `JSON that is no checkpoint is refused with the member's path`() throws {
    let text = String(decoding: try export(sampleCheckpoint(), "json"), as: UTF8.self)
    let invalid = "file: expected valid JSON"
    for (old, new, expected) in [
      ("\"version\" : 2", "\"version\" : 3", "written in format version 3, newer than version 2"),
      ("\"version\" : 2", "\"version\" : 1", "written in format version 1, older than version 2"),
      ("\"version\" : 2", "\"version\" : 0.5", "version: expected a format version such as 2"),
      (
        "\"version\" : 2", "\"version\" : \"2\"",
        "'version' in the file: expected a number, found a text"
      ),
      (
        "\"mean\" : -3.25", "\"mean\" : \"x\"",
        "'features[1].moments.mean' in the file: expected a number, found a text"
      ),
      ("\"mean\" : -3.25", "\"mean\" : 1e999", invalid),
      (
        "\"mean\" : -3.25", "\"men\" : -3.25",
        "expected state that this Evenkeel knows, found 'moments.men': "
      ),
      ("\"values\" : {", "\"drift\" : {", "expected state that this Evenkeel knows, found 'drift'"),
      ("\"variance\" : 4.2", "\"variance\" : -4.2", "running_var of feature 'temp': expected a "),
      ("\"missing\" : 256", "\"missing\" : 2.5", invalid),
      (
        "\"missing\" : 256", "\"missing\" : 9007199254740993",
        "evenkeel.values.missing of feature 'humid': expected 0 to 2^53, found 9007199254740993"
      ),
      (
        "\"features\" : [", "\"features\" : [7,",
        "'features[0]' in the file: expected an object, found a number"
      ),
      (
        "\"records\" : 3072,\n        \"source\"", "\"records\" : null,\n        \"source\"",
        "'input.splits[0].records' in the file: expected a whole number, found null"
      ),
      ("\"0.1\"", "0.1", "'settings.momentum' in the file: expected a text, found a number"),
      ("}\n", "", invalid),
    ] {
      #expect(text.contains(old))
      #expect(refusal(Array(text.replacing(old, with: new).utf8), "json").hasPrefix(expected))
    }
    #expect(
      refusal(Array("[]".utf8), "json")
        == "file: expected an object, found an array")
  }
}
