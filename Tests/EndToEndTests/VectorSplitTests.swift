import Foundation
import TestSupport
import Testing

/// Vectors in the files of one stream.
@Suite(.serialized) struct VectorSplitTests {
  @Test func `a record with another length in a later file is a bad one`() throws {
    let place = try Workplace()
    try FileManager.default.createDirectory(
      atPath: place.path("drop"), withIntermediateDirectories: true)
    try place.write("drop/1.ndjson", "{\"e\":[1,2]}\n{\"e\":[3,4]}\n".utf8)
    // Its first record would have told another length.
    try place.write(
      "drop/2.ndjson", "{\"e\":[5,6,7]}\n{\"e\":[5,6,7]}\n{\"e\":[8,9]}\n".utf8)
    let daemon = try Daemon(
      in: place,
      """
      s:
        source: { directory: { path: drop } }
        format: ndjson
        features: ["e[*]"]
        on_bad_record: skip
        sink: { file: { path: out.ndjson } }
        compression: off
      """)
    #expect(try eventually { try daemon.count("records") == 3 })
    #expect(try eventually { try daemon.count("bad_records") == 2 })
    #expect(try daemon.stop().exitCode == 0)
  }
}
