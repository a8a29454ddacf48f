import Codecs
import Foundation
import Records
import Testing

@testable import Stream

/// The words of messages for users of the daemon, and of bad records.
@Suite struct MessageTests {
  @Test(arguments: [
    ("--features and --exclude choose otherwise", "features and exclude choose otherwise"),
    ("(--on-mismatch match_by_name or reset)", "(on_mismatch match_by_name or reset)"),
    ("--no-header reads it", "header: false reads it"),
    ("--delimiter ';' --decimal ',' fits", "delimiter ';' decimal ',' fits"),
    ("pass --format raw --npy, or", "pass format raw npy: true, or"),
    ("--mode batch", "normalize.mode batch"), ("a -- b --", "a -- b --"),
    ("--unknown x", "--unknown x"), ("plain", "plain"),
  ])
  func `a message for the daemon names settings and not options`(
    message: String, words: String
  ) {
    #expect(Catalogue.wordsOfFile(message) == words)
  }

  @Test func `a bad record names its file if the stream has several`() throws {
    let fault = RecordFault(expected: "x", found: "y")
    for (split, start) in [("2.csv", "2.csv: record 3"), ("", "record 3")] {
      let record = RejectedRecord(
        split: split, record: 3, byteOffset: 9, fault: fault, bytes: Array("z\n".utf8))
      #expect("\(record)".hasPrefix(start))
      let line = DeadLetter(record, stream: "s").line
      let fields = try JSONSerialization.jsonObject(with: Data(line)) as? [String: Any]
      #expect(fields?["split"] as? String == (split.isEmpty ? nil : split))
      #expect(fields?["stream"] as? String == "s" && fields?["text"] as? String == "z\n")
    }
  }

  @Test func `an output of other features is another output of the daemon`() throws {
    let lines = ["format: csv", "format: csv\nfeatures: [a]", "format: csv\nexclude: [b]"]
    let destinations = try lines.map { lines in
      StreamPlan(try onlyStream(oneStream(lines)), directory: "d", adopts: false).destination
    }
    #expect(Set(destinations).count == 3)
    #expect(destinations[1].hasPrefix(destinations[0] + " "))
  }
}
